"""Batches from the pool. A batch holds only some patches of each picture: those that show things, and a few others.
The tower then costs a third, and learns the same; the last part of a training sees whole pictures."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pool import CLIP_FRAMES, PATCH, SIDE, Shard, read_shard
from render import fitted_size
from scenes import Clip, Scene

GRID = SIDE // PATCH
_MIRRORED = {"left": "right", "right": "left"}


@dataclass
class Part:
    """Pictures (frames = 1) or clips of which the same number of patches is kept."""

    items: list[Scene] | list[Clip]
    frames: int
    patches: Tensor  # (items * frames, kept, 3 * PATCH * PATCH), in the order of a convolution's weight
    kept: Tensor  # (items * frames, kept), which patches
    owners: np.ndarray  # (items * frames, kept)
    states: Tensor | None  # (items, frames, 4) of clips


def mirrored_scene(scene: Scene) -> tuple[Scene, np.ndarray]:
    """Left for right, and for each new rank of a thing the old one, from 1."""
    things = [replace(thing, x=1 - thing.x, cell=thing.cell // 3 * 3 + 2 - thing.cell % 3) for thing in scene.things]
    order = sorted(range(len(things)), key=lambda i: things[i].cell)
    return replace(scene, things=[things[i] for i in order]), np.array(order) + 1


def mirrored_pixels(picture: np.ndarray, width: int) -> np.ndarray:
    """(..., SIDE, SIDE, 3) whose first `width` columns are the picture."""
    out = picture.copy()
    out[..., :width, :] = picture[..., :width, :][..., ::-1, :]
    return out


def to_patches(pictures: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE, 3) -> (n, patches, PATCH * PATCH * 3)"""
    cut = pictures.reshape(len(pictures), GRID, PATCH, GRID, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    return cut.reshape(len(pictures), GRID * GRID, -1)


def to_values(patches: np.ndarray, light: np.ndarray) -> Tensor:
    """(n, kept, PATCH * PATCH * 3) bytes -> what the preprocessing makes of them, channels first; light (n) scales it."""
    n, kept, _ = patches.shape
    x = torch.from_numpy(np.ascontiguousarray(patches)).view(n, kept, PATCH * PATCH, 3).transpose(2, 3).float()
    return (x.flatten(2) / 127.5 - 1) * torch.from_numpy(light.astype(np.float32))[:, None, None]


def whitening(shard: Shard, size: int, pictures: int = 1500) -> tuple[Tensor, Tensor]:
    """Weight (size, 3 * PATCH * PATCH) and bias (size) that make patches which show things into `size` uncorrelated
    values of one variance. Flat colour is nearly all of a patch's variance, and outlines are lost beside it otherwise."""
    cut, shown = to_patches(shard.pictures[:pictures]), shard.owners[:pictures] > 0
    x = to_values(cut[shown][None], np.ones(1))[0].double()
    mean = x.mean(0)
    variance, directions = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    variance, directions = variance.flip(0)[:size], directions.flip(1)[:, :size]
    weight = directions.T / (variance + 0.02).sqrt()[:, None]
    return weight.float(), (-weight @ mean).float()


class Data:
    def __init__(self, folder: Path, rng: np.random.Generator):
        self.folder, self.rng = folder, rng
        self.skipped = 0.0  # share of the scenes of three and four things that are passed over, for a start with easy ones
        self.shards: dict[str, Shard] = {}
        self.refresh()

    def refresh(self) -> None:
        """Shards come to be there while the training runs."""
        for path in sorted(self.folder.glob("shard-*.pickle")):
            if path.name not in self.shards:
                self.shards[path.name] = read_shard(path)

    def _draw(self, n: int, of: str):
        shards = list(self.shards.values())
        for _ in range(n):
            shard = shards[self.rng.integers(len(shards))]
            yield shard, int(self.rng.integers(len(getattr(shard, of))))

    def _draw_scenes(self, n: int):
        found = 0
        while found < n:
            for shard, i in self._draw(n - found, "scenes"):
                if len(shard.scenes[i].things) <= 2 or self.rng.random() >= self.skipped:
                    found += 1
                    yield shard, i

    def pictures(self, n: int, whole: bool) -> list[Part]:
        """Two parts of n / 2 pictures each, the first with those that need fewer patches; one of n if `whole`."""
        scenes, patches, owners = [], [], []
        for shard, i in self._draw_scenes(n):
            scene, picture, owner = shard.scenes[i], shard.pictures[i], shard.owners[i]
            width = fitted_size(scene.aspect, SIDE)[0]
            # The owners of a mirrored picture are known where the mirror maps patches to patches.
            if width % PATCH == 0 and self.rng.random() < 0.5:
                scene, old_of = mirrored_scene(scene)
                picture = mirrored_pixels(picture, width)
                new_of = np.arange(256)
                new_of[old_of] = np.arange(1, len(old_of) + 1)
                grid, columns = owner.reshape(GRID, GRID).copy(), width // PATCH
                grid[:, :columns] = grid[:, :columns][:, ::-1]
                owner = new_of[grid].reshape(-1).astype(np.uint8)
            scenes.append(scene)
            patches.append(picture)
            owners.append(owner)
        cut, owner = to_patches(np.stack(patches)), np.stack(owners)
        if whole:
            return [self._part(scenes, 1, cut, owner, GRID * GRID, None)]
        order = np.argsort((owner > 0).sum(1), kind="stable")
        parts = []
        for half in (order[: n // 2], order[n // 2 :]):
            shown = (owner[half] > 0).sum(1)
            kept = int(np.clip(np.quantile(shown, 0.9) + 2, 10, 28))
            parts.append(self._part([scenes[i] for i in half], 1, cut[half], owner[half], kept, None))
        return parts

    def clips(self, n: int, frames: int, whole: bool) -> Part:
        drawn = list(self._draw(n, "clips"))
        which = np.linspace(0, CLIP_FRAMES - 1, frames).round().astype(int)
        pictures = np.concatenate([shard.frames[i][which] for shard, i in drawn])
        owners = np.concatenate([shard.frame_owners[i][which] for shard, i in drawn])
        states = torch.from_numpy(np.stack([shard.states[i][which] for shard, i in drawn]))
        kept = GRID * GRID if whole else 14
        return self._part([shard.clips[i] for shard, i in drawn], frames, to_patches(pictures), owners, kept, states)

    def _part(self, items: list, frames: int, cut: np.ndarray, owners: np.ndarray, kept: int, states: Tensor | None) -> Part:
        # Patches that show things first, each kind in a random order.
        chance = self.rng.random(owners.shape) + (owners == 0)
        if kept < GRID * GRID:
            which = np.sort(np.argpartition(chance, kept - 1, axis=1)[:, :kept], axis=1)
        else:
            which = np.tile(np.arange(kept), (len(cut), 1))
        patches = np.take_along_axis(cut, which[..., None], axis=1)
        light = self.rng.uniform(0.95, 1.05, len(cut) // frames).repeat(frames)
        return Part(items, frames, to_values(patches, light), torch.from_numpy(which), np.take_along_axis(owners, which, axis=1), states)
