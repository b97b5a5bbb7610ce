"""Where the autoencoder starts, and all that its encoder is: a linear transform coder written into Oobleck's convolutions.

Each strided convolution is an orthonormal basis of the blocks of its stride (principal components, level by level, of rendered
sounds), each transposed one begins as the same basis turned round, residual units as identities and Snake as (nearly) one. So the
first sound out of the decoder is already the sound that went in, but for what the latents do not hold; training the decoder adds
what it can. From random weights the same quality took many times the steps that a processor has time for.

The strongest components of sounds leave noise out. So a latent frame also gets, for each side, band and quarter of its time, the
product of the signal with one fixed pattern, a piece of such noise without the tonal components. Of noise the product is a random
number of the noise's strength; the decoder makes of it the same pattern, as strong as all the noise of that band and quarter was:
other noise of the same place, band and strength.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor, nn

from .coder import HOP, LATENTS, SHAPE, TONAL, Coder
from .sounds import NOISY, RATE, Renderer, random_sound

BANDS, QUARTERS = [tuple(band) for band in SHAPE["noise_bands"]], 4
_SMALL = 0.01  # of what is not part of the transform, so that no weight of the decoder begins in a dead end
STRAIGHT = math.log(1e4)  # Snake's beta: x + sin(x)^2 / 10000


@torch.no_grad()
def _set(convolution: nn.Module, weight: Tensor, small: float) -> None:
    """Old-style weight norm: the direction and its lengths along the first dimension."""
    weight = weight + small * torch.randn_like(weight) / math.sqrt(weight[0].numel())
    convolution.weight_v.copy_(weight)
    convolution.weight_g.copy_(weight.flatten(1).norm(dim=1)[:, None, None])
    if convolution.bias is not None:
        convolution.bias.zero_()


def _taps(rows: int, columns: int, kernel: int, at: int) -> Tensor:
    """(rows, columns, kernel): ones of the diagonal at one tap."""
    weight = torch.zeros(rows, columns, kernel)
    for i in range(min(rows, columns)):
        weight[i, i, at] = 1
    return weight


def _basis(rows: Tensor, most: int) -> Tensor:
    """(most or fewer, width): orthonormal, the strongest first, of rows (n, width)."""
    values, vectors = torch.linalg.eigh((rows.T @ rows / len(rows)).cpu())
    kept = vectors.flip(1)[:, :most].T.contiguous()
    print(f"{rows.shape[1]} -> {len(kept)}: {values.flip(0)[:most].sum() / values.sum():.2%} of the power is kept", flush=True)
    return kept.to(rows.device)


def _blocks(signal: Tensor, stride: int) -> Tensor:
    """(n, channels, time) -> (n, time / stride, channels * stride), the taps of a channel together."""
    n, channels, time = signal.shape
    return signal.reshape(n, channels, time // stride, stride).transpose(1, 2).reshape(n, time // stride, channels * stride)


def _through(signal: Tensor, bases: list[Tensor]) -> Tensor:
    """(n, channels, time), each stride's blocks onto its basis."""
    for stride, basis in zip(SHAPE["strides"], bases):
        signal = (_blocks(signal, stride) @ basis.T).transpose(1, 2)
    return signal


def _band_noise(low: float, high: float, side: int) -> Tensor:
    """(1, 2, 48 frames) on one side."""
    samples = 48 * HOP
    spectrum = torch.fft.rfft(torch.randn(samples))
    hertz = torch.fft.rfftfreq(samples, 1 / RATE)
    spectrum[(hertz < low) | (hertz > high)] = 0
    audio = torch.zeros(1, 2, samples)
    audio[0, side] = torch.fft.irfft(spectrum, samples)
    return audio


def _patterns(bases: list[Tensor], tonal: Tensor) -> tuple[Tensor, Tensor]:
    """(LATENTS - TONAL, width) patterns of length 1, and how much stronger each is made again."""
    stride = SHAPE["strides"][-1]
    rows, gains = [], []
    for side in (0, 1):
        for low, high, share in BANDS:
            pieces = _blocks(_through(_band_noise(low, high, side), bases), stride)[0]  # (frames, width)
            pieces = pieces - pieces @ tonal.T @ tonal
            for quarter in range(QUARTERS):
                taps = torch.arange(pieces.shape[1]) % stride * QUARTERS // stride == quarter
                own = pieces * taps
                pattern = own[quarter] - own[quarter] @ tonal.T @ tonal
                pattern = pattern / pattern.norm()
                rows.append(pattern)
                gains.append(share * (own[4:].square().sum() / (own[4:] @ pattern).square().sum()).sqrt())
    return torch.stack(rows), torch.stack(gains)


def start(model: Coder, sounds: int, frames: int, seed: int, device: str) -> None:
    """Writes the transform of `sounds` random sounds of `frames` latent frames each into the model, which is on `device`."""
    with torch.no_grad(), torch.device(device):
        _write(model, sounds, frames, seed, device)


