"""Prompts for sounds: many wordings for each attribute. Wordings in HELD_OUT never occur in training."""

from __future__ import annotations

import random

from .sounds import DRUMS, NOISES, SINGLE, Sound, note_name

FORMS = {
    "single": ["{kind} {note}", "a {kind} on {note}", "{kind} playing {note}", "{note} {kind}", "one {note} note on a {kind}", "{kind}, note {note}"],
    "chord": ["{note} {mode} chord", "a {mode} chord on {note}", "chord in {note} {mode}", "{note} {mode}, held chord"],
    "arpeggio": ["{note} {mode} arpeggio at {bpm} BPM", "arpeggio in {note} {mode}, {bpm} BPM", "{bpm} BPM arpeggio, {note} {mode}"],
    "drum": ["{kind} hit", "a single {kind}", "{kind} drum, one hit", "one {kind}"],
    "loop": ["{pattern} drum loop, {bpm} BPM", "{bpm} BPM {pattern} beat", "drum loop at {bpm} BPM, {pattern}", "{pattern} drums {bpm} BPM"],
    "noise": ["{kind}", "the sound of {kind}", "{kind} sound"],
    "sweep": ["{kind}", "a {pace} {kind}", "{pace} {kind} effect"],
}
HELD_OUT = {
    "single": ["play {note} on a {kind}", "a {note} from the {kind}"],
    "chord": ["play a {note} {mode} chord", "chord: {note} {mode}"],
    "arpeggio": ["an arpeggio of {note} {mode} at {bpm} BPM"],
    "drum": ["give me a {kind} hit"],
    "loop": ["a {pattern} loop at {bpm} BPM", "{bpm} BPM drum loop in {pattern} style"],
    "noise": ["some {kind}", "I want to hear {kind}"],
    "sweep": ["make a {pace} {kind}"],
}
WORDS = {
    "noise": ["white noise", "noise", "static hiss"],
    "wind": ["wind", "howling wind"],
    "rain": ["rain", "steady rain"],
    "sweep up": ["rising noise sweep", "upward sweep", "riser"],
    "sweep down": ["falling noise sweep", "downward sweep"],
    "siren": ["siren", "alarm siren"],
    "hat": ["hi-hat", "hat"],
    "snare": ["snare"],
    "kick": ["kick", "bass drum"],
    "bass": ["bass", "synth bass"],
    "pad": ["pad", "soft-edged pad", "synth pad"],
    "flute": ["flute"],
    "organ": ["organ"],
    "bell": ["bell", "chime"],
    "pluck": ["pluck", "plucked string"],
}
PAN = {"left": ["on the left", "panned left", "left side"], "right": ["on the right", "panned right", "right side"], "centre": ["", "", "", "in the centre"]}
LEVEL = {"soft": ["soft", "quiet"], "normal": ["", "", ""], "loud": ["loud", "powerful"]}
PACE = {"slow": ["slow"], "normal": [""], "fast": ["fast", "quick"]}


def family(sound: Sound) -> str:
    if sound.kind in SINGLE:
        return "single"
    if sound.kind in DRUMS:
        return "drum"
    if sound.kind in NOISES:
        return "noise"
    return sound.kind if sound.kind in ("chord", "arpeggio", "loop") else "sweep"


def prompt_of(sound: Sound, rng: random.Random, held_out: bool = False) -> str:
    """One wording. What the prompt leaves out is normal and in the centre."""
    name = family(sound)
    note = note_name(sound.midi)
    if name in ("chord", "arpeggio") and rng.random() < 0.5:
        note = note[:-1]  # the octave is the model's to choose
    pace = rng.choice(PACE[sound.pace])
    text = rng.choice((HELD_OUT if held_out else FORMS)[name]).format(
        kind=rng.choice(WORDS.get(sound.kind, [sound.kind])), note=note, mode=sound.mode, bpm=sound.bpm, pattern=sound.pattern, pace=pace
    )
    if pace and sound.kind == "wind":
        text = f"{pace} {text}"
    parts = [text, rng.choice(PAN[sound.pan]), rng.choice(LEVEL[sound.level])]
    extra = [part for part in parts[1:] if part]
    rng.shuffle(extra)
    text = " ".join(", ".join([parts[0], *extra]).split())
    return text if held_out or rng.random() < 0.6 else text.lower() if rng.random() < 0.5 else text[0].upper() + text[1:]
