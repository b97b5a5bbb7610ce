"""What the tower and the media tokens are asked for directly while training, and no checkpoint holds: which thing each
patch shows and how it looks, how many there are, and where a clip's mover is in each frame. A tower that knows these
is one from which captions are soon learnt."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paint import UNSURE
from rows import CLASSES, IGNORED
from scenes import BACKGROUNDS

# The form is what takes longest to learn.
_WEIGHTS = {"shape": 3.0, "texture": 1.5}
_NOTHING_WEIGHT = 0.1  # of a patch that shows no thing: most do not


def patch_targets(classes: Tensor, owners: Tensor) -> Tensor:
    """classes (n, things + 1, parts), owners (n, patches) -> (n, patches, parts), IGNORED where it is not sure."""
    is_unsure = (owners == UNSURE)[..., None]
    rank = torch.where(is_unsure, 0, owners[..., None]).expand(-1, -1, classes.shape[-1])
    return torch.where(is_unsure, IGNORED, classes.gather(1, rank))


def near_targets(near: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
    """near (n, things + 1, 3), centre and radius in patches, owners (n, patches) -> where each patch lies in its thing,
    (n, patches, 3), the way from the thing's centre to the patch's in radii and the logarithm of the radius; and where
    that is known, (n, patches)."""
    grid = math.isqrt(owners.shape[1])
    x, y, radius = near.gather(1, torch.where(owners == UNSURE, 0, owners)[..., None].expand(-1, -1, 3)).unbind(-1)
    known = (owners != UNSURE) & (radius > 0)
    radius = radius.clamp(min=0.1)
    at = torch.arange(owners.shape[1], device=owners.device)
    targets = torch.stack([(at % grid + 0.5 - x) / radius, (at // grid + 0.5 - y) / radius, radius.log()], -1)
    return targets, known


def mean_of(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def _mean_loss(scores: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """scores (..., classes), target and weights (...)"""
    loss = F.cross_entropy(scores.flatten(0, -2).float(), target.flatten(), ignore_index=IGNORED, reduction="none")
    return mean_of(loss, (weights * (target != IGNORED)).flatten())


class Heads(nn.Module):
    def __init__(self, vision_width: int, text_width: int):
        super().__init__()
        self.norm = nn.LayerNorm(vision_width)
        self.patch = nn.ModuleDict({part: nn.Linear(vision_width, size) for part, size in CLASSES.items()})
        self.picture = nn.ModuleDict({"count": nn.Linear(vision_width, 5), "ground": nn.Linear(vision_width, len(BACKGROUNDS))})
        self.near = nn.Linear(vision_width, 3)
        self.state = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, 4))

    def tower_loss(self, feature: Tensor, targets: Tensor, pictures: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """feature (n, 1 + patches, vision_width), targets (n, patches, parts), pictures (n) by name -> the mean loss of all
        parts, and how often each is right where there is a thing."""
        x = self.norm(feature)
        losses, right = [], {}
        for part, target in zip(CLASSES, targets.unbind(-1)):
            scores, there = self.patch[part](x[:, 1:]), (target > 0).float()
            losses.append(_mean_loss(scores, target, there + (1 - there) * _NOTHING_WEIGHT) * _WEIGHTS.get(part, 1.0))
            right[part] = mean_of((scores.argmax(-1) == target).float(), there)
        for part, target in pictures.items():
            scores, known = self.picture[part](x[:, 0]), (target != IGNORED).float()
            losses.append(_mean_loss(scores, target, known))
            right[part] = mean_of((scores.argmax(-1) == target).float(), known)
        return torch.stack(losses).mean(), {name: value.detach() for name, value in right.items()}

    def near_loss(self, feature: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        error = F.smooth_l1_loss(self.near(self.norm(feature)[:, 1:]).float(), targets, beta=0.2, reduction="none")
        return mean_of(error.mean(-1), known.float())

    def state_loss(self, media: Tensor, states: Tensor, is_frame: Tensor) -> Tensor:
        """media (n, frames, text width), states (n, frames, 4), is_frame (n, frames), false for those that a clip lacks;
        where the mover is not there, only that counts."""
        # Far off at first, and then not to drown the rest.
        error = F.smooth_l1_loss(self.state(media).float(), states, beta=0.1, reduction="none")
        there = (states[..., 3:] > 0.5).float()
        return mean_of((error[..., :3] * there).sum(-1) + error[..., 3], is_frame.float())
