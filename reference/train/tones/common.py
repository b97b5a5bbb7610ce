"""What both trainings share: the configuration, the schedule, a running mean of weights, checkpoints and the curve."""

from __future__ import annotations

import argparse
import json
import math
import signal
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
BEGAN = time.monotonic()


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints, curves and the model")
    parser.add_argument("--out", type=Path, help="folder of the pieces of one archive of model and curves; otherwise DIR/out")
    parser.add_argument("--minutes", type=float, required=True, help="when the rate has fallen to zero: of the wall's clock with a GPU, of processor time without")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    result = parser.parse_args()
    result.out = result.out or result.work / "out"
    for folder in (result.work, result.out):
        folder.mkdir(parents=True, exist_ok=True)
    if result.device == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.enable_cudnn_sdp(False)  # masks that are one for all heads and queries are not for it
    return result


class Schedule:
    """A fall to zero by time spent, so that a slow or a busy machine still ends with an annealed model. With a GPU the
    time since the program began counts, without one the processor's."""

    def __init__(self, minutes: float, device: str, spent_seconds: float = 0.0):
        self.clock = time.monotonic if device == "cuda" else time.process_time
        self.total, self.spent = minutes * 60, spent_seconds
        self.last = BEGAN if device == "cuda" else self.clock()

    def tick(self) -> float:
        """The share of the training that is done."""
        now = self.clock()
        self.spent, self.last = self.spent + now - self.last, now
        return self.spent / max(self.total, 1e-9)

    def factor(self, warmth: float) -> float:
        """The rate's share now; `warmth`: what share of the warm-up is done, 1 or more behind it."""
        return min(1.0, warmth) * 0.5 * (1 + math.cos(math.pi * min(1.0, self.tick()))) + 1e-4


class Stop:
    """True once the process was asked to end."""

    def __init__(self) -> None:
        self.asked = False
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._ask)

    def _ask(self, *_) -> None:
        self.asked = True

    def __bool__(self) -> bool:
        return self.asked


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
        self.saved_at = self.noted_at = time.monotonic()

    def load(self, device: str) -> dict | None:
        return torch.load(self.path, map_location=device, weights_only=True) if self.path.exists() else None

    def note(self, **figures: float) -> None:
        self.curve.append({key: round(value, 6) for key, value in figures.items()})
        print(self.path.stem, " ".join(f"{key} {value:.5g}" for key, value in figures.items()), flush=True)
        self.noted_at = time.monotonic()

    def is_worth_a_note(self, seconds: float = 12) -> bool:
        return time.monotonic() - self.noted_at > seconds

    def is_due(self, seconds: float = 150) -> bool:
        return time.monotonic() - self.saved_at > seconds

    def save(self, state: dict) -> None:
        store(state, self.path)
        self.write_curve()
        self.saved_at = time.monotonic()

    def write_curve(self) -> None:
        self.curve_path.write_text(json.dumps(self.curve))


def store(state: dict, path: Path) -> None:
    """So that whoever reads the path finds the old state or the new one."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
