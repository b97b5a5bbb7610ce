"""Oobleck's autoencoder from diffusers' parts, with widths of its own for the encoder and the decoder."""

from __future__ import annotations

import math
import warnings

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import OobleckDecoder, OobleckDiagonalGaussianDistribution, OobleckEncoder, Snake1d
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
    """diffusers' Snake1d: alpha and beta are logarithms."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.zeros(1, channels, 1)), nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return _Snake.apply(x, self.alpha.exp(), self.beta.exp())


def _with_own_snake(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, Snake1d):
            setattr(module, name, Snake(child.alpha.shape[1]))
        else:
            _with_own_snake(child)
    return module


class Coder(nn.Module):
    """(n, 2, samples) in -1 to 1 to (n, latents, samples / hop) and back.

    diffusers' AutoencoderOobleck ties the encoder's width at the full rate to the number of latents; here they are free, as in
    stable-audio-tools.
    """

    def __init__(self) -> None:
        super().__init__()
        strides, wide, narrow = SHAPE["strides"], SHAPE["encoder"], SHAPE["decoder"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the old-style weight norm is the file's
            encoder = OobleckEncoder(wide["channels"], 2, strides, wide["multiples"])
            encoder.conv2 = weight_norm(nn.Conv1d(wide["channels"] * wide["multiples"][-1], 2 * LATENTS, 3, padding=1))
            decoder = OobleckDecoder(narrow["channels"], LATENTS, 2, strides[::-1], narrow["multiples"])
        self.encoder, self.decoder = _with_own_snake(encoder), _with_own_snake(decoder)

    def encode(self, audio: Tensor) -> OobleckDiagonalGaussianDistribution:
        return OobleckDiagonalGaussianDistribution(self.encoder(audio))

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)
