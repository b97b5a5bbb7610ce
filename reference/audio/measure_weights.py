"""What narrower weights cost a trained Stable Audio model to the ear: the same prompts and seeds with weights in f32, bf16,
8 bits and a 4-bit table, through `lutra audio`. Prints for each the signal-to-noise ratio against f32's take, in dB, and the
log-spectral distance (Gray and Markel 1976; windows of 46 ms, down to -80 dB), in dB: the difference of two spectra below
about 1 dB is hardly heard. Needs a build of Lutra; numpy, scipy.

    python reference/audio/measure_weights.py --model DIR [--steps 14] [--seconds 2] PROMPT...
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = ("bf16", "q8", "lut4")
WINDOW, STEP, FLOOR = 2048, 512, 1e-4


def take(model: str, prompt: str, seed: int, weights: str, options: argparse.Namespace, folder: Path) -> np.ndarray:
    """f64 (samples, channels) in -1 to 1"""
    out = folder / f"{seed}-{weights}.wav"
    command = ["node", str(ROOT / "bin" / "lutra.mjs"), "audio", "--model", model, "--prompt", prompt, "--seed", str(seed)]
    command += ["--seconds", str(options.seconds), "--steps", str(options.steps), "--weights", weights, "--normalize", "off", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples = wavfile.read(out)[1]
    return samples / (1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max))


def spectrum(samples: np.ndarray) -> np.ndarray:
    """dB (windows, frequencies) of the two channels' mean"""
    windows = np.lib.stride_tricks.sliding_window_view(samples.mean(1), WINDOW)[::STEP] * np.hanning(WINDOW)
    return 20 * np.log10(np.abs(np.fft.rfft(windows)) + FLOOR * WINDOW / 4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("prompts", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        for seed, prompt in enumerate(options.prompts, 1):
            exact = take(options.model, prompt, seed, "f32", options, Path(made))
            for weights in WIDTHS:
                other = take(options.model, prompt, seed, weights, options, Path(made))
                noise = 10 * np.log10(np.square(exact).sum() / np.square(exact - other).sum())
                distance = np.sqrt(np.square(spectrum(exact) - spectrum(other)).mean(1)).mean()
                print(f"{prompt:<32} {weights:<5} {noise:5.1f} dB {distance:5.2f} dB", flush=True)


if __name__ == "__main__":
    main()
