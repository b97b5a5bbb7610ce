"""What a finished sound is like, measured from its samples alone: pitch, tempo, side, and which of four classes it belongs to.

Every measure is itself checked on rendered sounds whose truth is known (`python -m tones.measure`): what it gets right there
bounds what a model can be credited with.
"""

from __future__ import annotations

import random

import numpy as np

from .sounds import SINGLE

RATE = 44100
CLASSES = ["pitched", "drum", "noise", "sweep"]


def mono(audio: np.ndarray) -> np.ndarray:
    """(2, n) -> (n), the louder side: opposite phases cannot cancel there."""
    return audio[int(np.square(audio[1]).sum() > np.square(audio[0]).sum())]


def frames_of(x: np.ndarray, size: int, hop: int) -> np.ndarray:
    if len(x) < size:
        x = np.pad(x, (0, size - len(x)))
    return np.lib.stride_tricks.sliding_window_view(x, size)[::hop]


def magnitudes(x: np.ndarray, size: int, hop: int) -> np.ndarray:
    """(frames, bins)"""
    return np.abs(np.fft.rfft(frames_of(x, size, hop) * np.hanning(size)))


def loudest(x: np.ndarray, size: int) -> np.ndarray:
    """The stretch of `size` samples with most energy, a little behind its beginning so that an attack's noise is past."""
    energy = np.convolve(np.square(x), np.ones(512), "same")
    at = int(np.argmax(energy)) + RATE // 50
    return np.pad(x, (0, size))[min(at, max(0, len(x) - size)) :][:size]


def difference(x: np.ndarray, longest: int) -> np.ndarray:
    """The cumulative mean normalised difference of YIN (de Cheveigné and Kawahara, 2002) for lags 0 to `longest`."""
    n = len(x) - longest
    spectrum = np.fft.rfft(x, 2 * len(x))
    head = np.fft.rfft(x[:n], 2 * len(x))
    correlation = np.fft.irfft(spectrum * np.conj(head))[: longest + 1]
    sums = np.concatenate([[0.0], np.cumsum(np.square(x))])
    power = sums[n : n + longest + 1] - sums[: longest + 1]
    d = np.maximum(power[0] + power - 2 * correlation, 0)
    running = np.cumsum(d[1:]) / np.arange(1, longest + 1)
    return np.concatenate([[1.0], d[1:] / np.maximum(running, 1e-12)])


def pitch(audio: np.ndarray) -> tuple[float, float]:
    """(hertz, how unperiodic it is: 0 a perfect tone, 1 noise)."""
    x = loudest(mono(audio), 16384)
    curve = difference(x, RATE // 35)
    first = RATE // 2500
    below = np.nonzero(curve[first:] < 0.15)[0]
    lag = first + (int(below[0]) if len(below) else int(np.argmin(curve[first:])))
    while lag + 1 < len(curve) and curve[lag + 1] < curve[lag]:
        lag += 1
    if 0 < lag < len(curve) - 1:
        a, b, c = curve[lag - 1 : lag + 2]
        lag_exact = lag + 0.5 * (a - c) / max(a - 2 * b + c, 1e-9)
    else:
        lag_exact = float(lag)
    return RATE / lag_exact, float(curve[lag])


def bell_pitch(audio: np.ndarray) -> float:
    """The lowest strong partial: a bell's partials are no multiples of one pitch."""
    x = loudest(mono(audio), 32768)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 4 * len(x)))
    hertz = RATE / (4 * len(x))
    spectrum[: int(150 / hertz)] = 0
    return _first_peak(spectrum) * hertz


def _first_peak(spectrum: np.ndarray) -> int:
    at = int(np.nonzero(spectrum > 0.5 * spectrum.max())[0][0])
    while at + 1 < len(spectrum) and spectrum[at + 1] > spectrum[at]:
        at += 1
    return at


def onset_strength(x: np.ndarray, hop: int = 256) -> np.ndarray:
    """How much louder each band gets from frame to frame."""
    bands = magnitudes(x, 1024, hop)
    compressed = np.log1p(30 * bands / max(bands.max(), 1e-9))
    return np.maximum(np.diff(compressed, axis=0), 0).sum(1)


