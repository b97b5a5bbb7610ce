"""Scenes as pixels: shapes by their signed distance, edges and textures antialiased, things of a scene laid over one
another from the largest to the smallest."""

import numpy as np

from scenes import BACKGROUNDS, COLOURS, Scene, Thing

_PENTAGON = np.arange(5) * 2 * np.pi / 5 + np.pi / 2  # outward normals of the sides, the tip up
_TRIANGLE = np.arange(3) * 2 * np.pi / 3 + np.pi / 2


def _planes(x: np.ndarray, y: np.ndarray, angles: np.ndarray) -> np.ndarray:
    return np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y


def signed_distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """In units of the radius, negative inside; x to the right and y down from the centre. Exact near the edge only."""
    if shape == "circle":
        return np.hypot(x, y) - 1
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.72) - 0.28
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.84
    if shape == "rectangle":
        return np.maximum(np.abs(x) - 1.05, np.abs(y) - 0.5)
    if shape == "triangle":
        return _planes(x, y - 0.25, _TRIANGLE).max(0) - 0.6
    if shape == "pentagon":
        return _planes(x, y - 0.05, _PENTAGON).max(0) - 0.85
    if shape == "star":
        # Inside at least four of the five lines.
        return np.partition(_planes(x, y - 0.05, _PENTAGON), 3, axis=0)[3] - 0.345
    if shape == "cross":
        return np.minimum(
            np.maximum(np.abs(x) - 1, np.abs(y) - 0.33), np.maximum(np.abs(x) - 0.33, np.abs(y) - 1)
        )
    if shape == "heart":
        # A square on its tip with a circle on each of the two upper sides.
        side, h = 0.58, y - 0.08
        box = np.maximum(np.abs(x + h), np.abs(x - h)) / np.sqrt(2) - side
        lobes = np.hypot(np.abs(x) - side / np.sqrt(2), h + side / np.sqrt(2)) - side
        return np.minimum(box, lobes)
    if shape == "moon":
        return np.maximum(np.hypot(x, y) - 1, 0.82 - np.hypot(x - 0.5, y + 0.1))
    raise ValueError(f"no such shape: {shape}")


def second_colour(colour: np.ndarray) -> np.ndarray:
    lightness = colour @ np.array([0.3, 0.59, 0.11])
    return colour * 0.5 if lightness > 0.55 else colour * 0.42 + 0.58


def _texture(thing: Thing, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray | None:
    """How much of the second colour there is, 0 to 1; x, y in radii."""
    if thing.texture == "plain":
        return None
    turn = np.deg2rad(thing.texture_angle)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    if thing.texture == "shaded":
        return np.clip(0.5 + 0.6 * u, 0, 1)
    sharp = radius  # pixels per radius

    def wave(t: np.ndarray, period: float, share: float) -> np.ndarray:
        """Distance in pixels into a band that fills `share` of each period."""
        return (period * share / 2 - np.abs((t / period + 0.5) % 1 - 0.5) * period) * sharp

    if thing.texture == "striped":
        inside = wave(u, 0.55, 0.45)
    elif thing.texture == "checked":
        a, b = wave(u - 0.25, 1.0, 0.5), wave(v - 0.25, 1.0, 0.5)
        inside = np.where((a > 0) == (b > 0), 1, -1) * np.minimum(np.abs(a), np.abs(b))
    else:
        period = 0.66
        a, b = ((t / period + 0.5) % 1 - 0.5 for t in (u, v))
        inside = (0.29 - np.hypot(a, b)) * period * sharp
    return np.clip(inside + 0.5, 0, 1)


def _lay(picture: np.ndarray, labels: np.ndarray, thing: Thing, label: int, mean_side: float, softness: float) -> None:
    height, width = labels.shape
    radius = thing.diameter * mean_side / 2
    cx, cy, reach = thing.x * width, thing.y * height, radius * 1.5 + 2
    left, right = max(int(cx - reach), 0), min(int(cx + reach) + 1, width)
    top, bottom = max(int(cy - reach), 0), min(int(cy + reach) + 1, height)
    if left >= right or top >= bottom or thing.opacity == 0:
        return
    dx = ((np.arange(left, right, dtype=np.float32) + 0.5 - cx) / radius)[None]
    dy = ((np.arange(top, bottom, dtype=np.float32) + 0.5 - cy) / radius)[:, None]
    turn = np.float32(np.deg2rad(thing.angle))
    x, y = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    cover = np.clip(0.5 - signed_distance(thing.shape, x, y) * np.float32(radius / softness), 0, 1) * np.float32(thing.opacity)
    colour = np.clip(np.add(COLOURS[thing.colour], thing.tint), 0, 1).astype(np.float32)
    paint = colour
    second = _texture(thing, x, y, radius)
    if second is not None:
        paint = colour + (second_colour(colour) - colour).astype(np.float32) * second[..., None]
    area = picture[top:bottom, left:right]
    area += (paint - area) * cover[..., None]
    labels[top:bottom, left:right][cover > 0.5] = label


def render(scene: Scene, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture, (height, width, 3) floats from 0 to 1, and which thing each pixel shows, (height, width): its place
    in `scene.things` counted from 1, or 0."""
    rng = np.random.default_rng(scene.seed)
    base = np.clip(np.add(BACKGROUNDS[scene.background], scene.tint), 0, 1)
    slope = scene.slope * (np.arange(height) / max(height - 1, 1) - 0.5)
    picture = np.broadcast_to((base + slope[:, None])[:, None], (height, width, 3)).astype(np.float32)
    labels = np.zeros((height, width), np.uint8)
    mean_side = float(np.sqrt(width * height))
    for i in sorted(range(len(scene.things)), key=lambda i: -scene.things[i].diameter):
        _lay(picture, labels, scene.things[i], i + 1, mean_side, scene.softness)
    if scene.noise:
        picture += rng.normal(0, scene.noise, picture.shape).astype(np.float32)
    return np.clip(picture, 0, 1), labels


def fitted_size(aspect: float, side: int) -> tuple[int, int]:
    """Width and height of a picture that `fit: pad` lays into a square of `side` pixels."""
    return (side, max(int(side / aspect), 1)) if aspect >= 1 else (max(int(side * aspect), 1), side)
