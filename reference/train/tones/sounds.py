"""Synthesised sounds, each described by a Sound and rendered in batches as closed formulas of time.

A batch holds sounds of any kinds; every formula works on (sounds, samples) tensors of one device, so that a graphics
processor makes thousands a second. Everything that repeats (the notes of an arpeggio, the hits of a loop) is written with
the time since the last onset, not by pasting pieces together.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch

RATE = 44100
NOTES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
SINGLE = ["pluck", "bell", "pad", "bass", "flute", "organ"]
DRUMS = ["kick", "snare", "hat", "tom"]
NOISES = ["noise", "wind", "rain"]
SWEEPS = ["sweep up", "sweep down", "siren"]
NOISY = ["snare", "hat", "loop", *NOISES, "sweep up", "sweep down"]
CLASS_OF = (
    dict.fromkeys([*SINGLE, "chord", "arpeggio"], "pitched")
    | dict.fromkeys([*DRUMS, "loop"], "drum")
    | dict.fromkeys(NOISES, "noise")
    | dict.fromkeys(SWEEPS, "sweep")
)
PATTERNS = {  # sixteenths of a bar in which each drum sounds
    "house": {"kick": [0, 4, 8, 12], "snare": [4, 12], "hat": [2, 6, 10, 14]},
    "rock": {"kick": [0, 8], "snare": [4, 12], "hat": [0, 2, 4, 6, 8, 10, 12, 14]},
    "simple": {"kick": [0, 4, 8, 12], "snare": [], "hat": [0, 4, 8, 12]},
}
BPMS = list(range(80, 170, 10))
OCTAVES = {  # the first is meant where a prompt names none
    "pluck": [4, 3, 5], "bell": [5, 4], "pad": [3, 4], "bass": [2, 3], "flute": [4, 5], "organ": [4, 3], "chord": [3], "arpeggio": [4],
}
LEVELS = {"soft": 0.25, "normal": 0.4, "loud": 0.7}
PANS = {"left": 0.12, "centre": 0.5, "right": 0.88}  # of a quarter turn
TRIADS = {"major": [0, 4, 7], "minor": [0, 3, 7]}


@dataclass
class Sound:
    """What a prompt says of a sound. `midi`: note number of a single note or of a chord's root; `bpm`: of what repeats."""

    kind: str
    seconds: float
    midi: int = 0
    mode: str = "major"
    bpm: int = 0
    pattern: str = "house"
    pan: str = "centre"  # left, centre, right
    level: str = "normal"  # soft, normal, loud
    pace: str = "normal"  # slow, normal, fast: of wind, sweeps and sirens
    seed: int = 0

    @property
    def sound_class(self) -> str:
        return CLASS_OF[self.kind]

    @property
    def hertz(self) -> float:
        return 440.0 * 2 ** ((self.midi - 69) / 12)

    @property
    def gains(self) -> tuple[float, float]:
        """Of the two loudspeakers: level and place, equal power."""
        angle = PANS[self.pan] * math.pi / 2
        return LEVELS[self.level] * math.cos(angle), LEVELS[self.level] * math.sin(angle)

    @property
    def onsets_per_beat(self) -> int:
        """Of what repeats: an arpeggio steps in eighths, most patterns have a drum on every eighth."""
        return 1 if self.kind == "loop" and self.pattern == "simple" else 2


def note_name(midi: int) -> str:
    """A4 is 69."""
    return f"{NOTES[midi % 12]}{midi // 12 - 1}"


