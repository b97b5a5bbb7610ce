"""A Llama in plain PyTorch, for packed rows: several conversations stand in one row and do not see each other.

Parameters have the names that checkpoints of transformers' LlamaForCausalLM give them. Embedding and head are one matrix.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


#: Added to the score of what is not to be seen. Finite: where a kernel begins with keys that are all unseen, -inf is no number.
UNSEEN = -1e4


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
        # In the precision of the projections, which under autocast is not that of the angles.
        q, k = q.to(v.dtype), k.to(v.dtype)
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
        self.dropout = config["dropout"]

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        x = x + F.dropout(self.self_attn(self.input_layernorm(x), turn, mask), self.dropout, self.training)
        return x + F.dropout(self.mlp(self.post_attention_layernorm(x)), self.dropout, self.training)


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

    def forward(self, tokens: Tensor, begin: int) -> Tensor:
        """The last hidden states (rows, length, width) of integers (rows, length), in which the token `begin` starts a
        conversation: what stands before it is not seen, and positions are counted from it."""
        return self.deep(*self.prepare(tokens, begin))

    def prepare(self, tokens: Tensor, begin: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What `deep` takes."""
        length, device = tokens.shape[1], tokens.device
        at = torch.arange(length, device=device)
        starts = tokens == begin
        conversations = starts.cumsum(1)
        positions = at - torch.where(starts, at, 0).cummax(1).values
        steps = torch.arange(0, self.config["head_dim"], 2, device=device) / self.config["head_dim"]
        angles = (positions[..., None] * self.config["rope_theta"] ** -steps)[:, None]
        is_seen = (conversations[:, None, :, None] == conversations[:, None, None, :]) & (at[:, None] >= at)
        half = torch.is_autocast_enabled(device.type)
        mask = torch.zeros_like(is_seen, dtype=torch.bfloat16 if half else torch.float32).masked_fill_(~is_seen, UNSEEN)
        x = F.dropout(self.model.embed_tokens(tokens), self.config["dropout"], self.training)
        return x, angles.cos(), angles.sin(), mask

    def deep(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor) -> Tensor:
        """All but the embedding, and the part to compile. `mask`: (rows, 1, length, length), 0 or UNSEEN."""
        for layer in self.model.layers:
            x = layer(x, (cosine, sine), mask)
        return self.model.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        return F.linear(states, self.model.embed_tokens.weight)
