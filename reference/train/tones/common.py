"""What both trainings share: the configuration, a running mean of weights, checkpoints and the curve."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints and curves")
    parser.add_argument("--minutes", type=float, required=True, help="the learning rate reaches zero after so many minutes of processor time in all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--start", type=Path, help="a diffusers folder to start from, for instance the shipped model")
    result = parser.parse_args()
    result.work.mkdir(parents=True, exist_ok=True)
    return result


class Schedule:
    """A warm-up and a cosine by processor time spent, so that a slow or a busy machine still ends with an annealed model."""

    def __init__(self, minutes: float, spent_seconds: float = 0.0):
        self.total, self.spent, self.last = minutes * 60, spent_seconds, time.process_time()

    def tick(self) -> float:
        """The share of the training that is done."""
        now = time.process_time()
        self.spent, self.last = self.spent + now - self.last, now
        return self.spent / max(self.total, 1e-9)

    def factor(self) -> float:
        done = min(1.0, self.tick())
        return min(1.0, done / 0.02) * 0.5 * (1 + math.cos(math.pi * done)) + 1e-4


class Average:
    """An exponential mean of a module's weights; quick to follow at first."""

    def __init__(self, modules: list[torch.nn.Module], decay: float):
        self.decay, self.steps = decay, 0
        self.sources = [p for module in modules for p in module.parameters()]
        self.values = [p.detach().clone() for p in self.sources]

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.sources], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the mean and the present weights."""
        for value, source in zip(self.values, self.sources):
            kept = source.detach().clone()
            source.copy_(value)
            value.copy_(kept)


class Keeper:
    """Checkpoints at `work/name.pt`, the curve at `work/name-curve.json`."""

    def __init__(self, work: Path, name: str):
        self.path, self.curve_path = work / f"{name}.pt", work / f"{name}-curve.json"
        self.curve: list[dict] = json.loads(self.curve_path.read_text()) if self.curve_path.exists() and self.path.exists() else []
        self.saved_at = time.monotonic()

    def load(self, device: str) -> dict | None:
        return torch.load(self.path, map_location=device, weights_only=True) if self.path.exists() else None

    def note(self, **figures: float) -> None:
        self.curve.append({key: round(value, 6) for key, value in figures.items()})
        print(" ".join(f"{key} {value:.5g}" for key, value in figures.items()), flush=True)

    def is_due(self, seconds: float = 120) -> bool:
        return time.monotonic() - self.saved_at > seconds

    def save(self, state: dict) -> None:
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)
        self.curve_path.write_text(json.dumps(self.curve))
        self.saved_at = time.monotonic()
