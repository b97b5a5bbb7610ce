"""Gives a trained decoder a second path beside its own, for noise alone, that is computed and not trained.

    PYTHONPATH=reference/train .venv/bin/python -m tones.noise_path --model DIR/lutra-tones --to models/lutra-tones

Why: a decoder that learns from differences of spectra and samples makes noise too soft, since silence is nearer to a noise than
another noise is; and probably because Adam moves what hardly matters as fast as what does. After 2,940 steps noise
came out at a tenth of its strength, hats were not heard, and of ten rendered drum loops that went through the autoencoder three kept
their tempo; with this path nine do. So the latents of noise no longer enter the trained channels. They have channels of their
own that undo the encoder's transform (subbands.py). It is one Oobleck as before, wider, with zeros between the two paths.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .coder import LATENTS, SHAPE, TONAL, Coder, Half
from .export import coder_name, read_coder
from .subbands import STRAIGHT, Analysis, dense, noise_gains

PATH = SHAPE["noise_path"]
WIDTHS = [PATH["channels"] * m for m in [*PATH["multiples"][::-1], 1]]  # in the order in which they are passed
TRAINED = [SHAPE["decoder"]["channels"] * m for m in [*SHAPE["decoder"]["multiples"][::-1], 1]]


def _put(convolution: nn.Module, weight: Tensor, bias: Tensor | None = None) -> None:
    """Old-style weight norm divides by a row's length, so rows of zeros get a direction and no length."""
    lengths = weight.flatten(1).norm(dim=1)
    convolution.weight_g.copy_(lengths[:, None, None])
    convolution.weight_v.copy_(torch.where((lengths > 0)[:, None, None], weight, torch.full_like(weight, 0.01)))
    if bias is not None:
        convolution.bias.zero_()
        convolution.bias[: len(bias)] = bias


def _widened(weight: Tensor, like: nn.Module) -> Tensor:
    """The trained weight in the first rows and columns, zeros elsewhere."""
    wide = torch.zeros_like(like.weight_v)
    wide[: weight.shape[0], : weight.shape[1]] = weight
    return wide


def _snake(wide: nn.Module, trained: nn.Module) -> None:
    """The channels behind the trained ones pass as they are."""
    count = trained.alpha.shape[1]
    wide.alpha.zero_()
    wide.beta.fill_(STRAIGHT)
    wide.alpha[:, :count], wide.beta[:, :count] = trained.alpha, trained.beta


def _bases(analyse: Analysis) -> list[Tensor]:
    """Of each transposed convolution, (in, out, stride): the patterns of noise as strong as they are to be, first in as few channels
    as hold them, and the levels below."""
    (first, low), (second, middle), (third, top) = analyse.levels
    patterns = top[TONAL:].unflatten(1, (-1, third)) * noise_gains(analyse)[:, None, None]
    taps = patterns.transpose(1, 2).flatten(0, 1)
    turn = torch.linalg.svd(taps, full_matrices=False).Vh[: PATH["subbands"]]
    middle = (turn @ middle).unflatten(1, (-1, second))
    return [torch.einsum("ict,oc->iot", patterns, turn), middle, low.unflatten(1, (-1, first))]


@torch.no_grad()
def with_noise_path(coder: Coder) -> Half:
    """The wider decoder. Latents of `coder` may be scaled (train_transformer.scale_latents)."""
    analyse, trained = Analysis(coder), coder.decoder
    wide = Half(LATENTS, WIDTHS, SHAPE["strides"][::-1], 2, is_up=True)
    weight = dense(trained.conv1).clone()
    weight[:, TONAL:] = 0
    weight = _widened(weight, wide.conv1)
    for latent in range(TONAL, LATENTS):
        weight[TRAINED[0] + latent - TONAL, latent, 3] = 1 / analyse.last[latent, latent]
    _put(wide.conv1, weight, trained.conv1.bias)
    for level, (new, old, basis) in enumerate(zip(wide.block, trained.block, _bases(analyse))):
        inputs, outputs, half = TRAINED[level], TRAINED[level + 1], basis.shape[2] // 2
        weight = _widened(dense(old.conv_t1), new.conv_t1)
        weight[inputs : inputs + len(basis), outputs : outputs + basis.shape[1], half : half + basis.shape[2]] = basis
        _put(new.conv_t1, weight, old.conv_t1.bias)
        _snake(new.snake1, old.snake1)
        for unit in ("res_unit1", "res_unit2", "res_unit3"):
            for part in ("1", "2"):
                to, source = (getattr(getattr(block, unit), f"conv{part}") for block in (new, old))
                _put(to, _widened(dense(source), to), source.bias)
                _snake(*(getattr(getattr(block, unit), f"snake{part}") for block in (new, old)))
    _snake(wide.snake1, trained.snake1)
    weight = _widened(dense(trained.conv2), wide.conv2)
    for side in (0, 1):
        weight[side, TRAINED[-1] + side, 3] = 1
    _put(wide.conv2, weight)
    return wide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="as export.py leaves it")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(5)
    coder = Coder()
    read_coder(coder, options.model)
    coder.decoder = with_noise_path(coder)
    shutil.copytree(options.model, options.to, dirs_exist_ok=True)
    tensors = load_file(options.model / "model.safetensors")
    for name, value in coder.state_dict().items():
        if name.startswith("decoder."):
            flat = value.flatten() if name.endswith((".alpha", ".beta")) else value
            tensors["pretransform.model." + coder_name(name, len(SHAPE["strides"]))] = flat.half().contiguous()
    save_file(tensors, options.to / "model.safetensors", {"format": "pt"})
    configuration = json.loads((options.to / "model_config.json").read_text())
    decoder = configuration["model"]["pretransform"]["config"]["decoder"]["config"]
    decoder["channels"], decoder["c_mults"] = PATH["channels"], PATH["multiples"]
    (options.to / "model_config.json").write_text(json.dumps(configuration, indent=2) + "\n")
    (options.to / "model.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
