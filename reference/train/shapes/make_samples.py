"""Makes models/samples: pictures and a clip to try a model with. The clip needs ffmpeg with libx264.

    python reference/train/shapes/make_samples.py
"""

import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from render import render
from scenes import CELLS, Clip, Scene, Thing, at_time

OUT = Path(__file__).resolve().parents[3] / "models" / "samples"
FRAMES_PER_SECOND = 24


def thing(what: str, cell: str, x: float, y: float, diameter: float, angle: float = 0, texture_angle: float = 0) -> Thing:
    """`what`: size, texture, colour, shape."""
    size, texture, colour, shape = what.split()
    return Thing(shape, colour, size, texture, CELLS.index(cell), x, y, diameter, angle, texture_angle=texture_angle)


PICTURES = {
    "night.png": (960, 720, Scene(4 / 3, "dark blue", [
        thing("small plain white star", "top left", 0.2, 0.2, 0.22, -8),
        thing("medium plain yellow moon", "centre", 0.52, 0.5, 0.38, -10),
        thing("small plain yellow star", "bottom right", 0.82, 0.79, 0.24, 10),
    ], slope=0.08)),
    "ball.jpg": (800, 800, Scene(1.0, "cream", [thing("large striped red circle", "centre", 0.5, 0.5, 0.58, 0, 45)], slope=-0.06)),
    "toys.png": (960, 640, Scene(1.5, "light green", [
        thing("medium checked purple square", "left", 0.19, 0.5, 0.36, 6),
        thing("medium dotted orange cross", "top right", 0.8, 0.23, 0.36, -6),
        thing("small shaded blue heart", "bottom right", 0.79, 0.8, 0.25, 4, 90),
    ], slope=0.05)),
    "kite.webp": (720, 960, Scene(0.75, "light blue", [
        thing("medium striped pink pentagon", "top", 0.5, 0.2, 0.37, -10, 90),
        thing("small plain orange ring", "bottom left", 0.22, 0.8, 0.24),
    ], slope=0.07)),
}

CLIPS = {
    "rolling.mp4": (640, 480, 2.5, Clip(
        Scene(4 / 3, "light blue", [thing("medium dotted orange circle", "left", 0.2, 0.55, 0.36, 0, 45)], slope=0.06),
        "right", 0, {"x": 0.2, "y": 0.56}, {"x": 0.8, "y": 0.54},
    )),
}


def pixels(scene: Scene, width: int, height: int) -> np.ndarray:
    return np.rint(render(scene, width, height)[0] * 255).astype(np.uint8)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (width, height, scene) in PICTURES.items():
        Image.fromarray(pixels(scene, width, height)).save(OUT / name, **({} if name.endswith("png") else {"quality": 92}))
    for name, (width, height, seconds, clip) in CLIPS.items():
        count = int(seconds * FRAMES_PER_SECOND)
        frames = b"".join(pixels(at_time(clip, i / (count - 1)), width, height).tobytes() for i in range(count))
        command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        command += ["-r", str(FRAMES_PER_SECOND), "-i", "-", "-c:v", "libx264", "-preset", "slow", "-crf", "22", "-pix_fmt", "yuv420p"]
        subprocess.run([*command, "-fflags", "+bitexact", "-movflags", "+faststart", str(OUT / name)], input=frames, check=True)


if __name__ == "__main__":
    main()
