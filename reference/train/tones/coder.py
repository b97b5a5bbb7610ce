"""Oobleck's autoencoder (Stable Audio's) in PyTorch, named as in diffusers; the widths of encoder and decoder are free."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn.utils import weight_norm

from .common import CONFIG

SHAPE = CONFIG["autoencoder"]
HOP, TONAL = math.prod(SHAPE["strides"]), SHAPE["latents"]
LATENTS = TONAL + 2 * 4 * len(SHAPE["noise_bands"])  # with those of noise (subbands.py)


class _Snake(torch.autograd.Function):
    """x + sin(a x)^2 / b with its own derivative: a third of the passes over memory that autograd would make."""

    @staticmethod
    def forward(ctx, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        turned = x * a
        sine = torch.sin(turned)
        ctx.save_for_backward(x, a, b, turned, sine)
        return torch.addcmul(x, sine * sine, 1 / (b + 1e-9))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, a, b, turned, sine = ctx.saved_tensors
        inverse = 1 / (b + 1e-9)
        slope = gradient * torch.sin(2 * turned)
        for_a = (slope * x).sum((0, 2), keepdim=True) * inverse
        for_b = -(gradient * sine * sine).sum((0, 2), keepdim=True) * inverse * inverse
        return torch.addcmul(gradient, slope, a * inverse), for_a, for_b


class Snake(nn.Module):
    """alpha and beta are logarithms."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.zeros(1, channels, 1)), nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return _Snake.apply(x, self.alpha.exp(), self.beta.exp())


def same(inputs: int, outputs: int, kernel: int, dilation: int = 1, has_bias: bool = True) -> nn.Module:
    """A convolution that keeps the length."""
    return weight_norm(nn.Conv1d(inputs, outputs, kernel, dilation=dilation, padding=dilation * (kernel // 2), bias=has_bias))


class ResidualUnit(nn.Module):
    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.snake1, self.conv1 = Snake(channels), same(channels, channels, 7, dilation)
        self.snake2, self.conv2 = Snake(channels), same(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.snake2(self.conv1(self.snake1(x))))


class Level(nn.Module):
    """One change of rate: three residual units at the higher rate, and a strided or a transposed convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, is_up: bool):
        super().__init__()
        width, how = outputs if is_up else inputs, {"kernel_size": 2 * stride, "stride": stride, "padding": math.ceil(stride / 2)}
        self.is_up, self.snake1 = is_up, Snake(inputs)
        if is_up:
            self.conv_t1 = weight_norm(nn.ConvTranspose1d(inputs, outputs, **how))
        else:
            self.conv1 = weight_norm(nn.Conv1d(inputs, outputs, **how))
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(width, dilation) for dilation in (1, 3, 9))

    def forward(self, x: Tensor) -> Tensor:
        if self.is_up:
            x = self.conv_t1(self.snake1(x))
        x = self.res_unit3(self.res_unit2(self.res_unit1(x)))
        return x if self.is_up else self.conv1(self.snake1(x))


class Half(nn.Module):
    """Encoder or decoder. `widths`: channels at each rate in the order in which they are passed."""

    def __init__(self, inputs: int, widths: list[int], strides: list[int], outputs: int, is_up: bool):
        super().__init__()
        self.conv1 = same(inputs, widths[0], 7)
        self.block = nn.ModuleList(Level(a, b, stride, is_up) for a, b, stride in zip(widths, widths[1:], strides))
        self.snake1 = Snake(widths[-1])
        self.conv2 = same(widths[-1], outputs, 7 if is_up else 3, has_bias=not is_up)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for level in self.block:
            x = level(x)
        return self.conv2(self.snake1(x))


class Coder(nn.Module):
    """(n, 2, samples) in -1 to 1 to (n, LATENTS, samples / HOP) and back."""

    def __init__(self) -> None:
        super().__init__()
        strides = SHAPE["strides"]
        wide, narrow = ([side["channels"] * m for m in [1, *side["multiples"]]] for side in (SHAPE["encoder"], SHAPE["decoder"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the old-style weight norm is the file's
            self.encoder = Half(2, wide, strides, 2 * LATENTS, is_up=False)
            self.decoder = Half(LATENTS, narrow[::-1], strides[::-1], 2, is_up=True)

    def encode(self, audio: Tensor) -> Tensor:
        """Means."""
        return self.encoder(audio)[:, :LATENTS]

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)
