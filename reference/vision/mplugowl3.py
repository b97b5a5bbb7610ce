"""mPLUG-Owl3 (arXiv 2408.04840) in PyTorch, with both kinds of hyper attention, under the published checkpoints' names.
Written from the paper and from what the published modelling files do, for the engine's comparison; inference only.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors numpy pillow

    model = MplugOwl3(config, kind)           config: the dictionary of config.json; kind: "gated" (240728) or
                                              "joint" (241014, 241101)
    model.logits(input_ids, model.look(pixel_values)[1], starts)    (tokens, vocab_size) of one text
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.activations import ACT2FN


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., tokens, heads * d) -> (..., heads, tokens, d)"""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


class SiglipAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.q_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (split_heads(project(x), self.heads) for project in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class SiglipMlp(nn.Module):
    def __init__(self, width: int, inner: int, act: str):
        super().__init__()
        self.fc1, self.fc2, self.act = nn.Linear(width, inner), nn.Linear(inner, width), ACT2FN[act]

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class SiglipLayer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, eps = config["hidden_size"], config.get("layer_norm_eps", 1e-6)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.self_attn = SiglipAttention(width, config["num_attention_heads"])
        self.mlp = SiglipMlp(width, config["intermediate_size"], config.get("hidden_act", "gelu_pytorch_tanh"))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Siglip(nn.Module):
    """pixel_values (n, 3, size, size) -> (n, patches, width): what goes into the last layer. That layer, the norm after
    it and the pooling head are in the checkpoint and take no part."""

    def __init__(self, config: dict):
        super().__init__()
        width, patch, side = config["hidden_size"], config["patch_size"], config["image_size"] // config["patch_size"]
        self.embeddings = nn.ModuleDict(
            {"patch_embedding": nn.Conv2d(3, width, patch, patch), "position_embedding": nn.Embedding(side * side, width)}
        )
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(SiglipLayer(config) for _ in range(config["num_hidden_layers"]))})
        self.post_layernorm = nn.LayerNorm(width, config.get("layer_norm_eps", 1e-6))

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.embeddings["patch_embedding"](pixel_values).flatten(2).transpose(1, 2)
        x = x + self.embeddings["position_embedding"].weight
        for layer in self.encoder["layers"][:-1]:
            x = layer(x)
        return x


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Rope:
    """Rotates the halves of a head, at any positions."""

    def __init__(self, head_dim: int, theta: float):
        self.frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)

    def __call__(self, x: Tensor, positions: Tensor) -> Tensor:  # (heads, n, head_dim), (n)
        angles = positions[:, None].double() * self.frequencies
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class HyperAttention(nn.Module):
    """Self-attention; in a hyper layer also attention to pictures, whose keys and values come from the layer's own
    normed copy of their embeddings through `v_kv_proj`, per head a key and then a value."""

    def __init__(self, config: dict, kind: str | None):
        super().__init__()
        width, self.heads, self.kv_heads = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim = width // self.heads
        self.kind = kind
        self.rope = Rope(self.head_dim, config["rope_theta"])
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, self.kv_heads * self.head_dim)
        self.v_proj = nn.Linear(width, self.kv_heads * self.head_dim)
        self.o_proj = nn.Linear(width, width, bias=False)
        if kind is not None:
            self.v_kv_proj = nn.Linear(width, 2 * self.kv_heads * self.head_dim)
        if kind == "gated":
            self.gate = nn.Parameter(torch.zeros(width))

    def visual_keys_values(self, pictures: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """pictures (n, patches, width); positions (n), where in the text each stands -> two of (kv_heads, n * patches, d)"""
        both = self.v_kv_proj(pictures).flatten(0, 1).unflatten(-1, (self.kv_heads, 2, self.head_dim))
        keys, values = both[:, :, 0].transpose(0, 1), both[:, :, 1].transpose(0, 1)
        return self.rope(keys, positions.repeat_interleave(pictures.shape[1])), values

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """(heads, t, d), (kv_heads, s, d) twice, (t, s) -> (t, heads * d)"""
        group = self.heads // self.kv_heads
        k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
        return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0].transpose(0, 1).flatten(1)

    def forward(self, x: Tensor, pictures: Tensor | None, starts: Tensor) -> Tensor:
        """x (t, width), normed; pictures (n, patches, width), normed alike; starts (n), the pictures' tokens."""
        position = torch.arange(len(x))
        q = self.rope(split_heads(self.q_proj(x), self.heads), position)
        k = self.rope(split_heads(self.k_proj(x), self.kv_heads), position)
        v = split_heads(self.v_proj(x), self.kv_heads)
        causal = position[:, None] >= position
        if self.kind is None or pictures is None:
            return self.o_proj(self.attend(q, k, v, causal))
        if self.kind == "joint":
            # One softmax over pictures and text. A picture's own token sees it.
            visual_k, visual_v = self.visual_keys_values(pictures, starts)
            seen = (position[:, None] >= starts).repeat_interleave(pictures.shape[1], 1)
            both = torch.cat([seen, causal], 1)
            return self.o_proj(self.attend(q, torch.cat([visual_k, k], 1), torch.cat([visual_v, v], 1), both))
        # Two results blended by channel. A picture is seen from the token after its own, where its keys also stand.
        text = self.attend(q, k, v, causal)
        first = int(starts.min()) + 1
        if first < len(x):
            visual_k, visual_v = self.visual_keys_values(pictures, starts + 1)
            seen = (position[first:, None] > starts).repeat_interleave(pictures.shape[1], 1)
            visual = self.attend(q[:, first:], visual_k, visual_v, seen)
            gate = self.gate.sigmoid()
            text = torch.cat([text[:first], text[first:] * (1 - gate) + visual * gate])
        return self.o_proj(text)


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int, act: str):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down_proj, self.act = nn.Linear(inner, width, bias=False), ACT2FN[act]

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: dict, kind: str | None):
        super().__init__()
        width, eps = config["hidden_size"], config["rms_norm_eps"]
        self.self_attn = HyperAttention(config, kind)
        self.mlp = Mlp(width, config["intermediate_size"], config.get("hidden_act", "silu"))
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(width, eps), RMSNorm(width, eps)

    def forward(self, x: Tensor, pictures: Tensor | None, starts: Tensor) -> Tensor:
        normed = None if pictures is None else self.input_layernorm(pictures)
        x = x + self.self_attn(self.input_layernorm(x), normed, starts)
        return x + self.mlp(self.post_attention_layernorm(x))


