"""Trains lutra-tones' text encoder, number conditioner and diffusion transformer (rectified flow); resumes from its checkpoint.

    PYTHONPATH=reference/train .venv/bin/python -m tones.train_transformer --work DIR --minutes 25

Needs the autoencoder that train_autoencoder left in DIR/coder.pt. First its latents are scaled, by changing its outermost
convolutions; then a pool of sounds is rendered and encoded; then the transformer learns from pieces of them that begin at their
beginning, of one length a batch, told so in seconds. DIR/lutra-tones is a whole model at the end (export.py).
"""

from __future__ import annotations

import itertools
import math
import random

import torch
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from muon import Muon

from .coder import HOP, LATENTS, TONAL, Coder
from .common import CONFIG, Average, Keeper, Schedule, arguments
from .export import write
from .prompts import prompt_of
from .sounds import NOISY, RATE, SWEEPS, Renderer, Sound, random_sound
from .subbands import analyse, dense
from .tokenizer import make_tokenizer, with_chatter
from .transformer import Seconds, Transformer

SETTINGS, TEXT = CONFIG["train_transformer"], CONFIG["text_encoder"]
FRAMES = CONFIG["sample_frames"]
LENGTHS = SETTINGS["lengths"]  # seconds of the takes that are learnt


class Tones(nn.Module):
    """Everything between a prompt and a velocity."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.text_encoder = T5EncoderModel(T5Config(
            vocab_size=vocabulary, layer_norm_epsilon=1e-6, dropout_rate=0.0, pad_token_id=0, eos_token_id=1,
            **{key: value for key, value in TEXT.items() if key != "prompt_tokens"},
        ))
        self.seconds = Seconds()
        self.transformer = Transformer()

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, mask: Tensor, seconds: Tensor, has_prompt: Tensor) -> Tensor:
        """x (n, channels, frames), t (n), ids and mask (n, tokens), seconds (n), has_prompt (n) -> velocity like x."""
        text = self.text_encoder(ids, attention_mask=mask).last_hidden_state * mask[..., None]
        length = self.seconds(seconds)
        cross = torch.cat([text, length[:, None]], 1) * has_prompt[:, None, None]
        return self.transformer(x, t, cross, length)


@torch.no_grad()
def scale_latents(coder: Coder, scale: Tensor) -> None:
    """Changes the coder so that encoded means are divided by `scale`, and decoding undoes it."""
    last, first = coder.encoder.conv2, coder.decoder.conv1
    last.weight_g[:LATENTS] /= scale[:, None, None]
    last.bias[:LATENTS] /= scale
    weight = dense(first) * scale[None, :, None]
    first.weight_v.copy_(weight)
    first.weight_g.copy_(weight.flatten(1).norm(dim=1)[:, None, None])


@torch.no_grad()
def encode(coder: Coder, sounds: list[Sound], device: str, batch: int = 8) -> Tensor:
    """(n, channels, frames). Of what has no noise in it, the latents of noise are nothing."""
    renderer = Renderer(FRAMES * HOP, device)
    latents = torch.cat([analyse(coder, renderer(sounds[at : at + batch])) for at in range(0, len(sounds), batch)])
    latents[[sound.kind not in NOISY for sound in sounds], TONAL:] = 0
    return latents


def pool_sounds(rng: random.Random, count: int) -> list[Sound]:
    """As long as can be, since a piece from its beginning is a shorter sound, but for sweeps, which end with their length."""
    sounds = [random_sound(rng, FRAMES * HOP / RATE) for _ in range(count)]
    for sound in sounds:
        sound.seconds = rng.choice(LENGTHS) if sound.kind in SWEEPS else FRAMES * HOP / RATE
    return sounds


class Pool:
    """Encoded sounds; wordings are made for each batch."""

    def __init__(self, sounds: list[Sound], latents: Tensor, tokenizer, device: str, seed: int, held_out: bool = False):
        self.sounds, self.latents, self.tokenizer, self.device, self.held_out = sounds, latents, tokenizer, device, held_out
        self.rng = random.Random(seed)
        self.rows = {length: [i for i, s in enumerate(sounds) if s.kind not in SWEEPS or s.seconds == length] for length in LENGTHS}
        tokenizer.enable_padding(length=TEXT["prompt_tokens"])
        tokenizer.enable_truncation(TEXT["prompt_tokens"])

    def batch(self, size: int) -> tuple[Tensor, ...]:
        length = self.rng.choices(LENGTHS, SETTINGS["length_weights"])[0]
        rows = self.rng.choices(self.rows[length], k=size)
        prompts = [prompt_of(self.sounds[row], self.rng, self.held_out) for row in rows]
        if not self.held_out:
            prompts = [with_chatter(prompt, self.rng) for prompt in prompts]
        encodings = self.tokenizer.encode_batch(prompts)
        ids = torch.tensor([e.ids for e in encodings], device=self.device)
        mask = torch.tensor([e.attention_mask for e in encodings], device=self.device)
        frames = min(FRAMES, math.ceil(length * RATE / HOP))
        return self.latents[rows, :, :frames].float(), ids, mask, torch.full((size,), length, device=self.device)


def loss_of(model: Tones, batch: tuple[Tensor, ...], t: Tensor, has_prompt: Tensor) -> Tensor:
    x, ids, mask, seconds = batch
    noise = torch.randn_like(x)
    at = t[:, None, None]
    v = model((1 - at) * x + at * noise, t, ids, mask, seconds, has_prompt)
    return (v - (noise - x)).square().mean()


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    device = options.device
    torch.manual_seed(CONFIG["seed"])
    tokenizer, coder = make_tokenizer(), Coder().to(device).eval()
    keeper, pool_path = Keeper(options.work, "transformer"), options.work / "pool.pt"
    rng = random.Random(CONFIG["seed"] + 1)
    sounds, unseen = pool_sounds(rng, SETTINGS["pool_sounds"]), pool_sounds(rng, SETTINGS["held_out_sounds"])
    if pool_path.exists():
        kept = torch.load(pool_path, map_location=device, weights_only=True)
        scale, latents = kept["scale"], kept["latents"]
    else:
        coder.load_state_dict(torch.load(options.work / "coder.pt", map_location=device, weights_only=True))
        latents = encode(coder, [*sounds, *unseen], device)
        # Half way to equal deviations: what is strong stays stronger, so that most is learnt of what is heard most.
        deviation = latents.transpose(0, 1).flatten(1).std(1).clamp(min=1e-3)
        scale = deviation.sqrt()
        scale = scale * (deviation / scale).square().mean().sqrt()
        latents = (latents / scale[:, None]).half()
        torch.save({"scale": scale, "latents": latents}, pool_path)
    pool = Pool(sounds, latents[: len(sounds)], tokenizer, device, CONFIG["seed"] + 2)
    held_out = Pool(unseen, latents[len(sounds) :], tokenizer, device, CONFIG["seed"] + 3, held_out=True)
    model = Tones(tokenizer.get_vocab_size()).to(device)
    optimizer = Muon(
        model, lambda name: "layers" in name or "encoder.block" in name, SETTINGS["muon_rate"], SETTINGS["learning_rate"], decay=0.01
    )
    first, spent = 0, 0.0
    saved = keeper.load(device)
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    average = Average([model], SETTINGS["ema"])
    if saved is not None:
        average.values, average.steps, first, spent = saved["average"], saved["steps"], saved["steps"], saved["spent"]
    schedule = Schedule(options.minutes, spent)
    n = SETTINGS["batch"]
    for step in itertools.count(first):
        # Evenly by the logarithm of signal to noise, as sampling goes: what the prompt decides is settled where noise is strong.
        t = torch.sigmoid(torch.rand(n, device=device) * 10 - 3)
        has_prompt = (torch.rand(n, device=device) >= SETTINGS["no_prompt_share"]).float()
        loss = loss_of(model, pool.batch(n), t, has_prompt)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(schedule.factor())
        average.update()
        ends = schedule.spent >= schedule.total
        if step % 100 == 0 or ends:
            average.swap()
            with torch.no_grad():
                grid, all_told = torch.linspace(0.05, 0.95, n, device=device), torch.ones(n, device=device)
                figures = [loss_of(model, held_out.batch(n), grid, all_told).item() for _ in range(4)]
            average.swap()
            keeper.note(step=step, minutes=schedule.spent / 60, loss=loss.item(), held_out=sum(figures) / len(figures))
        if ends or keeper.is_due():
            keeper.save({
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.values,
                "steps": step + 1, "spent": schedule.spent,
            })
        if ends:
            break
    average.swap()
    coder.load_state_dict(torch.load(options.work / "coder.pt", map_location=device, weights_only=True))
    scale_latents(coder, scale)
    write(model, coder, tokenizer, options.work / "lutra-tones")


if __name__ == "__main__":
    main()