def random_sound(rng: random.Random, longest: float) -> Sound:
    """Kinds are not equally likely: those with more to learn come more often."""
    kinds = SINGLE * 3 + ["chord"] * 5 + ["arpeggio"] * 6 + ["loop"] * 8 + DRUMS + NOISES * 2 + SWEEPS * 2
    kind = rng.choice(kinds)
    midi = 12 * (rng.choice(OCTAVES.get(kind, [4])) + 1) + rng.randrange(12)
    return Sound(
        kind=kind,
        seconds=round(rng.choice([4.0, longest, rng.uniform(0.8, longest), rng.uniform(0.8, longest)]), 2),
        midi=midi if CLASS_OF[kind] == "pitched" else 0,
        mode=rng.choice(["major", "minor"]),
        bpm=rng.choice(BPMS) if kind in ("loop", "arpeggio") else 0,
        pattern=rng.choice(list(PATTERNS)),
        pan=rng.choice(["left", "right", "centre", "centre"]),
        level=rng.choice(["soft", "normal", "normal", "loud"]),
        pace=rng.choice(["slow", "normal", "fast"]),
        seed=rng.getrandbits(31),
    )


class Renderer:
    """Renders batches to (sounds, 2, samples) in -1 to 1, silent behind each sound's own seconds."""

    def __init__(self, samples: int, device: torch.device | str = "cpu"):
        self.device = torch.device(device)
        self.samples = samples
        self.time = torch.arange(samples, device=self.device, dtype=torch.float32)[None] / RATE

    def __call__(self, sounds: list[Sound]) -> torch.Tensor:
        gains = torch.tensor([sound.gains for sound in sounds], device=self.device)
        return self.mono(sounds)[:, None] * gains[..., None]

    def mono(self, sounds: list[Sound]) -> torch.Tensor:
        """(sounds, samples), each as loud as can be."""
        groups: dict[str, list[int]] = {}
        for index, sound in enumerate(sounds):
            groups.setdefault(self._family(sound.kind), []).append(index)
        mono = torch.zeros(len(sounds), self.samples, device=self.device)
        for family, indices in groups.items():
            mono[indices] = getattr(self, f"_{family}")([sounds[index] for index in indices])
        mono = mono / mono.abs().amax(1, keepdim=True).clamp(min=1e-4)
        seconds = self._column([sound.seconds for sound in sounds])
        return mono * ((seconds - self.time) / 0.03).clamp(0, 1) * (self.time / 0.002).clamp(0, 1)

    @staticmethod
    def _family(kind: str) -> str:
        if kind in (*SINGLE, "chord", "arpeggio"):
            return "pitched"
        if kind in (*DRUMS, "loop"):
            return "drums"
        return "siren" if kind == "siren" else "noises"

    def _column(self, values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=self.device, dtype=torch.float32)[:, None]

    def _random(self, sounds: list[Sound], low: float, high: float, salt: int) -> torch.Tensor:
        return self._column([random.Random(sound.seed * 31 + salt).uniform(low, high) for sound in sounds])

    def _since(self, sounds: list[Sound], onsets: list[list[int]], per_bar: int = 16) -> torch.Tensor:
        """Seconds since the last onset, 1e3 before the first. `onsets`: steps of a bar, `per_bar` steps each of a quarter / 4."""
        step = self._column([60 / sound.bpm / (per_bar / 4) for sound in sounds])
        position = self.time / step
        index = position.long()
        table = torch.tensor(
            [[max([s for s in steps if s <= at], default=max(steps) - per_bar) for at in range(per_bar)] if steps else [-(10**6)] * per_bar for steps in onsets],
            device=self.device,
        )
        last = torch.gather(table, 1, index % per_bar) + index // per_bar * per_bar
        since = (position - last) * step
        return torch.where(last < 0, torch.full_like(since, 1e3), since)

    def _pitched(self, sounds: list[Sound]) -> torch.Tensor:
        """Single notes and arpeggios are one voice, chords three."""
        result = self._voice(sounds, [sound.midi for sound in sounds])
        chords = [row for row, sound in enumerate(sounds) if sound.kind == "chord"]
        for third_or_fifth in (1, 2):
            if chords:
                chosen = [sounds[row] for row in chords]
                result[chords] += self._voice(chosen, [sound.midi + TRIADS[sound.mode][third_or_fifth] for sound in chosen])
        return result

    def _voice(self, sounds: list[Sound], midi: list[int]) -> torch.Tensor:
        """One voice: a sum of partials under an envelope; an arpeggio steps through its chord, eighth by eighth."""
        base = self._column([440.0 * 2 ** ((note - 69) / 12) for note in midi])
        arpeggio = [sound.kind == "arpeggio" for sound in sounds]
        since = self.time.expand(len(sounds), -1)
        hertz = base.expand(-1, self.samples)
        if any(arpeggio):
            with_tempo = [sound if sound.bpm else Sound(kind="arpeggio", seconds=1, bpm=120) for sound in sounds]
            step = self._column([60 / sound.bpm / 2 for sound in with_tempo])
            index = (self.time / step).long()
            ladder = torch.tensor([[*TRIADS[sound.mode], 12] for sound in sounds], device=self.device, dtype=torch.float32)
            raised = base * 2 ** (torch.gather(ladder, 1, index % 4) / 12)
            chosen = torch.tensor(arpeggio, device=self.device)[:, None]
            since = torch.where(chosen, self.time - index * step, since)
            hertz = torch.where(chosen, raised, hertz)
        phase = 2 * torch.pi * torch.cumsum(hertz.double() / RATE, 1)
        phase = torch.remainder(phase, 2 * torch.pi * 1000).float()
        timbre = {  # partials: (ratio, strength), seconds until 1/e, seconds of attack, how much faster high partials fade
            "pluck": ([(h, 1 / h) for h in range(1, 11)], 0.5, 0.003, 0.5),
            "arpeggio": ([(h, 1 / h) for h in range(1, 9)], 0.25, 0.003, 0.5),
            "bell": ([(1, 1.0), (2, 0.6), (2.76, 0.45), (5.4, 0.25), (8.93, 0.12)], 1.2, 0.002, 0.35),
            "pad": ([(h, 1 / h**1.3) for h in range(1, 9)], 30.0, 0.35, 0.0),
            "chord": ([(h, 1 / h**1.2) for h in range(1, 9)], 2.0, 0.01, 0.2),
            "bass": ([(h, 1 / h**1.1) for h in range(1, 13)], 1.2, 0.005, 0.25),
            "flute": ([(1, 1.0), (2, 0.25), (3, 0.1)], 30.0, 0.06, 0.0),
            "organ": ([(1, 1.0), (2, 0.8), (3, 0.3), (4, 0.5), (6, 0.2), (8, 0.2)], 30.0, 0.01, 0.0),
        }
        result = torch.zeros(len(sounds), self.samples, device=self.device)
        lasting, dull = self._random(sounds, 0.8, 1.3, 6), self._random(sounds, -0.1, 0.3, 7)  # no two takes are quite alike
        attack = self._column([timbre[sound.kind][2] for sound in sounds])
        for partial in range(12):
            at = [timbre[sound.kind][0][partial] if partial < len(timbre[sound.kind][0]) else (1.0, 0.0) for sound in sounds]
            ratio, strength = self._column([a[0] for a in at]), self._column([a[1] for a in at])
            decay = lasting * self._column([timbre[sound.kind][1] / (1 + timbre[sound.kind][3] * partial) for sound in sounds])
            strength = strength * (1 + partial) ** -dull
            below_limit = (hertz * ratio < 18000).float()
            result += strength * below_limit * torch.exp(-since / decay) * torch.sin(phase * ratio)
        detune = self._column([0.003 * float(sound.kind == "pad") for sound in sounds])
        slow_beat = 1 + 0.25 * (detune > 0) * torch.sin(2 * torch.pi * 0.7 * self.time + self._random(sounds, 0, 6.28, 1))
        return result * (since / attack).clamp(0, 1) * slow_beat

    def _white(self, sounds: list[Sound], salt: int) -> torch.Tensor:
        generator = torch.Generator(device=self.device).manual_seed((sounds[0].seed * 7 + salt) % 2**31)
        return torch.randn(len(sounds), self.samples, generator=generator, device=self.device)

    def _drums(self, sounds: list[Sound]) -> torch.Tensor:
        """Kick and tom: a falling sine; snare and hat: noise that dies away."""
        bars = [sound if sound.bpm else Sound(kind=sound.kind, seconds=sound.seconds, bpm=60) for sound in sounds]

        def since(drum: str) -> torch.Tensor:
            onsets = [PATTERNS[sound.pattern][drum] if sound.kind == "loop" and drum in PATTERNS[sound.pattern] else [] for sound in sounds]
            loops = self._since(bars, onsets)
            hit = torch.tensor([sound.kind == drum for sound in sounds], device=self.device)[:, None]
            return torch.where(hit, self.time.expand(len(sounds), -1), loops)

        white = self._white(sounds, 2)
        bright = white - torch.nn.functional.pad(white, (1, 0))[:, :-1]
        kick, snare, hat, tom = (since(drum) for drum in DRUMS)
        low = self._random(sounds, 45, 55, 3)

        def falling(t: torch.Tensor, end: torch.Tensor | float, by: float, rate: float) -> torch.Tensor:
            return torch.sin(2 * torch.pi * (end * t + by * (1 - torch.exp(-t * rate)) / rate))

        return (
            torch.exp(-kick / 0.12) * falling(kick, low, 140, 35)
            + torch.exp(-snare / 0.07) * 0.35 * white
            + torch.exp(-snare / 0.08) * 0.4 * torch.sin(2 * torch.pi * 185 * snare)
            + torch.exp(-hat / 0.025) * 0.25 * bright
            + torch.exp(-tom / 0.18) * falling(tom, 95.0, 60, 18)
        )

    def _noises(self, sounds: list[Sound]) -> torch.Tensor:
        """Noise through a filter that moves with time."""
        size, hop = 1024, 256
        window = torch.hann_window(size, device=self.device)
        spectrum = torch.stft(self._white(sounds, 4), size, hop, window=window, return_complex=True)
        octave = torch.log2(torch.arange(size // 2 + 1, device=self.device) * RATE / size + 1)[None, :, None]
        at = (torch.arange(spectrum.shape[2], device=self.device) * hop / RATE)[None, None]
        seconds = self._column([sound.seconds for sound in sounds])[..., None]
        hertz = self._column([{"slow": 0.25, "normal": 0.6, "fast": 1.6}[sound.pace] for sound in sounds])[..., None]
        turn = self._random(sounds, 0, 6.28, 5)[..., None]
        gust = torch.sin(2 * torch.pi * hertz * at + turn)
        along = (at / seconds).clamp(0, 1)
        shapes = {
            "noise": lambda: torch.ones_like(octave + at),
            "wind": lambda: torch.exp(-(((octave - 8.8 - 0.8 * gust) / 0.9) ** 2)) * (0.65 + 0.35 * gust),
            "rain": lambda: torch.sigmoid((octave - 10.5) * 2) * torch.ones_like(at),
            "sweep up": lambda: torch.exp(-(((octave - 8 - 5.5 * along) / 0.45) ** 2)),
            "sweep down": lambda: torch.exp(-(((octave - 13.5 + 5.5 * along) / 0.45) ** 2)),
        }
        for kind in {sound.kind for sound in sounds}:
            rows = [row for row, sound in enumerate(sounds) if sound.kind == kind]
            spectrum[rows] = spectrum[rows] * shapes[kind]().expand(len(sounds), -1, -1)[rows]
        return torch.istft(spectrum, size, hop, window=window, length=self.samples)

    def _siren(self, sounds: list[Sound]) -> torch.Tensor:
        rate = self._column([{"slow": 0.3, "normal": 0.7, "fast": 2.0}[sound.pace] for sound in sounds])
        hertz = 700 * 2 ** (0.6 * torch.sin(2 * torch.pi * rate * self.time))
        phase = 2 * torch.pi * torch.cumsum(hertz / RATE, 1)
        return torch.sin(phase) + 0.3 * torch.sin(2 * phase)
