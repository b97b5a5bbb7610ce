"""Writes lutra-tones as stable-audio-tools' single file with its configuration, and T5's encoder with its tokenizer beside it.

    PYTHONPATH=reference/train .venv/bin/python -m tones.export --work DIR   (of the checkpoint's mean weights, at any time)
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from .coder import HOP, LATENTS, SHAPE, Coder
from .common import CONFIG

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
    from .tokenizer import write_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.model.{name}": value for name, value in model.transformer.state_dict().items()}
    tensors |= {f"conditioner.conditioners.seconds_total.embedder.{name}": value for name, value in model.seconds.state_dict().items()}
    for name, value in coder.state_dict().items():
        is_snake = name.endswith((".alpha", ".beta"))
        tensors["pretransform.model." + coder_name(name, len(SHAPE["strides"]))] = value.flatten() if is_snake else value
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "model_config.json").write_text(json.dumps(configuration(), indent=2) + "\n")
    text = type(model.text_encoder)(model.text_encoder.config)
    text.load_state_dict(model.text_encoder.state_dict())
    text.half().save_pretrained(folder / "t5")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    write_tokenizer(tokenizer, folder / "t5")
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)


def main() -> None:
    from .common import Average
    from .tokenizer import make_tokenizer
    from .train_transformer import Tones, scale_latents

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", type=Path, help="otherwise DIR/lutra-tones")
    options = parser.parse_args()
    tokenizer, coder = make_tokenizer(), Coder()
    coder.load_state_dict(torch.load(options.work / "coder.pt", weights_only=True))
    scale_latents(coder, torch.load(options.work / "pool.pt", weights_only=True)["scale"])
    saved = torch.load(options.work / "transformer.pt", weights_only=True)
    model = Tones(tokenizer.get_vocab_size())
    model.load_state_dict(saved["model"])
    average = Average([model], 0.5)
    average.values = saved["average"]
    average.swap()
    write(model, coder, tokenizer, options.to or options.work / "lutra-tones")


if __name__ == "__main__":
    main()