def _write(model: Coder, sounds: int, frames: int, seed: int, device: str) -> None:
    rng, renderer = random.Random(seed), Renderer(frames * HOP, device)
    chosen = [random_sound(rng, frames * HOP / RATE) for _ in range(sounds)]
    signal = torch.cat([renderer(chosen[at : at + 32]) for at in range(0, sounds, 32)])
    signal = signal / (signal.square().mean((1, 2), keepdim=True).sqrt() + 0.02)  # soft ones count too
    encoder, decoder = model.encoder, model.decoder
    for half, small in ((encoder, _SMALL / 10), (decoder, _SMALL)):
        for part in half.modules():
            if type(part).__name__ == "ResidualUnit":
                _set(part.conv2, torch.zeros_like(part.conv2.weight_v), small)
            if hasattr(part, "beta"):
                part.beta.fill_(STRAIGHT)
    _set(encoder.conv1, _taps(encoder.conv1.weight_v.shape[0], 2, 7, 3), _SMALL / 10)
    _set(decoder.conv2, _taps(2, decoder.conv2.weight_v.shape[1], 7, 3), _SMALL)
    # The sides apart, so that what is kept of high sounds is not only what both sides have in common.
    sided = torch.cat([signal[: sounds // 3] * torch.eye(2)[side][None, :, None] for side in (0, 1)])
    bases: list[Tensor] = []
    for level, stride in enumerate(SHAPE["strides"]):
        down, up = encoder.block[level].conv1, decoder.block[-1 - level].conv_t1
        rows, gains = _blocks(signal, stride), torch.ones(())
        if level < len(SHAPE["strides"]) - 1:
            apart = _blocks(sided, stride)
            basis = _basis(apart.flatten(0, 1), min(down.weight_v.shape[0], up.weight_v.shape[0]))
            sided, signal = ((x @ basis.T).transpose(1, 2) for x in (apart, rows))
        else:
            tonal = _basis(rows[torch.tensor([sound.kind not in NOISY for sound in chosen])].flatten(0, 1), TONAL)
            patterns, strengths = _patterns(bases, tonal)
            basis, gains = torch.cat([tonal, patterns]), torch.cat([torch.ones(TONAL), strengths])[:, None, None]
        bases.append(basis)
        vectors = basis.reshape(len(basis), -1, stride)
        channels, first = vectors.shape[1], stride // 2
        analysis = torch.zeros_like(down.weight_v)  # (out, in, kernel)
        analysis[: len(basis), :channels, first : first + stride] = vectors
        synthesis = torch.zeros_like(up.weight_v)  # (in, out, kernel)
        synthesis[: len(basis), :channels, first : first + stride] = vectors * gains
        _set(down, analysis, _SMALL / 10)
        _set(up, synthesis, _SMALL)
    means = torch.arange(2 * LATENTS)[:, None, None] < LATENTS
    _set(encoder.conv2, _taps(2 * LATENTS, encoder.conv2.weight_v.shape[1], 3, 1) * means, _SMALL / 10)
    encoder.conv2.bias[LATENTS:] = -4.0  # of the deviations
    _set(decoder.conv1, _taps(decoder.conv1.weight_v.shape[0], LATENTS, 7, 3), _SMALL)


@torch.no_grad()
def noise_gains(analyse: Analysis) -> Tensor:
    """(LATENTS - TONAL): how much stronger each pattern of noise is to be made again, as when the encoder was written; found anew
    with other noise."""
    stride, last = analyse.levels[-1]
    bases, tonal, patterns = [basis for _, basis in analyse.levels[:-1]], last[:TONAL], last[TONAL:]
    gains = []
    for side in (0, 1):
        for low, high, share in BANDS:
            pieces = _blocks(_through(_band_noise(low, high, side), bases), stride)[0]
            pieces = pieces - pieces @ tonal.T @ tonal
            for quarter in range(QUARTERS):
                own = pieces * (torch.arange(pieces.shape[1]) % stride * QUARTERS // stride == quarter)
                gains.append(share * (own.square().sum() / (own @ patterns[len(gains)]).square().sum()).sqrt())
    return torch.stack(gains)


class Analysis:
    """What the encoder gives, (n, LATENTS, frames) of (n, 2, frames * HOP), in a hundredth of the time: it is linear."""

    @torch.no_grad()
    def __init__(self, model: Coder):
        channels, self.levels = 2, []
        for block, stride in zip(model.encoder.block, SHAPE["strides"]):
            weight = dense(block.conv1)[: _used(block.conv1), :channels, stride // 2 : stride // 2 + stride]
            self.levels.append((stride, weight.flatten(1)))
            channels = len(weight)
        self.last = dense(model.encoder.conv2)[:LATENTS, :channels, 1]
        self.bias = model.encoder.conv2.bias[:LATENTS].detach()

    @torch.no_grad()
    def __call__(self, audio: Tensor) -> Tensor:
        signal = audio
        for stride, weight in self.levels:
            signal = (_blocks(signal, stride) @ weight.T).transpose(1, 2)
        return torch.einsum("oc,nct->not", self.last, signal) + self.bias[:, None]


def dense(convolution: nn.Module) -> Tensor:
    """Of a convolution with old-style weight norm."""
    v = convolution.weight_v
    return convolution.weight_g * v / v.flatten(1).norm(dim=1)[:, None, None]


def _used(convolution: nn.Module) -> int:
    """Channels that are part of the transform: their rows are of length 1, those of the others of nearly none."""
    return int((convolution.weight_g.flatten() > 0.5).sum())
