"""render.py for whole batches as sums over tensors, so that pictures are drawn where the model trains and none is seen
twice. The same pictures but for rounding and the noise's draws; rows.py says what the numbers mean."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from scenes import SHAPES, TEXTURES

UNSURE = 255  # a patch that shows too little of a thing to ask for it
_FIVE = [i * 2 * math.pi / 5 + math.pi / 2 for i in range(5)]  # outward normals of a pentagon's sides, the tip up
_THREE = [i * 2 * math.pi / 3 + math.pi / 2 for i in range(3)]


def _planes(x: Tensor, y: Tensor, angles: list[float]) -> list[Tensor]:
    return [math.cos(angle) * x + math.sin(angle) * y for angle in angles]


def _largest_two(values: list[Tensor]) -> tuple[Tensor, Tensor]:
    first, second = torch.maximum(values[0], values[1]), torch.minimum(values[0], values[1])
    for value in values[2:]:
        second = torch.maximum(second, torch.minimum(first, value))
        first = torch.maximum(first, value)
    return first, second


def _box(x: Tensor, y: Tensor, width: float, height: float) -> Tensor:
    return torch.maximum(x.abs() - width, y.abs() - height)


def _distance_of(shape: str, x: Tensor, y: Tensor) -> Tensor:
    """render.signed_distance"""
    far = torch.sqrt(x * x + y * y)
    if shape == "circle":
        return far - 1
    if shape == "ring":
        return (far - 0.72).abs() - 0.28
    if shape == "square":
        return _box(x, y, 0.84, 0.84)
    if shape == "rectangle":
        return _box(x, y, 1.05, 0.5)
    if shape == "triangle":
        return _largest_two(_planes(x, y - 0.25, _THREE))[0] - 0.6
    if shape == "pentagon":
        return _largest_two(_planes(x, y - 0.05, _FIVE))[0] - 0.85
    if shape == "star":
        return _largest_two(_planes(x, y - 0.05, _FIVE))[1] - 0.345
    if shape == "cross":
        return torch.minimum(_box(x, y, 1, 0.33), _box(x, y, 0.33, 1))
    if shape == "heart":
        side, h = 0.58, y - 0.08
        box = torch.maximum((x + h).abs(), (x - h).abs()) / math.sqrt(2) - side
        across, along = x.abs() - side / math.sqrt(2), h + side / math.sqrt(2)
        return torch.minimum(box, torch.sqrt(across * across + along * along) - side)
    across, along = x - 0.5, y + 0.1
    return torch.maximum(far - 1, 0.82 - torch.sqrt(across * across + along * along))


def _wrapped(t: Tensor) -> Tensor:
    """t - round(t), as (t + 0.5) % 1 - 0.5"""
    return t + 0.5 - torch.floor(t + 0.5) - 0.5


def _wave(t: Tensor, period: float, share: float, sharp: Tensor) -> Tensor:
    return (period * share / 2 - _wrapped(t / period).abs() * period) * sharp


def _second_of(texture: str, u: Tensor, v: Tensor, sharp: Tensor) -> Tensor:
    """How much of the second colour there is, 0 to 1."""
    if texture == "plain":
        return torch.zeros_like(u)
    if texture == "shaded":
        return (0.5 + 0.6 * u).clamp(0, 1)
    if texture == "striped":
        inside = _wave(u, 0.55, 0.45, sharp)
    elif texture == "checked":
        a, b = _wave(u - 0.25, 1.0, 0.5, sharp), _wave(v - 0.25, 1.0, 0.5, sharp)
        inside = torch.where((a > 0) == (b > 0), 1.0, -1.0) * torch.minimum(a.abs(), b.abs())
    else:
        period = 0.66
        a, b = _wrapped(u / period), _wrapped(v / period)
        inside = (0.29 - torch.sqrt(a * a + b * b)) * period * sharp
    return (inside + 0.5).clamp(0, 1)


def _softer(x: Tensor, weight: Tensor, last: Tensor, dim: int) -> Tensor:
    """Each pixel with `weight` of each neighbour along dim; past the edge, `last` (images, 1, 1), lies the edge again."""
    at = torch.arange(x.shape[dim], device=x.device)
    at = at[:, None] if dim == 1 else at[None]
    before = torch.where(at == 0, x, x.roll(1, dim))
    after = torch.where(at >= last, x, x.roll(-1, dim))
    return x * (1 - 2 * weight) + weight * (before + after)


def paint(ground: Tensor, things: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """ground (n, values), things (n, most, values) in the order they are laid, noise (n, 3, side, side) of variance 1 ->
    what the model sees, (n, 3, side, side), and the rank of the thing that each pixel shows, (n, side, side), or 0."""
    side = noise.shape[-1]
    at = torch.arange(side, device=ground.device)
    pixel = at.to(torch.float32) + 0.5
    base, (slope, sigma, softness, weight, light, width, height) = ground[:, :3], (each[:, None, None] for each in ground[:, 3:].unbind(1))
    shape, texture, cx, cy, radius, cos, sin, u_cos, u_sin = (each[..., None, None] for each in things[..., :9].unbind(-1))
    paints, seconds, (opacity, rank) = things[..., 9:12], things[..., 12:15], (each[..., None, None] for each in things[..., 15:].unbind(-1))
    sharp = radius.clamp(min=1e-3)
    dx, dy = (pixel - cx) / sharp, (pixel[:, None] - cy) / sharp
    x, y = dx * cos + dy * sin, dy * cos - dx * sin  # (n, most, side, side)
    distance = torch.zeros_like(x)
    for i, name in enumerate(SHAPES):
        distance = torch.where(shape == i, _distance_of(name, x, y), distance)
    cover = (0.5 - distance * sharp / softness[:, None]).clamp(0, 1) * opacity * (rank > 0)
    u, v = x * u_cos + y * u_sin, y * u_cos - x * u_sin
    second = torch.zeros_like(x)
    for i, name in enumerate(TEXTURES):
        second = torch.where(texture == i, _second_of(name, u, v, sharp), second)
    rise = slope * (at[:, None] / (height - 1).clamp(min=1) - 0.5)
    shown, labels = [], torch.zeros_like(x[:, 0])
    for layer in range(cover.shape[1]):
        labels = torch.where(cover[:, layer] > 0.5, rank[:, layer], labels)
    is_inside = (at < width) & (at[:, None] < height)
    for channel in range(3):
        picture = base[:, channel, None, None] + rise + torch.zeros_like(labels)
        for layer in range(cover.shape[1]):
            first = paints[:, layer, channel, None, None]
            paint_here = first + (seconds[:, layer, channel, None, None] - first) * second[:, layer]
            picture = picture + (paint_here - picture) * cover[:, layer]
        shown.append((picture + noise[:, channel] * sigma).clamp(0, 1))
    values = []
    for picture in shown:
        for dim, last in ((1, height - 1), (2, width - 1)):
            picture = _softer(picture, weight, last, dim)
        values.append(torch.where(is_inside, ((picture * 255).round() / 127.5 - 1) * light, 0.0))
    return torch.stack(values, 1), torch.where(is_inside, labels, 0.0)


def to_patches(values: Tensor, patch: int) -> Tensor:
    """(n, 3, side, side) -> (n, patches, 3 * patch * patch), in the order of a convolution's weight"""
    n, channels, side, _ = values.shape
    cut = values.reshape(n, channels, side // patch, patch, side // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(n, (side // patch) ** 2, channels * patch * patch)


def owners(labels: Tensor, patch: int, most: int) -> Tensor:
    """(n, side, side) -> (n, patches), the rank of the thing that a patch shows most of, 0 or UNSURE."""
    shares = torch.stack([F.avg_pool2d((labels == rank)[:, None].float(), patch)[:, 0] for rank in range(1, most + 1)], -1)
    most_shown, rank = shares.flatten(1, 2).max(-1)
    return torch.where(most_shown > 0.15, rank + 1, torch.where(most_shown > 0.05, UNSURE, 0))


def whitening(patches: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(n, 3 * patch * patch) patches which show things -> weight (size, 3 * patch * patch) and bias (size) that make them
    `size` uncorrelated values of one variance. Flat colour is nearly all of a patch's variance, and outlines are lost
    beside it otherwise."""
    x = patches.double()
    mean = x.mean(0)
    variance, directions = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    variance, directions = variance.flip(0)[:size], directions.flip(1)[:, :size]
    weight = directions.T / (variance + 0.02).sqrt()[:, None]
    return weight.float(), (-weight @ mean).float()
