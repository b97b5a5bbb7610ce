"""Batches of a training as numbers of fixed shapes: what each picture and frame shows, for paint.py to draw where the
model trains, what heads.py asks of it, and rows of text. Only NumPy and the tokenizer, for worker processes."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from captions import PROMPTS, caption, clip_caption
from dialogue import Turn, caption_turn, encode, question_turn
from held_out import clips_of, scenes_of
from questions import ask, ask_clip
from render import fitted_size, second_colour
from scenes import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES, Clip, Scene, Thing, at_time, random_clip, random_scene

FRAMES = 16  # of a clip, as many as the app takes at first; those that a shorter one lacks are seen by no token
_FRAME_COUNTS, _FRAME_SHARES = (3, 4, 6, 8, 12, 16), (0.08, 0.12, 0.1, 0.25, 0.1, 0.35)
MOST_THINGS = 4
IGNORED = -100
ALL_FRAMES, NO_FRAME = 100, -1  # what a token sees that is no media token
PARTS = {"shape": SHAPES, "colour": tuple(COLOURS), "texture": TEXTURES, "size": tuple(SIZES)}
# What is asked of each patch; 0 is no thing.
CLASSES = {"rank": MOST_THINGS + 1} | {part: len(words) + 1 for part, words in PARTS.items()} | {"cell": 10}
COUNTS = (0.3, 0.22, 0.24, 0.24)
GROUND_VALUES, THING_VALUES = 10, 17
# Answers are short, and captions would drown them.
_ANSWER_WEIGHT = 2.0
_MOST_DIALOGUES = 6

Arrays = dict[str, np.ndarray]


class Dialogue(NamedTuple):
    ids: list[int]
    labels: list[int]  # as long, IGNORED for all but the answers
    weight: float


@dataclass(frozen=True)
class Layout:
    """What a batch holds; the first images are the pictures, then come FRAMES of each clip."""

    pictures: int
    clips: int
    side: int  # of the square that holds a picture, in pixels
    patch: int
    media_tokens: int
    picture_tokens: int = 128  # of a row about a picture
    clip_tokens: int = 256

    @property
    def images(self) -> int:
        return self.pictures + self.clips * FRAMES

    def empty(self) -> Arrays:
        images, clips = self.images, self.clips
        arrays = {
            "ground": np.zeros((images, GROUND_VALUES), np.float32),
            "things": np.zeros((images, MOST_THINGS, THING_VALUES), np.float32),
            "classes": np.zeros((images, MOST_THINGS + 1, len(CLASSES)), np.int64),
            "near": np.zeros((images, MOST_THINGS + 1, 3), np.float32),
            "count": np.full(images, IGNORED, np.int64),
            "background": np.full(images, IGNORED, np.int64),
            "frames": np.ones(clips, np.int64),
            "state": np.zeros((clips, FRAMES, 4), np.float32),
            "state_at": np.zeros((clips, FRAMES), np.int64),
        }
        for kind, n, length in (("picture", self.pictures, self.picture_tokens), ("clip", clips, self.clip_tokens)):
            arrays |= {
                f"{kind}_ids": np.zeros((n, length), np.int64),
                f"{kind}_labels": np.full((n, length), IGNORED, np.int64),  # what the next token should be
                f"{kind}_weights": np.zeros((n, length), np.float32),
                f"{kind}_dialogue": np.full((n, length), -1, np.int64),
                f"{kind}_place": np.zeros((n, length), np.int64),  # in the dialogue
                f"{kind}_sees": np.full((n, length), NO_FRAME, np.int64),
                f"{kind}_slot": np.full((n, length), -1, np.int64),  # of a media token
            }
        return arrays


def _thing_values(thing: Thing, rank: int, width: int, height: int) -> tuple[float, ...]:
    colour = np.clip(np.add(COLOURS[thing.colour], thing.tint), 0, 1)
    turn, texture = np.deg2rad(thing.angle), np.deg2rad(thing.texture_angle)
    return (
        SHAPES.index(thing.shape), TEXTURES.index(thing.texture), thing.x * width, thing.y * height,
        thing.diameter * (width * height) ** 0.5 / 2, np.cos(turn), np.sin(turn), np.cos(texture), np.sin(texture),
        *colour, *second_colour(colour), thing.opacity, rank,
    )


def put_image(out: Arrays, at: int, scene: Scene, layout: Layout, softened: float, light: float, is_frame: bool) -> None:
    """`softened`: weight of each neighbour in what shrinking does to edges; `light` scales the values that the model sees."""
    width, height = fitted_size(scene.aspect, layout.side)
    base = np.clip(np.add(BACKGROUNDS[scene.background], scene.tint), 0, 1)
    out["ground"][at] = (*base, scene.slope, scene.noise, scene.softness, softened, light, width, height)
    order = sorted(range(len(scene.things)), key=lambda i: -scene.things[i].diameter)
    for layer, i in enumerate(order):
        out["things"][at, layer] = _thing_values(scene.things[i], i + 1, width, height)
    for rank, thing in enumerate(scene.things, start=1):
        out["classes"][at, rank] = (rank, *(words.index(getattr(thing, part)) + 1 for part, words in PARTS.items()), thing.cell + 1)
        if not is_frame:
            radius = thing.diameter * (width * height) ** 0.5 / 2
            out["near"][at, rank] = (thing.x * width / layout.patch, thing.y * height / layout.patch, radius / layout.patch)
    if is_frame:
        # Frames show things of any size and anywhere.
        out["classes"][at, :, list(CLASSES).index("size")] = IGNORED
        out["classes"][at, :, list(CLASSES).index("cell")] = IGNORED
    else:
        out["count"][at] = len(scene.things)
        out["background"][at] = list(BACKGROUNDS).index(scene.background)


def state(clip: Clip, time: float, side: int) -> tuple[float, ...]:
    """The mover in units of the padded square: x, y, diameter, and whether it is there."""
    width, height = fitted_size(clip.scene.aspect, side)
    thing = at_time(clip, time).things[clip.mover]
    return thing.x * width / side, thing.y * height / side, thing.diameter * (width * height) ** 0.5 / side, thing.opacity


def put_row(out: Arrays, kind: str, at: int, dialogues: list[Dialogue], frames: int, layout: Layout, media_id: int) -> None:
    """Dialogues side by side; none sees another."""
    sizes = np.array([len(each.ids) for each in dialogues])
    numbers = np.arange(len(sizes)).repeat(sizes)
    starts = (sizes.cumsum() - sizes)[numbers]
    ids = np.array([token for each in dialogues for token in each.ids])
    is_media = ids == media_id
    seen = is_media.cumsum()
    order = seen - (seen - is_media)[starts] - 1  # among the media tokens of a dialogue, of the last one so far
    here = np.s_[at, : len(ids)]
    out[f"{kind}_ids"][here] = ids
    out[f"{kind}_labels"][here] = [label for each in dialogues for label in (*each.labels[1:], IGNORED)]
    out[f"{kind}_weights"][here] = np.array([each.weight for each in dialogues])[numbers]
    out[f"{kind}_dialogue"][here] = numbers
    out[f"{kind}_place"][here] = np.arange(len(ids)) - starts
    out[f"{kind}_sees"][here] = np.where(is_media, order // layout.media_tokens, np.where(order >= 0, ALL_FRAMES, NO_FRAME))
    out[f"{kind}_slot"][here] = np.where(is_media, order % layout.media_tokens, -1)
    if kind == "clip":
        out["state_at"][at, :frames] = np.flatnonzero(is_media)[: frames * layout.media_tokens].reshape(frames, -1)[:, -1]


def put_clip(out: Arrays, at: int, clip: Clip, times: np.ndarray, layout: Layout, rng: np.random.Generator) -> None:
    light = rng.uniform(0.95, 1.05)
    out["frames"][at] = len(times)
    for k, time in enumerate(times):
        put_image(out, layout.pictures + at * FRAMES + k, at_time(clip, time), layout, _softened(rng), light, is_frame=True)
        out["state"][at, k] = state(clip, time, layout.side)


def _softened(rng: np.random.Generator) -> float:
    return rng.uniform(0.05, 0.22) if rng.random() < 0.5 else 0.0


class Writer:
    """Encodes dialogues; most texts come again and again."""

    def __init__(self, tokenizer: Tokenizer, layout: Layout, media_id: int):
        self.layout, self.media_id = layout, media_id
        self.ids_of = lru_cache(50_000)(lambda text: tokenizer.encode(text).ids)

    def encoded(self, turns: list[Turn], frames: int, weight: float) -> Dialogue:
        return Dialogue(*encode(self.ids_of, frames, self.layout.media_tokens, turns), weight)

    def dialogues(self, rng: np.random.Generator, what: Scene | Clip, frames: int, room: int) -> list[Dialogue]:
        """As many as there is room for: mostly a caption first, then questions, some of them with another after it."""
        made, is_caption = [], rng.random() < 0.8
        for _ in range(_MOST_DIALOGUES):
            turns = [caption_turn(rng, what) if is_caption else question_turn(rng, what)]
            if rng.random() < 0.1:
                turns.append(question_turn(rng, what))
            dialogue = self.encoded(turns, frames, 1.0 if is_caption else _ANSWER_WEIGHT)
            room -= len(dialogue.ids)
            if room < 0:
                break
            made.append(dialogue)
            is_caption = False
        return made

    def batch(self, rng: np.random.Generator, easy_share: float, with_text: bool) -> Arrays:
        """`easy_share` of the scenes that would have three or four things have one or two."""
        layout, out = self.layout, self.layout.empty()
        for i, count in enumerate(rng.choice(MOST_THINGS, layout.pictures, p=COUNTS) + 1):
            scene = random_scene(rng, int(count - 2 if count > 2 and rng.random() < easy_share else count))
            put_image(out, i, scene, layout, _softened(rng), rng.uniform(0.95, 1.05), is_frame=False)
            if with_text:
                put_row(out, "picture", i, self.dialogues(rng, scene, 1, layout.picture_tokens), 1, layout, self.media_id)
        for i in range(layout.clips):
            clip, frames = random_clip(rng), int(rng.choice(_FRAME_COUNTS, p=_FRAME_SHARES))
            # The middles of equal stretches, or both ends, as samplers of frames do it.
            edge = 0.5 / frames if rng.random() < 0.5 else 0.0
            put_clip(out, i, clip, np.linspace(edge, 1 - edge, frames), layout, rng)
            if with_text:
                put_row(out, "clip", i, self.dialogues(rng, clip, frames, layout.clip_tokens), frames, layout, self.media_id)
        return out

    def held_out_batch(self, seed: int) -> tuple[Arrays, list[int]]:
        """Each with the preset's own prompt for a description and with a question whose wording training never sees;
        and how many things each picture shows."""
        layout, out, counts = self.layout, self.layout.empty(), []

        def pair(told: str, asked: tuple[str, str, str], frames: int):
            description = self.encoded([(PROMPTS["descriptive"][0], told)], frames, 1.0)
            # Two phrasings are right; what comes after the first token is fixed.
            description.labels[next(i for i, label in enumerate(description.labels) if label >= 0)] = IGNORED
            return [description, self.encoded([asked[1:]], frames, 1.0)]

        for i, (scene, rng) in enumerate(scenes_of(seed, layout.pictures)):
            put_image(out, i, scene, layout, 0.1, 1.0, is_frame=False)
            counts.append(len(scene.things))
            told = pair(caption(scene, "descriptive", 0), ask(rng, scene, held_out=True), 1)
            put_row(out, "picture", i, told, 1, layout, self.media_id)
        for i, (clip, rng) in enumerate(clips_of(seed, layout.clips)):
            put_clip(out, i, clip, (np.arange(FRAMES) + 0.5) / FRAMES, layout, rng)
            told = pair(clip_caption(clip, "descriptive", 0), ask_clip(rng, clip, held_out=True), FRAMES)
            put_row(out, "clip", i, told, FRAMES, layout, self.media_id)
        return out, counts
