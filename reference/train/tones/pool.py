"""Takes to learn from: sounds are rendered and encoded where the model trains, wordings are made by a process of their own.

The encoder is linear, so a sound is kept as what it gives on the left and on the right alone: any place and level is a sum of both.
"""

from __future__ import annotations

import math
import multiprocessing
import queue
import random
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .coder import HOP, LATENTS, TONAL, Coder
from .common import CONFIG
from .prompts import prompt_of, with_chatter
from .sounds import LEVELS, NOISY, PANS, RATE, SWEEPS, Renderer, Sound, random_sound
from .subbands import Analysis
from .tokenizer import make_tokenizer

SETTINGS, FRAMES, TOKENS = CONFIG["train_transformer"], CONFIG["sample_frames"], CONFIG["text_encoder"]["prompt_tokens"]
LONGEST = SETTINGS["longest"]


def padded(tokenizer):
    """Gives every prompt TOKENS ids."""
    tokenizer.enable_padding(length=TOKENS)
    tokenizer.enable_truncation(TOKENS)
    return tokenizer


@dataclass
class Chunk:
    """Sounds, and wordings of each that differ in place and level: ids (n, wordings, TOKENS), gains (n, wordings, 2)."""

    sounds: list[Sound]
    ids: np.ndarray
    gains: np.ndarray


def make_chunk(rng: random.Random, tokenizer, count: int, held_out: bool = False) -> Chunk:
    """As long as can be, since a piece from its beginning is a shorter sound, but for sweeps, which end with their length."""
    sounds, prompts, gains = [random_sound(rng, LONGEST) for _ in range(count)], [], []
    for sound in sounds:
        is_long = rng.random() < SETTINGS["longest_share"]
        varied = LONGEST if is_long else round(rng.uniform(SETTINGS["shortest"], LONGEST), 2)
        sound.seconds = varied if sound.kind in SWEEPS else FRAMES * HOP / RATE
        for _ in range(SETTINGS["wordings"]):
            placed = replace(sound, pan=rng.choice([*PANS, "centre"]), level=rng.choice([*LEVELS, "normal"]))
            prompt = prompt_of(placed, rng, held_out)
            prompts.append(prompt if held_out else with_chatter(prompt, rng))
            gains.append(placed.gains)
    shape = (count, SETTINGS["wordings"], -1)
    ids = np.array([encoding.ids for encoding in tokenizer.encode_batch(prompts)], np.int16)
    return Chunk(sounds, ids.reshape(shape), np.array(gains, np.float32).reshape(shape))


def _work(chunks, count: int, seed: int) -> None:
    rng, tokenizer = random.Random(seed), padded(make_tokenizer())
    while True:
        chunks.put(make_chunk(rng, tokenizer, count))


class Feed:
    """A process that makes chunks ahead."""

    def __init__(self, count: int, seed: int):
        context = multiprocessing.get_context("spawn")
        self.chunks = context.Queue(12)
        self.process = context.Process(target=_work, args=(self.chunks, count, seed), daemon=True)
        self.process.start()

    def next(self, wait: bool) -> Chunk | None:
        """None, unless it is waited for, where none is ready."""
        try:
            return self.chunks.get(wait)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.process.terminate()
        self.chunks.cancel_join_thread()


class Batch(NamedTuple):
    """clean (n, LATENTS, FRAMES) with zeros behind its end, valid (n, FRAMES), ids (n, TOKENS), seconds (n)."""

    clean: Tensor
    valid: Tensor
    ids: Tensor
    seconds: Tensor


class Pool:
    """The newest `size` sounds. `scale` (LATENTS): what latents are divided by."""

    def __init__(self, size: int, coder: Coder, device: str):
        self.analyse, self.device, self.renderer = Analysis(coder), device, Renderer(FRAMES * HOP, device)
        wordings = SETTINGS["wordings"]
        self.sides = torch.zeros(2, size, LATENTS, FRAMES, dtype=torch.float16, device=device)
        self.ids = torch.zeros(size, wordings, TOKENS, dtype=torch.int16, device=device)
        self.gains = torch.zeros(size, wordings, 2, device=device)
        self.fixed = torch.zeros(size, device=device)  # seconds of a sweep, 0 of what may be cut
        self.scale = torch.ones(LATENTS, device=device)
        self.size, self.filled, self.at, self.seen = size, 0, 0, 0

    @torch.no_grad()
    def put(self, chunk: Chunk) -> None:
        """Of what has no noise in it, the latents of noise are nothing."""
        count = len(chunk.sounds)
        if self.at + count > self.size:
            self.at = 0
        mono = self.renderer.mono(chunk.sounds)
        silent = torch.zeros_like(mono)
        is_noisy = torch.tensor([sound.kind in NOISY for sound in chunk.sounds], device=self.device)
        rows = slice(self.at, self.at + count)
        for side, audio in enumerate((torch.stack([mono, silent], 1), torch.stack([silent, mono], 1))):
            latents = self.analyse(audio) / self.scale[:, None]
            latents[:, TONAL:] *= is_noisy[:, None, None]
            self.sides[side, rows] = latents.nan_to_num().half()
        self.ids[rows] = torch.from_numpy(chunk.ids).to(self.device)
        self.gains[rows] = torch.from_numpy(chunk.gains).to(self.device)
        self.fixed[rows] = torch.tensor([s.seconds if s.kind in SWEEPS else 0.0 for s in chunk.sounds], device=self.device)
        self.at, self.seen = self.at + count, self.seen + count
        self.filled = min(self.size, max(self.filled, self.at))

    def rescale(self) -> None:
        """Half way to equal deviations: what is strong stays stronger, so that most is learnt of what is heard most."""
        gains = self.gains[: self.filled, :1, :, None]  # (n, 1, 2, 1)
        sides = self.sides[:, : self.filled].float()
        deviation = (sides[0] * gains[:, :, 0] + sides[1] * gains[:, :, 1]).transpose(0, 1).flatten(1).std(1).clamp(min=1e-3)
        scale = deviation.sqrt()
        scale = scale * (deviation / scale).square().mean().sqrt()
        self.sides[:, : self.filled] = (sides / scale[:, None]).half()
        self.scale = self.scale * scale

    def batch(self, size: int) -> Batch:
        device = self.device
        rows = torch.randint(self.filled, (size,), device=device)
        wording = torch.randint(self.ids.shape[1], (size,), device=device)
        gains, fixed = self.gains[rows, wording], self.fixed[rows]
        free = SETTINGS["shortest"] + (LONGEST - SETTINGS["shortest"]) * torch.rand(size, device=device)
        free = torch.where(torch.rand(size, device=device) < SETTINGS["longest_share"], torch.full_like(free, LONGEST), free)
        seconds = torch.where(fixed > 0, fixed, free)
        valid = torch.arange(FRAMES, device=device)[None] < torch.ceil(seconds * (RATE / HOP))[:, None]
        x = self.sides[0, rows] * gains[:, 0, None, None] + self.sides[1, rows] * gains[:, 1, None, None]
        return Batch(x * valid[:, None], valid, self.ids[rows, wording].long(), seconds)


def blank(size: int, device: str) -> Batch:
    """Takes of nothing, shaped as `Pool.batch` gives them."""
    return Batch(
        torch.zeros(size, LATENTS, FRAMES, device=device), torch.ones(size, FRAMES, dtype=torch.bool, device=device),
        torch.ones(size, TOKENS, dtype=torch.int64, device=device), torch.full((size,), LONGEST, device=device),
    )


def frames_of(seconds: float) -> int:
    return math.ceil(seconds * RATE / HOP)
