"""T5's encoder, named as in transformers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import CONFIG

TEXT = CONFIG["text_encoder"]
WIDTH, HEADS, HEAD = TEXT["d_model"], TEXT["num_heads"], TEXT["d_kv"]


class Scale(nn.Module):
    """T5's norm: without a mean and without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def linear(inputs: int, outputs: int, deviation: float) -> nn.Linear:
    made = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(made.weight, std=deviation)
    return made


def distances(tokens: int) -> Tensor:
    """(tokens, tokens): the bucket of each key's distance from each query, far ones by their logarithm."""
    half, far = TEXT["relative_attention_num_buckets"] // 2, TEXT["relative_attention_max_distance"]
    away = torch.arange(tokens)[None] - torch.arange(tokens)[:, None]
    exact, size = half // 2, away.abs()
    spread = exact + (torch.log(size.clamp(min=1) / exact) / math.log(far / exact) * (half - exact)).long()
    return (away > 0) * half + torch.where(size < exact, size, spread.clamp(max=half - 1))


class SelfAttention(nn.Module):
    def __init__(self, has_bias: bool):
        super().__init__()
        self.q = linear(WIDTH, HEADS * HEAD, (WIDTH * HEAD) ** -0.5)
        self.k, self.v = (linear(WIDTH, HEADS * HEAD, WIDTH**-0.5) for _ in range(2))
        self.o = linear(HEADS * HEAD, WIDTH, (HEADS * HEAD) ** -0.5)
        if has_bias:
            self.relative_attention_bias = nn.Embedding(TEXT["relative_attention_num_buckets"], HEADS)
            nn.init.normal_(self.relative_attention_bias.weight, std=WIDTH**-0.5)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (HEADS, HEAD)).transpose(1, 2) for part in (self.q, self.k, self.v))
        scores = (q @ k.mT).float() + bias  # T5 does not scale
        return self.o((scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, has_bias: bool):
        super().__init__()
        inner = TEXT["d_ff"]
        attention, dense = nn.Module(), nn.Module()
        attention.SelfAttention, attention.layer_norm = SelfAttention(has_bias), Scale()
        dense.DenseReluDense = nn.ModuleDict({"wi": linear(WIDTH, inner, WIDTH**-0.5), "wo": linear(inner, WIDTH, inner**-0.5)})
        dense.layer_norm = Scale()
        self.layer = nn.ModuleList([attention, dense])

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        attention, dense = self.layer
        x = x + attention.SelfAttention(attention.layer_norm(x), bias)
        return x + dense.DenseReluDense["wo"](F.relu(dense.DenseReluDense["wi"](dense.layer_norm(x))))


class TextEncoder(nn.Module):
    """ids and mask (n, tokens) -> (n, tokens, d_model), zero where the mask is."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.shared = nn.Embedding(vocabulary, WIDTH)
        self.encoder = nn.Module()
        self.encoder.block = nn.ModuleList(Layer(has_bias=at == 0) for at in range(TEXT["num_layers"]))
        self.encoder.final_layer_norm = Scale()
        self.register_buffer("distances", distances(TEXT["prompt_tokens"]), persistent=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        table = self.encoder.block[0].layer[0].SelfAttention.relative_attention_bias
        bias = table(self.distances).permute(2, 0, 1)[None] + (mask[:, None, None] - 1.0) * 1e9
        x = self.shared(ids)
        for block in self.encoder.block:
            x = block(x, bias)
        return self.encoder.final_layer_norm(x) * mask[..., None]


def configuration(vocabulary: int) -> dict:
    """config.json of the encoder's folder."""
    return {
        "architectures": ["T5EncoderModel"], "model_type": "t5", "vocab_size": vocabulary, "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.0, "pad_token_id": 0, "eos_token_id": 1, "is_encoder_decoder": False, "use_cache": False, "dtype": "float16",
        **{key: value for key, value in TEXT.items() if key != "prompt_tokens"},
    }
