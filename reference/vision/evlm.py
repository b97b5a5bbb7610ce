"""EVLM (arXiv 2407.14177) in PyTorch, in the checkpoint layout of native/src/vision/README.md: trainable, and the
other side of the engine's comparison. Written from the paper and that page, not from the engine.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors numpy pillow

    model = Evlm(config)                      config: the dictionary of config.json
    out = model(input_ids, pixel_values, labels=labels, attention_mask=mask)
    (out.loss + 0.01 * out.balance_loss).backward()
    model.save(folder); model = Evlm.load(folder)
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.activations import ACT2FN


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:  # (n, tokens, width)
        q, k, v = (split_heads(project(x), self.heads) for project in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """fc2(act(fc1 x))"""

    def __init__(self, width: int, inner: int, act: str, bias: bool):
        super().__init__()
        self.fc1 = nn.Linear(width, inner, bias=bias)
        self.fc2 = nn.Linear(inner, width, bias=bias)
        self.act = ACT2FN[act]

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(n, tokens, heads * d) -> (n, heads, tokens, d)"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class VisionBlock(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, eps = config["hidden_size"], config.get("layer_norm_eps", 1e-6)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.attention = Attention(width, config["num_attention_heads"])
        self.mlp = Mlp(width, config["intermediate_size"], config.get("hidden_act", "gelu"), bias=True)
        self.is_post = config.get("norm_position", "pre") == "post"

    def forward(self, x: Tensor) -> Tensor:
        if self.is_post:
            x = x + self.norm1(self.attention(x))
            return x + self.norm2(self.mlp(x))
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTower(nn.Module):
    """pixel_values (n, 3, height, width) -> the tapped features, each (n, 1 + patches, hidden_size)"""

    def __init__(self, config: dict):
        super().__init__()
        width, patch, size = config["hidden_size"], config["patch_size"], config["image_size"]
        height, length = (size, size) if isinstance(size, int) else size
        self.tapped_layers = config["tapped_layers"]
        self.patch_embedding = nn.Conv2d(3, width, patch, patch)
        self.class_embedding = nn.Parameter(torch.randn(width) * 0.02)
        self.position_embedding = nn.Embedding(1 + (height // patch) * (length // patch), width)
        self.layers = nn.ModuleList(VisionBlock(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, pixel_values: Tensor) -> list[Tensor]:
        x = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.position_embedding.weight
        states = {0: x}
        for done, layer in enumerate(self.layers[: max(self.tapped_layers)], start=1):
            x = layer(x)
            if done in self.tapped_layers:
                states[done] = x
        return [states[done] for done in self.tapped_layers]


class CrossAttention(nn.Module):
    """Attention of text states to keys and values of pictures, which `keys_values` makes once."""

    def __init__(self, config: dict, text_width: int, vision_width: int, text_eps: float, vision_eps: float):
        super().__init__()
        inner = config["attention_width"]
        self.heads = config["num_attention_heads"]
        self.zero_vectors = config.get("zero_vectors", 0)
        self.attention_norm = RMSNorm(text_width, text_eps)
        self.visual_norm = nn.LayerNorm(vision_width, vision_eps)
        self.q_proj = nn.Linear(text_width, inner, bias=False)
        self.k_proj = nn.Linear(vision_width, inner, bias=False)
        self.v_proj = nn.Linear(vision_width, inner, bias=False)
        self.o_proj = nn.Linear(inner, text_width, bias=False)
        self.attention_gate = nn.Parameter(torch.zeros(1))
        self.ffn_gate = nn.Parameter(torch.zeros(1))
        self.ffn_norm = RMSNorm(text_width, text_eps)
        self.has_experts = config.get("num_experts", 0) > 0
        act = config.get("hidden_act", "gelu")
        if self.has_experts:
            self.mixture = Mixture(config, text_width, act)
        else:
            self.mlp = Mlp(text_width, config["intermediate_size"], act, bias=False)

    def keys_values(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """(pictures, tokens, vision width) -> two of (pictures, tokens, attention_width)"""
        normed = self.visual_norm(feature)
        return self.k_proj(normed), self.v_proj(normed)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, counted: Tensor) -> tuple[Tensor, "Balance | None"]:
        """x (n, t, text width); keys, values (n, v, attention_width); mask (n, t, v + zero_vectors), true where seen;
        counted (n, t), false for padding, which does not count as load of experts."""
        q = split_heads(self.q_proj(self.attention_norm(x)), self.heads)
        k, v = (split_heads(F.pad(each, (0, 0, 0, self.zero_vectors)), self.heads) for each in (keys, values))
        sees_any = mask.any(-1, keepdim=True)
        # A row that sees nothing would be 0 / 0: it looks at all, and the result is thrown away.
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=(mask | ~sees_any)[:, None]) if k.shape[2] else q * 0
        attended = attended.transpose(1, 2).flatten(2) * sees_any
        x = x + self.attention_gate.tanh() * self.o_proj(attended)
        normed = self.ffn_norm(x)
        out, balance = self.mixture(normed, counted) if self.has_experts else (self.mlp(normed), None)
        return x + self.ffn_gate.tanh() * out, balance


@dataclass
class Balance:
    """How a router shares its tokens out."""

    load: Tensor  # (experts), the share of choices that each got; sums to 1
    probability: Tensor  # (experts), the mean of softmax(router x); sums to 1

    def loss(self) -> Tensor:
        """1 where all is even, up to the number of experts where one gets all (Switch Transformer, eq. 4)."""
        return len(self.load) * (self.load * self.probability).sum()


class Mixture(nn.Module):
    """Routed experts, the best few of them per token, and a shared one that always adds."""

    def __init__(self, config: dict, width: int, act: str):
        super().__init__()
        experts, inner = config["num_experts"], config["expert_width"]
        self.chosen = config["num_experts_per_token"]
        self.normalize = config.get("normalize_top_k", True)
        self.router = nn.Linear(width, experts, bias=False)
        self.fc1 = nn.Parameter(torch.randn(experts, inner, width) * 0.02)
        self.fc2 = nn.Parameter(torch.randn(experts, width, inner) * 0.02)
        self.shared_expert = Mlp(width, config["shared_expert_width"], act, bias=False)
        self.act = ACT2FN[act]

    def forward(self, x: Tensor, counted: Tensor) -> tuple[Tensor, Balance]:
        rows = x.flatten(0, -2)
        probabilities = self.router(rows).softmax(-1)
        # A stable sort: of equal ones the lower index.
        weights, choices = probabilities.sort(dim=-1, descending=True, stable=True)
        weights, choices = weights[:, : self.chosen], choices[:, : self.chosen]
        if self.normalize:
            weights = weights / weights.sum(-1, keepdim=True)
        # All (token, choice) pairs in the order of their experts: each expert then works on one stretch.
        order = choices.flatten().argsort(dim=0, stable=True)
        sizes = choices.flatten().bincount(minlength=len(self.fc1))
        tokens = order // self.chosen
        parts = [
            F.linear(self.act(F.linear(part, fc1)), fc2)
            for part, fc1, fc2 in zip(rows[tokens].split(sizes.tolist()), self.fc1.unbind(), self.fc2.unbind())
            if len(part) > 0
        ]
        routed = torch.zeros_like(rows).index_add(0, tokens, torch.cat(parts) * weights.flatten()[order, None])
        share = counted.flatten().to(x.dtype)
        total = share.sum().clamp(min=1)
        load = torch.zeros_like(probabilities).scatter(1, choices, 1.0) * share[:, None]
        balance = Balance(load.sum(0) / (total * self.chosen), (probabilities * share[:, None]).sum(0) / total)
        return (routed + self.shared_expert(rows)).view_as(x), balance


@dataclass
class Sight:
    """What the tokens of a batch see."""

    is_media: Tensor  # (n, t)
    slot: Tensor  # (n, t), a media token's row of the media embedding
    counts: Tensor  # (n), pictures of each row
    visible: Tensor  # (n, t, most pictures)
    after: Tensor  # (n, most pictures), what a text token at the end of the row sees


def sight_of(input_ids: Tensor, media_token_id: int, media_tokens: int) -> Sight:
    """A media token sees its own picture; a text token the pictures of the last run before it."""
    is_media = input_ids == media_token_id
    order = is_media.cumsum(1) - 1
    before = F.pad(is_media, (1, 0))[:, :-1]
    run = (is_media & ~before).cumsum(1)  # 1 from the first run on
    counts, rest = is_media.sum(1) // media_tokens, is_media.sum(1) % media_tokens
    if rest.any():
        raise ValueError(f"media tokens come in groups of {media_tokens}")
    most = int(counts.max())
    picture = torch.where(is_media, order // media_tokens, -1)
    index = torch.arange(most, device=input_ids.device)
    is_own = picture[..., None] == index  # (n, t, most)
    run_of_picture = (is_own * run[..., None]).amax(1) if input_ids.shape[1] else torch.zeros_like(index)
    is_last_run = (run_of_picture[:, None] == run[..., None]) & (run[..., None] > 0)
    visible = torch.where(is_media[..., None], is_own, is_last_run)
    after = (run_of_picture == run[:, -1:]) & (run[:, -1:] > 0)
    return Sight(is_media, order % media_tokens, counts, visible, after)


@dataclass
class Pictures:
    """A batch's pictures as the cross-attention layers see them, one entry per layer."""

    keys: list[Tensor]  # (n, most * tokens, attention_width)
    values: list[Tensor]
    tokens: int  # of a picture


