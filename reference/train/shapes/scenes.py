"""What a picture or a clip of lutra-shapes holds, drawn at random: shapes with a colour, a size, a texture and a place
on a background, and for a clip what one of them does. Words and numbers only; render.py makes pixels of it."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

SHAPES = ("circle", "square", "triangle", "rectangle", "star", "pentagon", "cross", "ring", "heart", "moon")

COLOURS = {
    "red": (0.86, 0.12, 0.12),
    "orange": (0.97, 0.55, 0.08),
    "yellow": (0.97, 0.87, 0.15),
    "green": (0.15, 0.62, 0.22),
    "blue": (0.14, 0.30, 0.85),
    "purple": (0.50, 0.18, 0.70),
    "pink": (0.98, 0.55, 0.75),
    "brown": (0.48, 0.28, 0.13),
    "black": (0.06, 0.06, 0.06),
    "white": (0.97, 0.97, 0.97),
    "grey": (0.50, 0.50, 0.50),
}

BACKGROUNDS = {
    "white": (0.97, 0.97, 0.97),
    "grey": (0.72, 0.72, 0.72),
    "black": (0.07, 0.07, 0.07),
    "cream": (0.97, 0.93, 0.80),
    "light blue": (0.72, 0.87, 0.97),
    "light green": (0.76, 0.93, 0.76),
    "dark blue": (0.07, 0.10, 0.32),
    "dark green": (0.05, 0.25, 0.12),
}

TEXTURES = ("plain", "striped", "dotted", "checked", "shaded")
# Plain ones are as common as any two others together.
_TEXTURE_SHARES = np.cumsum((0.32, 0.17, 0.17, 0.17, 0.17))

# Diameters as shares of the geometric mean of the picture's sides. The gaps keep the words apart.
SIZES = {"small": (0.21, 0.26), "medium": (0.33, 0.39), "large": (0.50, 0.60)}

# Row by row; a caption names things in this order.
CELLS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")

# Direction of each move in units of the picture, x to the right and y down.
DIRECTIONS = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "up and to the left": (-1, -1),
    "up and to the right": (1, -1),
    "down and to the left": (-1, 1),
    "down and to the right": (1, 1),
}

MOTIONS = (*DIRECTIONS, "grows", "shrinks", "rotates", "appears", "disappears", "bounces", "still")

# Turning any of these shows.
TURNING_SHAPES = ("square", "triangle", "rectangle", "cross", "heart", "moon")

_CLOSEST_COLOURS = 0.45  # distance in RGB between a thing and its background


@dataclass
class Thing:
    shape: str
    colour: str
    size: str
    texture: str
    cell: int  # index of CELLS
    x: float  # centre, as a share of the width
    y: float  # centre, as a share of the height
    diameter: float  # share of the geometric mean of the sides
    angle: float  # degrees, clockwise
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)  # added to the colour
    opacity: float = 1.0
    texture_angle: float = 0.0


@dataclass
class Scene:
    aspect: float  # width / height
    background: str
    things: list[Thing]  # in the order of CELLS
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slope: float = 0.0  # the background grows lighter from top to bottom by this
    noise: float = 0.0  # standard deviation of what is added to each value, of 1
    softness: float = 1.0  # width of edges in pixels
    seed: int = 0  # of the noise


@dataclass
class Clip:
    """One thing does `motion`; another may stand still."""

    scene: Scene
    motion: str
    mover: int  # index of scene.things
    start: dict = field(default_factory=dict)  # fields of the mover at time 0
    end: dict = field(default_factory=dict)  # and at time 1
    turn: float = 0.0  # degrees over the whole clip
    hops: float = 0.0
    moment: float = 0.5  # when it appears or disappears


@cache
def visible_on(background: str) -> tuple[str, ...]:
    """Colours that stand out."""
    far = {name: float(np.linalg.norm(np.subtract(colour, BACKGROUNDS[background]))) for name, colour in COLOURS.items()}
    return tuple(name for name in COLOURS if far[name] > _CLOSEST_COLOURS)


def one_of(rng: np.random.Generator, choices):
    """What `rng.choice` gives, several times as fast."""
    return choices[rng.integers(len(choices))]


def random_thing(rng: np.random.Generator, cell: int, sizes: tuple[str, ...], background: str, aspect: float) -> Thing:
    colour = one_of(rng, visible_on(background))
    size = one_of(rng, sizes)
    shape = one_of(rng, SHAPES)
    diameter = float(rng.uniform(*SIZES[size]))
    is_tall = shape == "rectangle" and rng.random() < 0.5
    x = _place(rng, cell % 3, diameter / 2 / np.sqrt(aspect))
    y = _place(rng, cell // 3, diameter / 2 * np.sqrt(aspect))
    angle = float(rng.uniform(-12, 12)) + (90 if is_tall else 0)
    texture = TEXTURES[int(np.searchsorted(_TEXTURE_SHARES, rng.random(), side="right"))]
    tint = tuple(rng.uniform(-0.04, 0.04, 3))
    return Thing(shape, colour, size, texture, cell, x, y, diameter, angle, tint, 1.0, one_of(rng, (0.0, 45.0, 90.0, 135.0)))


def _place(rng: np.random.Generator, third: int, radius: float) -> float:
    """Somewhere in the first, second or last third, as far inside the picture as its edge there allows."""
    if third == 1:
        return float(rng.uniform(0.43, 0.57))
    near = min(max(radius * 0.9, 0.13), 0.27)
    at = float(rng.uniform(near, max(near, 0.22)))
    return at if third == 0 else 1 - at


def random_scene(rng: np.random.Generator, count: int, aspect: float | None = None) -> Scene:
    background = one_of(rng, tuple(BACKGROUNDS))
    aspect = random_aspect(rng) if aspect is None else aspect
    while True:
        cells = np.sort(rng.choice(9, count, replace=False))
        things: list[Thing] = []
        for cell in cells:
            large = sum(thing.size == "large" for thing in things)
            sizes = ("small", "medium", "large") if count <= 2 and large == 0 else ("small", "medium")
            things.append(random_thing(rng, int(cell), sizes, background, aspect))
        if _is_clear(things, aspect):
            break
    return Scene(
        aspect, background, things, tuple(rng.uniform(-0.02, 0.02, 3)), float(rng.choice((0.0, rng.uniform(-0.08, 0.08)))),
        float(rng.uniform(0.01, 0.04)) if rng.random() < 0.3 else 0.0, float(rng.uniform(0.9, 1.7)), int(rng.integers(1 << 31)),
    )


def _is_clear(things: list[Thing], aspect: float) -> bool:
    """Two may overlap, but neither hides the other's form."""
    for i, a in enumerate(things):
        for b in things[:i]:
            far = np.hypot((a.x - b.x) * np.sqrt(aspect), (a.y - b.y) / np.sqrt(aspect))
            if far < 0.36 * (a.diameter + b.diameter):
                return False
    return True


