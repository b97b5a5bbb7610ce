"""Rendered scenes and clips on disk, since drawing anew for each step would take a core from the training. The trainer
reads whatever shards are there, and each picture is asked about many times over.

    nice -n 19 python reference/train/shapes/pool.py --out DIR [--shards 9] [--first 0]
"""

import argparse
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from render import fitted_size, render
from scenes import Clip, Scene, at_time, random_clip, random_scene

SIDE, PATCH = 112, 16
FILL = 0.5  # mean of the preprocessing, 0 after it
UNSURE = 255  # a patch that shows too little of a thing to ask for it
COUNTS = (0.34, 0.24, 0.21, 0.21)
CLIP_FRAMES = 8


def padded(picture: np.ndarray) -> np.ndarray:
    """(height, width, 3) of 0 to 1 -> (SIDE, SIDE, 3) bytes, at the top left."""
    out = np.full((SIDE, SIDE, 3), round(FILL * 255), np.uint8)
    out[: picture.shape[0], : picture.shape[1]] = np.rint(picture * 255)
    return out


def owners(labels: np.ndarray) -> np.ndarray:
    """(height, width) things by pixel -> (patches) the thing that a patch shows most of, 0 or UNSURE."""
    full = np.zeros((SIDE, SIDE), np.uint8)
    full[: labels.shape[0], : labels.shape[1]] = labels
    cells = full.reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH).transpose(0, 2, 1, 3).reshape(-1, PATCH * PATCH)
    shares = np.stack([(cells == thing).mean(1) for thing in range(1, 5)], 1)
    most = shares.max(1)
    return np.where(most > 0.15, shares.argmax(1) + 1, np.where(most > 0.05, UNSURE, 0)).astype(np.uint8)


def soften(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What shrinking a large picture with a triangle filter does to edges, for half of them."""
    if rng.random() < 0.5:
        return picture
    weight = rng.uniform(0.05, 0.22)
    for axis in (0, 1):
        near = np.pad(picture, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        size = picture.shape[axis]
        picture = picture * (1 - 2 * weight) + weight * (near.take(range(size), axis) + near.take(range(2, size + 2), axis))
    return picture


def draw(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    picture, labels = render(scene, *fitted_size(scene.aspect, SIDE))
    return padded(soften(picture, rng)), owners(labels)


def state(clip: Clip, time: float) -> np.ndarray:
    """The mover in units of the padded square: x, y, diameter, and whether it is there."""
    width, height = fitted_size(clip.scene.aspect, SIDE)
    thing = at_time(clip, time).things[clip.mover]
    return np.array([thing.x * width / SIDE, thing.y * height / SIDE, thing.diameter * np.sqrt(width * height) / SIDE, thing.opacity], np.float32)


@dataclass
class Shard:
    scenes: list[Scene]
    pictures: np.ndarray  # (n, SIDE, SIDE, 3) bytes
    owners: np.ndarray  # (n, patches)
    clips: list[Clip]
    frames: np.ndarray  # (m, CLIP_FRAMES, SIDE, SIDE, 3) bytes
    frame_owners: np.ndarray  # (m, CLIP_FRAMES, patches)
    states: np.ndarray  # (m, CLIP_FRAMES, 4)


def make_shard(seed: int, pictures: int, clips: int) -> Shard:
    rng = np.random.default_rng([7, seed])
    scenes = [random_scene(rng, 1 + int(rng.choice(4, p=COUNTS))) for _ in range(pictures)]
    drawn = [draw(scene, rng) for scene in scenes]
    moving = [random_clip(rng) for _ in range(clips)]
    frames, frame_owners, states = [], [], []
    for clip in moving:
        # The middles of equal stretches, or both ends, as samplers of frames do it.
        edge = 0.5 / CLIP_FRAMES if rng.random() < 0.5 else 0.0
        times = np.linspace(edge, 1 - edge, CLIP_FRAMES)
        shown = [draw(at_time(clip, time), rng) for time in times]
        frames.append(np.stack([picture for picture, _ in shown]))
        frame_owners.append(np.stack([owner for _, owner in shown]))
        states.append(np.stack([state(clip, time) for time in times]))
    return Shard(
        scenes, np.stack([picture for picture, _ in drawn]), np.stack([owner for _, owner in drawn]),
        moving, np.stack(frames), np.stack(frame_owners), np.stack(states),
    )


def read_shard(path: Path) -> Shard:
    return Shard(**pickle.loads(path.read_bytes()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=9)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--clips", type=int, default=500)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in range(args.first, args.first + args.shards):
        path = args.out / f"shard-{seed:03}.pickle"
        if path.exists():
            continue
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(vars(make_shard(seed, args.pictures, args.clips)), protocol=5))
        os.replace(part, path)
        print(path.name, flush=True)


if __name__ == "__main__":
    main()
