"""What the tower and the media tokens are asked for directly while training, and no checkpoint holds: which thing each
patch shows and how it looks, how many there are, and where a clip's mover is in each frame. A tower that knows these
is one from which captions are soon learnt."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pool import PATCH, SIDE, UNSURE
from render import fitted_size
from scenes import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES, Scene

_PARTS = {"shape": SHAPES, "colour": tuple(COLOURS), "texture": TEXTURES, "size": tuple(SIZES)}
_CLASSES = {"rank": 5} | {part: len(words) + 1 for part, words in _PARTS.items()} | {"cell": 10}
# The form is what takes longest to learn.
_WEIGHTS = {"shape": 3.0, "texture": 1.5}
IGNORED = -100


def patch_targets(scenes: list[Scene], owners: np.ndarray, with_size: bool = True) -> dict[str, Tensor]:
    """owners (n, patches) -> for each part (n, patches), 0 for no thing. The size is not asked of frames of clips,
    which show things of any."""
    table = np.zeros((len(scenes), 5, len(_CLASSES)), np.int64)  # thing 0 is none
    for i, scene in enumerate(scenes):
        for rank, thing in enumerate(scene.things, start=1):
            table[i, rank] = (rank, *(words.index(getattr(thing, part)) + 1 for part, words in _PARTS.items()), thing.cell + 1)
    known = np.where(owners == UNSURE, 0, owners)
    values = np.take_along_axis(table, known[..., None].astype(np.int64), axis=1)
    values[owners == UNSURE] = IGNORED
    targets = {part: torch.from_numpy(values[..., i]) for i, part in enumerate(_CLASSES)}
    if not with_size:
        targets.pop("size")
        targets.pop("cell")
    return targets


def near_targets(scenes: list[Scene], owners: np.ndarray, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Where each patch lies in its thing: (n, patches, 3), the way from the thing's centre to the patch's in radii, and
    the logarithm of the radius in patches; and where that is known, (n, patches)."""
    table = np.zeros((len(scenes), 5, 3), np.float32)  # x, y, radius in patches; thing 0 is none
    for i, scene in enumerate(scenes):
        width, height = fitted_size(scene.aspect, SIDE)
        for rank, thing in enumerate(scene.things, start=1):
            table[i, rank] = (thing.x * width, thing.y * height, thing.diameter * np.sqrt(width * height) / 2)
    known = (owners > 0) & (owners != UNSURE)
    x, y, radius = np.moveaxis(np.take_along_axis(table / PATCH, np.where(known, owners, 0)[..., None].astype(np.int64), axis=1), -1, 0)
    which, radius = kept.numpy(), np.maximum(radius, 0.1)
    grid = SIDE // PATCH
    targets = np.stack([(which % grid + 0.5 - x) / radius, (which // grid + 0.5 - y) / radius, np.log(radius)], -1)
    return torch.from_numpy(np.where(known[..., None], targets, 0).astype(np.float32)), torch.from_numpy(known)


def picture_targets(scenes: list[Scene]) -> dict[str, Tensor]:
    grounds = list(BACKGROUNDS)
    return {
        "count": torch.tensor([len(scene.things) for scene in scenes]),
        "ground": torch.tensor([grounds.index(scene.background) for scene in scenes]),
    }


class Heads(nn.Module):
    def __init__(self, vision_width: int, text_width: int):
        super().__init__()
        self.norm = nn.LayerNorm(vision_width)
        self.patch = nn.ModuleDict({part: nn.Linear(vision_width, size) for part, size in _CLASSES.items()})
        self.picture = nn.ModuleDict({"count": nn.Linear(vision_width, 5), "ground": nn.Linear(vision_width, len(BACKGROUNDS))})
        self.near = nn.Linear(vision_width, 3)
        self.state = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, 4))

    def tower_loss(self, feature: Tensor, patches: dict[str, Tensor], pictures: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """feature (n, 1 + patches, vision_width) -> the mean loss of all parts, and how often each is right where there
        is a thing."""
        x = self.norm(feature)
        losses, right = [], {}
        for part, target in patches.items():
            scores = self.patch[part](x[:, 1:])
            losses.append(F.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=IGNORED) * _WEIGHTS.get(part, 1.0))
            there = target > 0
            right[part] = float((scores.argmax(-1) == target)[there].float().mean())
        for part, target in pictures.items():
            scores = self.picture[part](x[:, 0])
            losses.append(F.cross_entropy(scores, target))
            right[part] = float((scores.argmax(-1) == target).float().mean())
        return torch.stack(losses).mean(), right

    def near_loss(self, feature: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        return F.smooth_l1_loss(self.near(self.norm(feature)[:, 1:])[known], targets[known], beta=0.2)

    def state_loss(self, media: Tensor, states: Tensor) -> Tensor:
        """media (n, frames, text width), states (n, frames, 4); where the mover is not there, only that counts."""
        # Far off at first, and then not to drown the rest.
        error = F.smooth_l1_loss(self.state(media), states, beta=0.1, reduction="none")
        there = (states[..., 3:] > 0.5).float()
        return (error[..., :3] * there).mean() * 3 + error[..., 3].mean()
