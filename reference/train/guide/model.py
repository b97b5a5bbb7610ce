"""A Llama in plain PyTorch, for packed rows: several conversations stand in one row and do not see each other.

Parameters have the names that checkpoints of transformers' LlamaForCausalLM give them. Embedding and head are one matrix.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, self.head = config["hidden_size"], config["head_dim"]
        self.groups = config["heads"] // config["key_value_heads"]
        self.q_proj = nn.Linear(width, config["heads"] * self.head, bias=False)
        self.k_proj = nn.Linear(width, config["key_value_heads"] * self.head, bias=False)
        self.v_proj = nn.Linear(width, config["key_value_heads"] * self.head, bias=False)
        self.o_proj = nn.Linear(config["heads"] * self.head, width, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        def heads(projected: Tensor) -> Tensor:
            return projected.unflatten(-1, (-1, self.head)).transpose(1, 2)

        q, k, v = rotate(heads(self.q_proj(x)), turn), rotate(heads(self.k_proj(x)), turn), heads(self.v_proj(x))
        k, v = (each.repeat_interleave(self.groups, 1) for each in (k, v))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(seen.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config["hidden_size"], config["norm_epsilon"])
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config["hidden_size"], config["norm_epsilon"])
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turns pairs (i, i + head / 2) of (rows, heads, length, head)."""
    first, second = x.chunk(2, -1)
    cosine, sine = turn
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


class Inner(nn.Module):
    def __init__(self, config: dict, vocabulary: int):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, config["hidden_size"])
        self.layers = nn.ModuleList([Layer(config) for _ in range(config["layers"])])
        self.norm = nn.RMSNorm(config["hidden_size"], config["norm_epsilon"])


class Llama(nn.Module):
    def __init__(self, config: dict, vocabulary: int):
        super().__init__()
        self.config = config
        self.model = Inner(config, vocabulary)
        for name, each in self.named_parameters():
            if each.ndim == 2:
                nn.init.normal_(each, std=config["embedding_std"] if "embed" in name else each.shape[1] ** -0.5)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.zeros_(each)

    def forward(self, tokens: Tensor, positions: Tensor, conversations: Tensor) -> Tensor:
        """The last hidden states (rows, length, width) of three integer tensors (rows, length)."""
        steps = torch.arange(0, self.config["head_dim"], 2) / self.config["head_dim"]
        angles = (positions[..., None] * self.config["rope_theta"] ** -steps)[:, None]
        turn = angles.cos(), angles.sin()
        is_same = conversations[:, None, :, None] == conversations[:, None, None, :]
        mask = is_same & torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, turn, mask)
        return self.model.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        return F.linear(states, self.model.embed_tokens.weight)