@dataclass
class EvlmOutput:
    logits: Tensor  # (n, t, vocab_size)
    loss: Tensor | None
    balance_loss: Tensor  # mean over the layers; 0 without experts
    expert_load: Tensor | None  # (layers, experts)


class Evlm(nn.Module):
    def __init__(self, config: dict, attention: str = "sdpa"):
        """`config`: what config.json holds. `attention`: how transformers computes the text model's own."""
        super().__init__()
        self.config = config
        text = dict(config["text_config"])
        text_config = AutoConfig.for_model(text.pop("model_type"), **text)
        vision, cross = config["vision_config"], config["cross_attention_config"]
        self.vision_model = VisionTower(vision)
        width, layers = text_config.hidden_size, text_config.num_hidden_layers
        self.media_embedding = nn.Embedding(cross["media_tokens"], width)
        self.cross_attention_layers = nn.ModuleList(
            CrossAttention(cross, width, vision["hidden_size"], text_config.rms_norm_eps, vision.get("layer_norm_eps", 1e-6))
            for _ in range(layers)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding | nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                if getattr(module, "bias", None) is not None:
                    nn.init.zeros_(module.bias)
        self.language_model = AutoModelForCausalLM.from_config(text_config, attn_implementation=attention)
        taps = len(vision["tapped_layers"])
        self.tap_of_layer = [layer * taps // layers for layer in range(layers)]
        self._now: tuple[Pictures, Tensor, Tensor, list[Balance]] | None = None
        for layer, block in enumerate(self.language_model.model.layers):
            block.register_forward_pre_hook(self._before(layer))

    def _before(self, layer: int):
        def hook(_module, args):
            pictures, mask, counted, balances = self._now
            cross = self.cross_attention_layers[layer]
            x, balance = cross(args[0], pictures.keys[layer], pictures.values[layer], mask, counted)
            if balance is not None:
                balances.append(balance)
            return (x, *args[1:])

        return hook

    def look(self, pixel_values: Tensor | None, counts: Tensor) -> Pictures:
        """Keys and values of every layer. pixel_values (all pictures of the batch in order, 3, height, width);
        counts (n), how many of them each row has."""
        total, most = int(counts.sum()), int(counts.max())
        if total != (0 if pixel_values is None else len(pixel_values)):
            raise ValueError(f"the text speaks of {total} pictures, not of {0 if pixel_values is None else len(pixel_values)}")
        inner = self.config["cross_attention_config"]["attention_width"]
        if total == 0:
            empty = [self.media_embedding.weight.new_zeros(len(counts), 0, inner)] * len(self.tap_of_layer)
            return Pictures(empty, empty, 0)
        features = self.vision_model(pixel_values)

        def rows_of(each: Tensor) -> Tensor:
            if total == most * len(counts):
                return each.unflatten(0, (len(counts), most)).flatten(1, 2)
            place = torch.arange(most, device=each.device) < counts[:, None]  # (n, most)
            padded = each.new_zeros(len(counts), most, *each.shape[1:])
            padded[place] = each
            return padded.flatten(1, 2)

        pairs = [cross.keys_values(features[tap]) for cross, tap in zip(self.cross_attention_layers, self.tap_of_layer)]
        return Pictures([rows_of(k) for k, _ in pairs], [rows_of(v) for _, v in pairs], features[0].shape[1])

    def mask_of(self, visible: Tensor, pictures: Pictures) -> Tensor:
        """(n, t, most pictures) -> (n, t, visual tokens + zero vectors)"""
        zeros = self.config["cross_attention_config"].get("zero_vectors", 0)
        return F.pad(visible.repeat_interleave(pictures.tokens, -1), (0, zeros), value=True)

    def sight_of(self, input_ids: Tensor) -> Sight:
        return sight_of(input_ids, self.config["media_token_id"], self.config["cross_attention_config"]["media_tokens"])

    def embed(self, input_ids: Tensor, sight: Sight) -> Tensor:
        text = self.language_model.get_input_embeddings()(input_ids.masked_fill(sight.is_media, 0))
        return torch.where(sight.is_media[..., None], self.media_embedding(sight.slot.clamp(min=0)), text)

    def _run(self, embeds: Tensor, pictures: Pictures, mask: Tensor, attention_mask: Tensor, **more):
        counted = attention_mask[:, -embeds.shape[1] :].bool()
        balances: list[Balance] = []
        self._now = (pictures, mask, counted, balances)
        try:
            positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
            out = self.language_model(inputs_embeds=embeds, attention_mask=attention_mask, position_ids=positions, **more)
        finally:
            self._now = None
        return out, balances

    def forward(
        self, input_ids: Tensor, pixel_values: Tensor | None = None, attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> EvlmOutput:
        """input_ids (n, t) with `media_tokens` copies of the media token per picture; attention_mask (n, t), 0 for
        padding on either side; labels (n, t), the ids themselves and -100 where nothing is to be learnt."""
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        sight = self.sight_of(input_ids)
        pictures = self.look(pixel_values, sight.counts)
        mask = self.mask_of(sight.visible, pictures)
        out, balances = self._run(self.embed(input_ids, sight), pictures, mask, attention_mask, use_cache=False)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        if not balances:
            return EvlmOutput(out.logits, loss, out.logits.new_zeros(()), None)
        balance_loss = torch.stack([balance.loss() for balance in balances]).mean()
        return EvlmOutput(out.logits, loss, balance_loss, torch.stack([balance.load for balance in balances]).detach())

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor, pixel_values: Tensor | None, max_new_tokens: int, eos_token_ids: tuple[int, ...] = (),
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """The most likely tokens one by one, (n, new). Shorter rows of `input_ids` are padded on the left. A row that
        has ended repeats its end."""
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        sight = self.sight_of(input_ids)
        pictures = self.look(pixel_values, sight.counts)
        mask, after = self.mask_of(sight.visible, pictures), self.mask_of(sight.after[:, None], pictures)
        embeds, cache, made = self.embed(input_ids, sight), None, []
        has_ended = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        for _ in range(max_new_tokens):
            out, _ = self._run(embeds, pictures, mask, attention_mask, past_key_values=cache, use_cache=True)
            cache, mask = out.past_key_values, after
            token = out.logits[:, -1].argmax(-1)
            made.append(torch.where(has_ended, made[-1], token) if made else token)
            has_ended |= torch.isin(made[-1], torch.tensor(eos_token_ids, device=token.device, dtype=token.dtype))
            if has_ended.all():
                break
            embeds = self.language_model.get_input_embeddings()(made[-1][:, None])
            attention_mask = F.pad(attention_mask, (0, 1), value=1)
        return torch.stack(made, 1)

    def tensors(self) -> dict[str, Tensor]:
        """The state under the names of the layout; experts one by one, a tied head left out."""
        tied = self.language_model.config.tie_word_embeddings
        result = {}
        for name, value in self.state_dict().items():
            if ".mixture.fc" in name:
                for expert, weight in enumerate(value):
                    result[name.replace(".mixture.", f".experts.{expert}.") + ".weight"] = weight
            elif not (tied and name == "language_model.lm_head.weight"):
                result[name.replace(".mixture.", ".")] = value
        return {name: value.detach().contiguous().clone() for name, value in result.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The way back. Fails for a name too many or too few."""
        own = {}
        for name, value in self.state_dict().items():
            if ".mixture.fc" in name:
                own[name] = torch.stack(
                    [tensors.pop(name.replace(".mixture.", f".experts.{expert}.") + ".weight") for expert in range(len(value))]
                )
            elif name == "language_model.lm_head.weight" and name not in tensors:
                own[name] = tensors["language_model.model.embed_tokens.weight"]
            else:
                own[name] = tensors[name.replace(".mixture.", ".")]
        unknown = tensors.keys() - {name.replace(".mixture.", ".") for name in own}
        if unknown:
            raise ValueError(f"unknown tensors: {sorted(unknown)}")
        self.load_state_dict(own)

    def save(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """config.json and model.safetensors; the tokenizer and preprocessor_config.json are the caller's."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.to(dtype or value.dtype).contiguous() for name, value in self.tensors().items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = {"architectures": ["EvlmForConditionalGeneration"], "model_type": "evlm"} | self.config
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path, **more) -> "Evlm":
        folder = Path(folder)
        model = cls(json.loads((folder / "config.json").read_text()), **more)
        model.load_tensors({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
        return model
