"""Makes takes of held-out prompts while the model trains, as the engine would, and has a process of its own judge them."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .coder import LATENTS, Coder
from .common import CONFIG
from .pool import LONGEST, frames_of, padded
from .prompts import prompt_of
from .sounds import random_sound


def levels(steps: int) -> list[float]:
    """The engine's: even in the logarithm of signal to noise from -6 to 2, from pure noise to none."""
    return [1.0, *(1 / (1 + math.exp(-6 + 8 * i / steps)) for i in range(1, steps)), 0.0]


@torch.no_grad()
def sample(model, ids: Tensor, seconds: float, steps: int, guidance: float, seed: int) -> Tensor:
    """Euler's method; (n, LATENTS, frames) of ids (n, tokens)."""
    device, n = ids.device, len(ids)
    x = torch.randn(n, LATENTS, frames_of(seconds), generator=torch.Generator().manual_seed(seed)).to(device)
    lengths, told, untold = torch.full((n,), seconds, device=device), torch.ones(n, device=device), torch.zeros(n, device=device)
    times = levels(steps)
    for now, then in zip(times, times[1:]):
        t = torch.full((n,), now, device=device)
        v = model(x, t, ids, lengths, told)
        if guidance != 1:
            without = model(x, t, ids, lengths, untold)
            v = without + guidance * (v - without)
        x = x + (then - now) * v
    return x


def _work(tasks, path: Path) -> None:
    from .measure import fitted, judge, shares

    classifier = fitted()
    while (task := tasks.get()) is not None:
        label, sounds, audio = task
        results = [judge(sound, one.astype(np.float64), classifier) for sound, one in zip(sounds, audio)]
        print("judged", label, shares(results), flush=True)
        with path.open("a") as file:
            file.write(json.dumps({"label": label, "right": shares(results)}) + "\n")


class Judge:
    """`path`: where each judgement is added as a line of JSON."""

    def __init__(self, tokenizer, count: int, seed: int, path: Path, device: str):
        rng = random.Random(seed)
        self.sounds = [replace(random_sound(rng, LONGEST), seconds=LONGEST) for _ in range(count)]
        prompts = [prompt_of(sound, rng, held_out=True) for sound in self.sounds]
        self.ids = torch.tensor([encoding.ids for encoding in padded(tokenizer).encode_batch(prompts)], device=device)
        context = multiprocessing.get_context("spawn")
        self.tasks = context.Queue()
        self.process = context.Process(target=_work, args=(self.tasks, path), daemon=True)
        self.process.start()

    @torch.no_grad()
    def ask(self, label: str, model, coder: Coder, scale: Tensor, guidance: float) -> None:
        latents = sample(model, self.ids, LONGEST, CONFIG["defaults"]["steps"], guidance, 1) * scale[:, None]
        audio = torch.cat([coder.decode(part) for part in latents.split(8)]).clamp(-1, 1)
        self.tasks.put((f"{label} guidance {guidance}", self.sounds, audio.half().cpu().numpy()))

    def close(self, seconds: float) -> None:
        """Waits for what is being judged."""
        self.tasks.put(None)
        self.process.join(seconds)
        self.process.terminate()
        self.tasks.cancel_join_thread()
