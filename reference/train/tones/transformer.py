"""The diffusion transformer and its conditions, with the names of stable-audio-tools' single file, so that its state is that file."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .coder import LATENTS
from .common import CONFIG

SHAPE, TEXT, SECONDS = CONFIG["transformer"], CONFIG["text_encoder"], CONFIG["seconds"]
WIDTH, HEADS = SHAPE["width"], SHAPE["heads"]
HEAD = WIDTH // HEADS
TURNED = max(HEAD // 2, 32)  # numbers of each head that rotate


class Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (WIDTH,), self.gamma)


def rotary(frames: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """(frames, TURNED) cosines and sines, half-split."""
    inverse = 10000.0 ** (-torch.arange(0, TURNED, 2, device=device) / TURNED)
    angles = torch.arange(frames, device=device)[:, None] * inverse
    angles = torch.cat([angles, angles], 1)
    return angles.cos(), angles.sin()


def turn(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """x (n, heads, frames, HEAD)"""
    turned, rest = x[..., :TURNED], x[..., TURNED:]
    a, b = turned.chunk(2, -1)
    return torch.cat([turned * cosines + torch.cat([-b, a], -1) * sines, rest], -1)


class Attention(nn.Module):
    """Keys and queries are normalised; `context_width` 0: of x itself."""

    def __init__(self, context_width: int = 0):
        super().__init__()
        if context_width:
            self.to_q = nn.Linear(WIDTH, WIDTH, bias=False)
            self.to_kv = nn.Linear(context_width, 2 * WIDTH, bias=False)
        else:
            self.to_qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.to_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.q_norm, self.k_norm = nn.LayerNorm(HEAD, eps=1e-6), nn.LayerNorm(HEAD, eps=1e-6)

    def forward(self, x: Tensor, context: Tensor | None, table: tuple[Tensor, Tensor], seen: Tensor | None = None) -> Tensor:
        if context is None:
            q, k, v = self.to_qkv(x).chunk(3, -1)
        else:
            q, (k, v) = self.to_q(x), self.to_kv(context).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (HEADS, HEAD)).transpose(1, 2) for part in (q, k, v))
        q, k = self.q_norm(q), self.k_norm(k)
        if context is None:
            q, k = turn(q, *table), turn(k, *table)
        return self.to_out(F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2))


class Gated(nn.Module):
    def __init__(self, inner: int):
        super().__init__()
        self.proj = nn.Linear(WIDTH, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.silu(gate)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        inner = SHAPE["feed_forward"]
        self.pre_norm, self.self_attn = Norm(), Attention()
        self.cross_attend_norm, self.cross_attn = Norm(), Attention(WIDTH)
        self.ff_norm = Norm()
        self.ff = nn.ModuleDict({"ff": nn.Sequential(Gated(inner), nn.Identity(), nn.Linear(inner, WIDTH))})
        for last in (self.self_attn.to_out, self.cross_attn.to_out, self.ff["ff"][2]):
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * SHAPE["layers"]))

    def forward(self, x: Tensor, context: Tensor, table: tuple[Tensor, Tensor], seen: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.pre_norm(x), None, table, seen)
        x = x + self.cross_attn(self.cross_attend_norm(x), context, table)
        return x + self.ff["ff"](self.ff_norm(x))


class Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project_in, self.project_out = nn.Linear(LATENTS, WIDTH, bias=False), nn.Linear(WIDTH, LATENTS, bias=False)
        self.layers = nn.ModuleList(Block() for _ in range(SHAPE["layers"]))
        nn.init.zeros_(self.project_out.weight)


def two(inputs: int, outputs: int, has_bias: bool) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=has_bias), nn.SiLU(), nn.Linear(outputs, outputs, bias=has_bias))


class Frequencies(nn.Module):
    """Of the time, (TIME, 1): drawn once."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SHAPE["time_features"], 1), requires_grad=False)


class Transformer(nn.Module):
    """x (n, LATENTS, frames), t (n), cross (n, tokens, d_model), global (n, d_model) -> velocity like x. `valid` (n, frames): which
    frames there are, where takes of one batch differ in length. On a GPU the blocks multiply in bfloat16; what they add to is float32."""

    def __init__(self) -> None:
        super().__init__()
        width = TEXT["d_model"]
        self.timestep_features = Frequencies()
        self.to_timestep_embed = two(2 * SHAPE["time_features"], WIDTH, True)
        self.to_cond_embed = two(width, WIDTH, False)
        self.to_global_embed = two(width, WIDTH, False)
        self.preprocess_conv = nn.Conv1d(LATENTS, LATENTS, 1, bias=False)
        self.postprocess_conv = nn.Conv1d(LATENTS, LATENTS, 1, bias=False)
        nn.init.zeros_(self.preprocess_conv.weight)
        nn.init.zeros_(self.postprocess_conv.weight)
        self.transformer = Trunk()

    def forward(self, x: Tensor, t: Tensor, cross: Tensor, whole: Tensor, valid: Tensor | None = None) -> Tensor:
        angles = 2 * math.pi * t[:, None] * self.timestep_features.weight[:, 0]
        first = self.to_global_embed(whole) + self.to_timestep_embed(torch.cat([angles.cos(), angles.sin()], 1))
        context = self.to_cond_embed(cross)
        h = self.transformer.project_in((x + self.preprocess_conv(x)).transpose(1, 2))
        h = torch.cat([first[:, None], h], 1)
        table = rotary(h.shape[1], h.device)
        seen = None
        if valid is not None:  # the first is the time and the length
            seen = torch.cat([torch.ones_like(valid[:, :1]), valid], 1)[:, None, None].expand(-1, -1, h.shape[1], -1)
        with torch.autocast(h.device.type, torch.bfloat16, enabled=h.is_cuda):
            for block in self.transformer.layers:
                h = block(h, context, table, seen)
        y = self.transformer.project_out(h[:, 1:].float()).transpose(1, 2)
        return y + self.postprocess_conv(y)


class Seconds(nn.Module):
    """A length as d_model numbers: its share of the range with sines and cosines, through one layer."""

    def __init__(self) -> None:
        super().__init__()
        half = TEXT["d_model"] // 2
        self.embedding = nn.Sequential(nn.Module(), nn.Linear(2 * half + 1, TEXT["d_model"]))
        self.embedding[0].weights = nn.Parameter(torch.randn(half), requires_grad=False)

    def forward(self, seconds: Tensor) -> Tensor:
        low, high = SECONDS["min_value"], SECONDS["max_value"]
        u = ((seconds.clamp(low, high) - low) / (high - low))[:, None]
        angles = 2 * math.pi * u * self.embedding[0].weights
        return self.embedding[1](torch.cat([u, angles.sin(), angles.cos()], 1))