def random_aspect(rng: np.random.Generator) -> float:
    if rng.random() < 0.3:
        return 1.0
    return float(np.exp(rng.uniform(np.log(9 / 16), np.log(16 / 9))))


def random_clip(rng: np.random.Generator, motion: str | None = None) -> Clip:
    if motion is None:
        motion = str(rng.choice(list(DIRECTIONS)) if rng.random() < 0.6 else rng.choice(MOTIONS[len(DIRECTIONS) :]))
    aspect = float(rng.choice((1.0, 4 / 3, 16 / 9, 3 / 4)))
    scene = random_scene(rng, 1, aspect)
    mover = scene.things[0]
    mover.size = str(rng.choice(("small", "medium")))
    mover.diameter = float(rng.uniform(*SIZES[mover.size]))
    mover.x, mover.y = float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))
    clip = Clip(scene, motion, 0)
    if motion in DIRECTIONS:
        dx, dy = DIRECTIONS[motion]
        reach = float(rng.uniform(0.36, 0.66))
        sway = 0.04  # what a straight move strays to the side
        x0 = rng.uniform(0.17, 0.83 - reach) if dx else rng.uniform(0.2, 0.8)
        y0 = rng.uniform(0.17, 0.83 - reach) if dy else rng.uniform(0.2, 0.8)
        x1 = x0 + reach if dx else x0 + rng.uniform(-sway, sway)
        y1 = y0 + reach if dy else y0 + rng.uniform(-sway, sway)
        x0, x1 = (x1, x0) if dx < 0 else (x0, x1)
        y0, y1 = (y1, y0) if dy < 0 else (y0, y1)
        clip.start, clip.end = {"x": float(x0), "y": float(y0)}, {"x": float(x1), "y": float(y1)}
    elif motion in ("grows", "shrinks"):
        small, large = float(rng.uniform(0.16, 0.26)), float(rng.uniform(0.5, 0.62))
        mover.x, mover.y = float(rng.uniform(0.38, 0.62)), float(rng.uniform(0.38, 0.62))
        clip.start, clip.end = {"diameter": small}, {"diameter": large}
        if motion == "shrinks":
            clip.start, clip.end = clip.end, clip.start
    elif motion == "rotates":
        mover.shape = str(rng.choice(TURNING_SHAPES))
        mover.size, mover.diameter = "medium", float(rng.uniform(*SIZES["medium"]))
        clip.turn = float(rng.choice((-1, 1)) * rng.uniform(80, 150))
    elif motion == "bounces":
        mover.y = float(rng.uniform(0.7, 0.8))
        clip.start = {"y": mover.y}
        clip.end = {"y": float(rng.uniform(0.2, 0.3))}
        clip.hops = float(rng.choice((1.0, 2.0)))
    elif motion in ("appears", "disappears"):
        clip.moment = float(rng.uniform(0.35, 0.65))
    return clip


def at_time(clip: Clip, time: float) -> Scene:
    """The scene of a clip at a time from 0 to 1."""
    scene, mover = clip.scene, clip.scene.things[clip.mover]
    now = Thing(**vars(mover))
    if clip.motion == "bounces":
        height = abs(np.sin(np.pi * clip.hops * time))
        now.y = clip.start["y"] + (clip.end["y"] - clip.start["y"]) * height
    else:
        for name, value in clip.start.items():
            setattr(now, name, value + (clip.end[name] - value) * time)
    now.angle += clip.turn * time
    if clip.motion == "appears":
        now.opacity = float(np.clip((time - clip.moment) / 0.1 + 0.5, 0, 1))
    elif clip.motion == "disappears":
        now.opacity = float(np.clip((clip.moment - time) / 0.1 + 0.5, 0, 1))
    things = [now if i == clip.mover else thing for i, thing in enumerate(scene.things)]
    return Scene(**{**vars(scene), "things": things, "seed": scene.seed + int(time * 1000)})