class MplugOwl3(nn.Module):
    def __init__(self, config: dict, kind: str):
        super().__init__()
        self.config, self.kind = config, kind
        width, vocabulary = config["hidden_size"], config["vocab_size"]
        layers = [
            Layer(config, kind if number in config["hyper_layers"] else None)
            for number in range(1, config["num_hidden_layers"] + 1)
        ]
        self.vision_model = Siglip(config["vision_config"])
        vision_width = config["vision_config"]["hidden_size"]
        if kind == "gated":
            self.vision2text_model = nn.Linear(vision_width, width)
        else:
            self.vision2text_model = nn.Sequential(nn.Linear(vision_width, width), nn.GELU(), nn.Linear(width, width))
        inner = nn.ModuleDict(
            {"embed_tokens": nn.Embedding(vocabulary, width), "layers": nn.ModuleList(layers), "norm": RMSNorm(width, config["rms_norm_eps"])}
        )
        self.language_model = nn.ModuleDict({"model": inner, "lm_head": nn.Linear(width, vocabulary, bias=False)})
        if config.get("tie_word_embeddings", False):
            self.language_model["lm_head"].weight = inner["embed_tokens"].weight

    def look(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, size, size) -> vision_features (n, patches, vision width), cross_attention_states (n, patches, width)"""
        features = self.vision_model(pixel_values)
        return features, self.vision2text_model(features)

    def logits(self, input_ids: Tensor, pictures: Tensor | None, starts: Tensor) -> Tensor:
        """input_ids (t); pictures: the cross_attention_states; starts (n), where the token of each stands -> (t, vocab_size)"""
        inner = self.language_model["model"]
        x = inner["embed_tokens"](input_ids)
        for layer in inner["layers"]:
            x = layer(x, pictures, starts)
        return self.language_model["lm_head"](inner["norm"](x))

    def generate(self, input_ids: Tensor, pictures: Tensor | None, starts: Tensor, count: int) -> Tensor:
        """The `count` most likely tokens one by one."""
        ids = input_ids
        for _ in range(count):
            ids = torch.cat([ids, self.logits(ids, pictures, starts)[-1:].argmax(-1)])
        return ids[len(input_ids) :]

    def tensors(self) -> dict[str, Tensor]:
        tied = self.config.get("tie_word_embeddings", False)
        return {name: value for name, value in self.state_dict().items() if not (tied and name == "language_model.lm_head.weight")}

    def save(self, folder: str | Path, dtype: torch.dtype) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.to(dtype).contiguous() for name, value in self.tensors().items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(self.config, indent=2) + "\n")
