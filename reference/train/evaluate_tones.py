"""Computes lutra-tones' figures from its weights through the `lutra` command: what prompts never used in training bring forth.

    PYTHONPATH=reference/train .venv/bin/python reference/train/evaluate_tones.py --model models/lutra-tones --out figures.json

Prompts: wordings that no training prompt had, random attributes, fixed seeds. Pitch, tempo, class and side are measured from the
samples (tones/measure.py). The autoencoder's figures are of rendered sounds that were not trained on, encoded and decoded by
`lutra eval audio`. The fast subset is what tests/integration/tones.test.ts asks for. With --keep, takes that are there already are
judged and not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile

from tones.coder import HOP
from tones.common import CONFIG
from tones.measure import fitted, judge, pitch, shares, side
from tones.prompts import prompt_of
from tones.sounds import RATE, Renderer, random_sound
from tones.train_autoencoder import signal_to_distortion, spectral_distance

ROOT = Path(__file__).parents[2]
FAST = ROOT / "tests" / "golden" / "tones" / "prompts.json"
FAST_SECONDS = 1.5


def lutra(*arguments: str) -> str:
    """A data folder of its own, so that a studio that is open is not in the way."""
    with tempfile.TemporaryDirectory() as data:
        run = subprocess.run(["node", str(ROOT / "bin" / "lutra.mjs"), *arguments, "--data", data], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"lutra {' '.join(arguments)}\n{run.stderr}")
    return run.stdout


def take(model: Path, prompt: str, seed: int, length: float, path: Path, *more: str) -> float:
    """Seconds that it took."""
    made = lutra("audio", "--model", str(model), "--prompt", prompt, "--seconds", str(length), "--seed", str(seed), "--normalize", "off",
                 "--out", str(path), "--json", *more)
    return json.loads(made)["files"][0]["madeInSeconds"]


def read(path: Path) -> np.ndarray:
    """(2, samples) in -1 to 1."""
    audio = wavfile.read(path)[1].T
    return audio.astype(np.float64) / (np.iinfo(audio.dtype).max if audio.dtype.kind == "i" else 1)


def adherence(model: Path, count: int, length: float, steps: int | None, keep: Path) -> dict:
    rng, classifier, results, seconds, details = random.Random(77), fitted(), [], [], []
    for at in range(count):
        sound = random_sound(rng, length)
        sound.seconds = length
        prompt, path = prompt_of(sound, rng, held_out=True), keep / f"{at:03}.wav"
        if not path.exists():
            seconds.append(take(model, prompt, 1000 + at, length, path, *([] if steps is None else ["--steps", str(steps)])))
        results.append(judge(sound, read(path), classifier))
        details.append({"prompt": prompt, "kind": sound.kind, **{name: bool(is_right) for name, is_right in results[-1].items()}})
        print(details[-1], flush=True)
    figures = {"prompts": count, "right": shares(results), "each": details}
    for kind in ("arpeggio", "loop"):
        figures[f"right, {kind}s"] = shares([result for result, one in zip(results, details) if one["kind"] == kind] or [{}])
    if seconds:
        figures[f"median seconds for a take of {length} s"] = round(statistics.median(seconds), 2)
    return figures


def fast_subset(model: Path, folder: Path) -> dict[str, int]:
    right = {"pitch": 0, "side": 0}
    for at, wanted in enumerate(json.loads(FAST.read_text())):
        path = folder / f"fast-{at}.wav"
        take(model, wanted["prompt"], wanted["seed"], FAST_SECONDS, path)
        audio = read(path)
        right["pitch"] += int(abs(1200 * np.log2(pitch(audio)[0] / wanted["hertz"])) <= 50)
        right["side"] += int(side(audio) == wanted["side"])
    return right


def reconstruction(model: Path, count: int) -> dict:
    rng, renderer = random.Random(78), Renderer(2 * RATE // HOP * HOP)
    sounds = [random_sound(rng, 2.0) for _ in range(count)]
    wanted = renderer(sounds)
    again = []
    with tempfile.TemporaryDirectory() as folder:
        for audio in wanted:
            given, encoded, decoded = (str(Path(folder) / name) for name in ("in.npz", "encoded.npz", "out.npz"))
            np.savez(given, audio=audio[None].numpy())
            lutra("eval", "audio", "--model", str(model), "--inputs", given, "--out", encoded)
            np.savez(given, latents=np.load(encoded)["encoded_mean"])
            lutra("eval", "audio", "--model", str(model), "--inputs", given, "--out", decoded)
            again.append(torch.from_numpy(np.load(decoded)["decoded_audio"][0]).float())
    made = torch.stack(again)
    return {
        "sounds": count,
        "multi-resolution STFT distance": round(spectral_distance(made, wanted, CONFIG["train_autoencoder"]["stft_windows"]).item(), 3),
        "median SI-SDR, dB": round(signal_to_distortion(made, wanted).median().item(), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each take")
    parser.add_argument("--sounds", type=int, default=24)
    parser.add_argument("--steps", type=int, help="otherwise the model's default")
    parser.add_argument("--keep", type=Path, help="folder for the takes, to be listened to")
    parser.add_argument("--each", type=Path, help="file for what is right of every prompt, a line of JSON each")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = options.keep or Path(temporary)
        keep.mkdir(parents=True, exist_ok=True)
        figures = {"adherence": adherence(options.model, options.prompts, options.seconds, options.steps, keep), "autoencoder": reconstruction(options.model, options.sounds)}
        figures["fast subset"] = fast_subset(options.model, keep)
    each = figures["adherence"].pop("each")
    if options.each:
        options.each.write_text("".join(json.dumps(one) + "\n" for one in each))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
