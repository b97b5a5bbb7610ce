"""Prompts for sounds: many wordings for each attribute. Wordings in HELD_OUT never occur in training."""

from __future__ import annotations

import random
from string import ascii_lowercase

from .sounds import DRUMS, NOISES, OCTAVES, SINGLE, Sound, note_name

FORMS = {
    "single": [
        "{kind} {note}", "a {kind} on {note}", "{kind} playing {note}", "{note} {kind}", "one {note} note on a {kind}", "{kind}, note {note}",
        "{kind} in {note}", "a {note} {kind} sound", "{kind} note {note}", "{note} on {kind}", "{kind} at {note}",
    ],
    "chord": [
        "{note} {mode} chord", "a {mode} chord on {note}", "chord in {note} {mode}", "{note} {mode}, held chord", "{mode} chord, {note}",
        "a chord of {note} {mode}", "chord {note} {mode}",
    ],
    "arpeggio": [
        "{note} {mode} arpeggio at {bpm} BPM", "arpeggio in {note} {mode}, {bpm} BPM", "{bpm} BPM arpeggio, {note} {mode}",
        "{note} {mode} arpeggio, {bpm} BPM", "arpeggio, {note} {mode}, at {bpm} BPM", "a {mode} arpeggio on {note} at {bpm} BPM",
    ],
    "drum": ["{kind} hit", "a single {kind}", "{kind} drum, one hit", "one {kind}", "{kind}", "a {kind} sound", "single {kind} hit"],
    "loop": [
        "{pattern} drum loop, {bpm} BPM", "{bpm} BPM {pattern} beat", "drum loop at {bpm} BPM, {pattern}", "{pattern} drums {bpm} BPM",
        "a {bpm} BPM {pattern} drum loop", "{pattern} beat at {bpm} BPM", "{pattern} loop, {bpm} BPM", "drums, {pattern}, {bpm} BPM",
    ],
    "noise": ["{kind}", "the sound of {kind}", "{kind} sound", "a {kind} sound", "sound of {kind}"],
    "sweep": ["{kind}", "a {pace} {kind}", "{pace} {kind} effect", "{pace} {kind}", "{pace} {kind} sound"],
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
PAN = {
    side: [f"on the {side}", f"panned {side}", f"{side} side", f"in the {side} speaker", f"hard {side}", f"{side}"] for side in ("left", "right")
} | {"centre": ["", "", "", "in the centre"]}
FLATS = {"C#": "Db", "D#": "Eb", "F#": "Gb", "G#": "Ab", "A#": "Bb"}
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
    name, note = family(sound), note_name(sound.midi)
    is_usual = bool(sound.midi) and sound.midi // 12 - 1 == OCTAVES[sound.kind][0]
    if is_usual and rng.random() < (0.5 if name in ("chord", "arpeggio") else 0 if held_out else 0.15):
        note = note[:-1]
    if rng.random() < 0.25:
        note = next((flat + note[2:] for sharp, flat in FLATS.items() if note.startswith(sharp)), note)
    pace = rng.choice(PACE[sound.pace])
    text = rng.choice((HELD_OUT if held_out else FORMS)[name]).format(
        kind=rng.choice(WORDS.get(sound.kind, [sound.kind])), note=note, mode=sound.mode, bpm=sound.bpm, pattern=sound.pattern, pace=pace
    )
    if pace and sound.kind == "wind":
        text = f"{pace} {text}"
    pan, level = rng.choice(PAN[sound.pan]), rng.choice(LEVEL[sound.level])
    if level and not held_out and not text.startswith(("a ", "the ")) and rng.random() < 0.4:
        text, level = f"{level} {text}", ""
    extra = [part for part in (pan, level) if part]
    rng.shuffle(extra)
    text = " ".join(", ".join([text, *extra]).split())
    return text if held_out or rng.random() < 0.6 else text.lower() if rng.random() < 0.5 else text[0].upper() + text[1:]


def with_chatter(prompt: str, rng: random.Random) -> str:
    """Now and then a few words that mean nothing, before, behind or between."""
    if rng.random() < 0.55:
        return prompt
    words = prompt.split()
    for _ in range(rng.randint(1, 4)):
        at = rng.choice([0, len(words), rng.randint(0, len(words))])
        words.insert(at, "".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(1, 6))))
    return " ".join(words)
