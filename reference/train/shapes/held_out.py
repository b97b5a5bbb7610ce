"""Scenes, clips and questions that training never drew, as files that Pillow and ffmpeg write, with what is true of them."""

import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from captions import caption, clip_caption
from questions import ask, ask_clip
from render import render
from scenes import CELLS, Clip, Scene, at_time, random_clip, random_scene

FRAMES, FRAMES_PER_SECOND = 36, 12


def size_of(aspect: float, rng: np.random.Generator, even: bool = False) -> tuple[int, int]:
    """Width and height, the longer side 200 to 640 pixels."""
    longer = int(rng.integers(200, 641))
    width, height = (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)
    step = 2 if even else 1
    return int(width) // step * step, int(height) // step * step


def to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * 255).astype(np.uint8)


def draw(scene: Scene, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(to_bytes(render(scene, *size_of(scene.aspect, rng))[0]))


def facts(scene: Scene) -> dict:
    things = [
        {"shape": each.shape, "colour": each.colour, "size": each.size, "texture": each.texture, "cell": CELLS[each.cell]}
        for each in scene.things
    ]
    return {"things": things, "background": scene.background}


def scenes_of(seed: int, n: int):
    """(scene, its generator), as many of one thing as of several."""
    for i in range(n):
        rng = np.random.default_rng([1_000_003, seed, i])
        yield random_scene(rng, 1 if i % 2 == 0 else 2 + i // 2 % 3), rng


def clips_of(seed: int, n: int):
    for i in range(n):
        rng = np.random.default_rng([1_000_033, seed, i])
        yield random_clip(rng), rng


def write_clip(clip: Clip, path: Path, rng: np.random.Generator) -> None:
    width, height = size_of(clip.scene.aspect, rng, even=True)
    frames = b"".join(to_bytes(render(at_time(clip, i / (FRAMES - 1)), width, height)[0]).tobytes() for i in range(FRAMES))
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", str(FRAMES_PER_SECOND), "-i", "-", "-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    subprocess.run(command, input=frames, check=True)


def make(out: Path, seed: int, pictures: int, clips: int) -> dict[str, dict]:
    """Writes the files, each with its question beside it, and gives what is true of each by its name."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    (out / "clips").mkdir(exist_ok=True)
    truth: dict[str, dict] = {}
    for i, (scene, rng) in enumerate(scenes_of(seed, pictures)):
        name = f"pictures/{i:04}.{'png' if i % 4 < 2 else 'jpg'}"
        draw(scene, rng).save(out / name, **({} if name.endswith("png") else {"quality": 90}))
        kind, question, answer = ask(rng, scene, held_out=True)
        told = [caption(scene, "descriptive", variant) for variant in (0, 1)]
        truth[name] = facts(scene) | {"question": question, "answer": answer, "kind": kind, "captions": told}
    for i, (clip, rng) in enumerate(clips_of(seed, clips)):
        name = f"clips/{i:04}.mp4"
        write_clip(clip, out / name, rng)
        kind, question, answer = ask_clip(rng, clip, held_out=True)
        told = [clip_caption(clip, "descriptive", 0)]
        truth[name] = facts(clip.scene) | {"motion": clip.motion, "question": question, "answer": answer, "kind": kind, "captions": told}
    for name, known in truth.items():
        (out / name).with_suffix(".txt").write_text(known["question"])
    return truth
