"""Writes lutra-tones as stable-audio-tools' single file with its configuration, and T5's encoder with its tokenizer beside it.

    PYTHONPATH=reference/train .venv/bin/python -m tones.export --work DIR   (of the checkpoint's mean weights, at any time)
"""

from __future__ import annotations

import argparse
import io
import json
import re
import tarfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .coder import HOP, LATENTS, SHAPE, Coder
from .common import CONFIG
from .text import configuration as text_configuration
from .tokenizer import write_tokenizer

PIECE = 14 << 20
_RESIDUAL = {"snake1": "0", "conv1": "1", "snake2": "2", "conv2": "3"}


def coder_name(name: str, levels: int) -> str:
    """diffusers' name of a tensor of Oobleck in stable-audio-tools."""
    half, *parts, tensor = name.split(".")
    if parts[0] != "block":
        return f"{half}.layers.{ {'conv1': 0, 'snake1': levels + 1, 'conv2': levels + 2}[parts[0]] }.{tensor}"
    own = {"snake1": 0, "conv_t1": 1} if half == "decoder" else {"snake1": 3, "conv1": 4}
    if unit := re.fullmatch(r"res_unit(\d)", parts[2]):
        at = int(unit[1]) - 1 + (2 if half == "decoder" else 0)
        return f"{half}.layers.{int(parts[1]) + 1}.layers.{at}.layers.{_RESIDUAL[parts[3]]}.{tensor}"
    return f"{half}.layers.{int(parts[1]) + 1}.layers.{own[parts[2]]}.{tensor}"


@torch.no_grad()
def read_coder(coder: Coder, folder: Path) -> None:
    """Of a finished model, as `write` leaves it."""
    tensors = load_file(folder / "model.safetensors")
    for name, value in coder.state_dict().items():
        value.copy_(tensors["pretransform.model." + coder_name(name, len(SHAPE["strides"]))].reshape(value.shape))


def configuration() -> dict:
    """model_config.json; "defaults" is Lutra's own: what is taken where a request leaves it open."""
    half = {"strides": SHAPE["strides"], "use_snake": True}
    widths = {side: {"channels": SHAPE[side]["channels"], "c_mults": SHAPE[side]["multiples"]} for side in ("encoder", "decoder")}
    text, shape, seconds = CONFIG["text_encoder"], CONFIG["transformer"], CONFIG["seconds"]
    return {
        "model_type": "diffusion_cond",
        "sample_size": CONFIG["sample_frames"] * HOP,
        "sample_rate": CONFIG["sample_rate"],
        "audio_channels": 2,
        "model": {
            "pretransform": {"type": "autoencoder", "iterate_batch": False, "config": {
                "encoder": {"type": "oobleck", "config": {"in_channels": 2, **widths["encoder"], **half, "latent_dim": 2 * LATENTS}},
                "decoder": {"type": "oobleck", "config": {"out_channels": 2, **widths["decoder"], **half, "latent_dim": LATENTS, "final_tanh": False}},
                "bottleneck": {"type": "vae"}, "latent_dim": LATENTS, "downsampling_ratio": HOP, "io_channels": 2,
            }},
            "conditioning": {"configs": [
                {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5", "max_length": text["prompt_tokens"]}},
                {"id": "seconds_total", "type": "number", "config": {"min_val": seconds["min_value"], "max_val": seconds["max_value"]}},
            ], "cond_dim": text["d_model"]},
            "diffusion": {
                "diffusion_objective": "rectified_flow", "cross_attention_cond_ids": ["prompt", "seconds_total"],
                "global_cond_ids": ["seconds_total"], "type": "dit",
                "config": {
                    "io_channels": LATENTS, "embed_dim": shape["width"], "depth": shape["layers"], "num_heads": shape["heads"],
                    "cond_token_dim": text["d_model"], "global_cond_dim": text["d_model"], "transformer_type": "continuous_transformer",
                    "attn_kwargs": {"qk_norm": "ln"}, "ff_kwargs": {"mult": shape["feed_forward"] / shape["width"]},
                },
            },
            "io_channels": LATENTS,
        },
        "defaults": CONFIG["defaults"],
    }


@torch.no_grad()
def write(model, coder: Coder, tokenizer, folder: Path) -> None:
    """The whole model, f16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.model.{name}": value for name, value in model.transformer.state_dict().items()}
    tensors |= {f"conditioner.conditioners.seconds_total.embedder.{name}": value for name, value in model.seconds.state_dict().items()}
    for name, value in coder.state_dict().items():
        is_snake = name.endswith((".alpha", ".beta"))
        tensors["pretransform.model." + coder_name(name, len(SHAPE["strides"]))] = value.flatten() if is_snake else value
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "model_config.json").write_text(json.dumps(configuration(), indent=2) + "\n")
    (folder / "t5").mkdir(exist_ok=True)
    text = {name: value.half().contiguous() for name, value in model.text_encoder.state_dict().items()}
    save_file(text, folder / "t5" / "model.safetensors", {"format": "pt"})
    (folder / "t5" / "config.json").write_text(json.dumps(text_configuration(len(text["shared.weight"])), indent=2) + "\n")
    write_tokenizer(tokenizer, folder / "t5")
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)


def pack(parts: list[Path], target: Path) -> None:
    """Files and folders as TARGET.0, .1 and so on, pieces of one archive; each is whole or not there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for part in parts:
            archive.add(part, part.name)
    for at, first in enumerate(range(0, buffer.tell(), PIECE)):
        path = target.with_name(f"{target.name}.{at}")
        path.with_suffix(".part").write_bytes(buffer.getbuffer()[first : first + PIECE])
        path.with_suffix(".part").replace(path)


def main() -> None:
    from .common import Average
    from .tokenizer import make_tokenizer
    from .train_transformer import Tones, scale_latents

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", type=Path, help="otherwise DIR/lutra-tones")
    options = parser.parse_args()
    tokenizer, coder = make_tokenizer(), Coder()
    coder.load_state_dict(torch.load(options.work / "coder.pt", map_location="cpu", weights_only=True))
    saved = torch.load(options.work / "transformer.pt", map_location="cpu", weights_only=True)
    scale_latents(coder, saved["scale"])
    model = Tones(tokenizer.get_vocab_size())
    average = Average([model], 0.5)
    average.values = saved["average"]
    average.swap()
    write(model, coder, tokenizer, options.to or options.work / "lutra-tones")


if __name__ == "__main__":
    main()