def onset_interval(audio: np.ndarray) -> float:
    """Seconds between neighbouring onsets: the first clear peak of the onsets' autocorrelation, made exact by its multiples."""
    hop = 128
    strength = onset_strength(mono(audio), hop)
    strength = strength - strength.mean()
    n = len(strength)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(strength, 2 * n)) ** 2)[:n] / np.arange(n, 0, -1)
    frames = RATE / hop
    correlation = np.convolve(correlation, np.hanning(7) / np.hanning(7).sum(), "same")
    first, last = int(0.13 * frames), min(int(0.95 * frames), n // 2)
    peaks = [at for at in range(first, last) if correlation[at] >= correlation[at - 1] and correlation[at] > correlation[at + 1]]
    if not peaks:
        return float("nan")
    tallest = max(correlation[at] for at in peaks)
    lag = float(next(at for at in peaks if correlation[at] >= 0.55 * tallest))
    for multiple in (2, 4, 8):
        around = int(round(lag * multiple))
        near = max(2, int(0.02 * around))
        if around + near + 1 >= n * 0.8:
            break
        at = around - near + int(np.argmax(correlation[around - near : around + near + 1]))
        lag = at / multiple
    return lag / frames


def side(audio: np.ndarray) -> str:
    left, right = (float(np.square(channel).sum()) + 1e-9 for channel in audio)
    decibels = 10 * np.log10(left / right)
    return "left" if decibels > 4 else "right" if decibels < -4 else "centre"


def features(audio: np.ndarray) -> np.ndarray:
    """What tells the classes apart: periodicity, flatness, how the level and the spectrum's middle move."""
    x = mono(audio)
    x = x / max(np.abs(x).max(), 1e-6)
    spectrum = magnitudes(x, 2048, 1024) + 1e-7
    level = np.sqrt(np.square(frames_of(x, 1024, 512)).mean(1)) + 1e-5
    heard = spectrum.sum(1) > 0.05 * spectrum.sum(1).max()
    power = spectrum[heard]
    flatness = np.exp(np.log(power).mean(1)) / power.mean(1)
    centre = np.log2((power * np.arange(1, power.shape[1] + 1)).sum(1) / power.sum(1))
    peak = np.log2(power.argmax(1) + 1.0)
    along = np.linspace(-1, 1, len(centre)) if len(centre) > 1 else np.zeros(1)
    slope = float((along * (centre - centre.mean())).sum() / max((along * along).sum(), 1e-9))
    _, unperiodic = pitch(audio)
    busy = onset_strength(x)
    still = np.abs(np.diff(peak)).mean() if len(peak) > 1 else 0.0
    return np.array([
        unperiodic, flatness.mean(), flatness.std(), abs(slope), centre.mean(), centre.std(), peak.std(), still,
        np.log(level).std(), float((level > 0.3 * level.max()).mean()), np.log1p(busy.max() / (busy.mean() + 1e-6)), np.log1p(busy.mean()),
    ])


class Classifier:
    """Softmax regression on `features` and their products, fitted to rendered sounds. Nothing of a model's output is seen."""

    def __init__(self, examples: np.ndarray, labels: list[str], rounds: int = 3000):
        self.mean, self.deviation = examples.mean(0), examples.std(0) + 1e-6
        x, y = self._expand(examples), np.eye(len(CLASSES))[[CLASSES.index(label) for label in labels]]
        self.weights = np.zeros((x.shape[1], len(CLASSES)))
        for at in range(rounds):
            gradient = x.T @ (self._softmax(x @ self.weights) - y) / len(x) + 1e-4 * self.weights
            self.weights -= 0.3 * (1 - at / rounds) * gradient

    def _expand(self, examples: np.ndarray) -> np.ndarray:
        z = np.clip((np.atleast_2d(examples) - self.mean) / self.deviation, -4, 4)
        i, j = np.triu_indices(z.shape[1])
        return np.concatenate([np.ones((len(z), 1)), z, z[:, i] * z[:, j] / 4], 1)

    @staticmethod
    def _softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def __call__(self, audio: np.ndarray) -> str:
        return CLASSES[int(np.argmax(self._expand(features(audio)) @ self.weights))]


def judge(sound, audio: np.ndarray, classifier: Classifier) -> dict[str, bool]:
    """Which of a sound's attributes the samples show; only those that its kind has. Silence shows none. Octaves of a tempo: where a
    drum between two beats is too weak, the beat's interval is found, twice the onsets'; a bar's is four times."""
    has_pitch = sound.kind in SINGLE
    if not np.isfinite(audio).all() or np.abs(audio).max() < 1e-4:
        return dict.fromkeys(["class", "side", *["pitch"] * has_pitch, *["tempo", "tempo or its octaves"] * bool(sound.bpm)], False)
    result = {"class": classifier(audio) == sound.sound_class, "side": side(audio) == sound.pan}
    if has_pitch:
        hertz = bell_pitch(audio) if sound.kind == "bell" else pitch(audio)[0]
        result["pitch"] = abs(1200 * np.log2(hertz / sound.hertz)) <= 50
    if sound.bpm:
        ratio = onset_interval(audio) / (60 / sound.bpm / sound.onsets_per_beat)
        result["tempo"] = abs(ratio - 1) <= 0.03
        result["tempo or its octaves"] = min(abs(ratio / octave - 1) for octave in (0.5, 1, 2, 4)) <= 0.03
    return result


def rendered(count: int, seed: int, seconds: float = 4.0) -> tuple[list, list[np.ndarray]]:
    from .sounds import Renderer, random_sound

    rng, renderer = random.Random(seed), Renderer(int(seconds * RATE))
    sounds = [random_sound(rng, seconds) for _ in range(count)]
    audio = [renderer([sound])[0].numpy()[:, : max(8192, int(sound.seconds * RATE))] for sound in sounds]
    return sounds, audio


def fitted(count: int = 600, seed: int = 5) -> Classifier:
    sounds, audio = rendered(count, seed)
    return Classifier(np.stack([features(one) for one in audio]), [sound.sound_class for sound in sounds])


def shares(results: list[dict[str, bool]]) -> dict[str, str]:
    names = dict.fromkeys(name for result in results for name in result)
    answer = {}
    for name in names:
        given = [result[name] for result in results if name in result]
        answer[name] = f"{100 * sum(given) / len(given):.1f} % of {len(given)}"
    return answer


if __name__ == "__main__":
    from .prompts import prompt_of

    classifier = fitted()
    truth, audio = rendered(200, seed=6)
    results = [judge(sound, one, classifier) for sound, one in zip(truth, audio)]
    print("On rendered sounds the measures themselves are right in:", shares(results))
    for sound, result in zip(truth, results):
        if not all(result.values()):
            print(result, prompt_of(sound, random.Random(1)))
