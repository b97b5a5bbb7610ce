"""Questions about a scene or a clip with their answers. Every kind has wordings that training sees and one, the last,
that only the evaluation asks."""

from collections.abc import Callable

import numpy as np

from captions import NUMBERS, PLACES, article, move_words, name_of, sentence
from scenes import CELLS, COLOURS, SHAPES, Clip, Scene, Thing

WORDINGS = {
    "colour": (
        "What colour is the {shape}?", "What color is the {shape}?", "Which colour does the {shape} have?",
        "Tell me the colour of the {shape}.", "The {shape} is what colour?", "Name the colour of the {shape}.",
        "What's the colour of the {shape}?", "Say what colour the {shape} is.", "Can you tell me the colour of the {shape}?",
        "Which colour is the {shape}?",
    ),
    "shape": (
        "What shape is {colour}?", "Which shape is {colour}?", "What is the shape of the {colour} one?", "What is the {colour} thing?",
        "Which of the shapes is {colour}?", "What is {colour} here?",
        "What kind of shape is {colour}?", "Tell me which shape is {colour}.", "Name the {colour} shape.", "Say which one is {colour}.",
        "Name the shape that is {colour}.",
    ),
    "where": (
        "Where is the {shape}?", "Where can I find the {shape}?", "In which part of the picture is the {shape}?",
        "Where do you see the {shape}?", "What is the position of the {shape}?",
        "Say where the {shape} is.", "Tell me the position of the {shape}.", "Whereabouts is the {shape}?",
        "Where in the picture is the {shape}?", "Say in which part the {shape} is.", "Tell me the place of the {shape}.",
        "Tell me where the {shape} is.",
    ),
    "at": (
        "What is {place}?", "What do you see {place}?", "Which shape is {place}?", "Tell me what is {place}.",
        "Which thing is {place}?", "Say what is {place}.", "Name what is {place}.", "What can be seen {place}?", "What is there {place}?",
        "What can you see {place}?",
    ),
    "size": (
        "How big is the {shape}?", "How large is the {shape}?", "What size is the {shape}?", "What is the size of the {shape}?",
        "Say how big the {shape} is.", "Tell me the size of the {shape}.", "Tell me how large the {shape} is.",
        "Is the {shape} small, medium or large?", "Can you tell me how big the {shape} is?", "Tell me, how big is the {shape}?",
        "Tell me how big the {shape} is.",
    ),
    "texture": (
        "What pattern does the {shape} have?", "What texture does the {shape} have?", "What is the pattern of the {shape}?",
        "What is on the {shape}?", "How is the {shape} patterned?",
        "Tell me the pattern of the {shape}.", "What kind of pattern is on the {shape}?", "Which texture does the {shape} have?",
        "Which pattern is on the {shape}?", "Which kind of pattern does the {shape} have?", "Name the pattern of the {shape}.", "Say how the {shape} is patterned.",
        "Which pattern does the {shape} have?",
    ),
    "count": (
        "How many shapes are there?", "How many shapes do you see?", "How many things are in the picture?", "Count the shapes.",
        "What is the number of shapes?", "How many objects are there?",
        "How many shapes does the picture have?", "Tell me how many shapes there are.", "How many shapes can be seen?",
        "How many shapes can you see?",
    ),
    "count_of": (
        "How many {colour} shapes are there?", "How many {colour} shapes do you see?", "Count the {colour} shapes.",
        "Tell me how many {colour} shapes there are.", "What is the number of {colour} shapes?", "How many shapes are {colour}?",
        "How many of the shapes are {colour}?", "How many {colour} ones can you see?", "How many {colour} shapes does the picture have?",
        "How many {colour} things are there?", "How many {colour} shapes can be seen?", "How many {colour} objects do you see?",
        "How many {colour} shapes can you see?",
    ),
    "background": (
        "What colour is the background?", "What color is the background?", "Which colour does the background have?",
        "Tell me the colour of the background.", "What is the background?",
        "Which colour is the background?",
    ),
    "exists": (
        "Is there {a_name}?", "Do you see {a_name}?", "Can you see {a_name}?", "Does the picture show {a_name}?",
        "Is there {a_name} here?", "Is there {a_name} in this image?", "Is there {a_name} to be seen?", "Is {a_name} there?",
        "Do you see {a_name} in the picture?", "Can you see {a_name} in this picture?", "Tell me if there is {a_name}.",
        "Is {a_name} in the picture?", "Does this image have {a_name}?",
        "Is there {a_name} in the picture?",
    ),
    "direction": (
        "Which way does it move?", "Which way does the {shape} move?", "In which direction does the {shape} move?",
        "Where does the {shape} go?", "In what direction does it move?", "Which way does it go?",
        "Tell me which way the {shape} moves.", "Where is the {shape} going?", "Which way is the {shape} going?",
        "Which way does the {shape} go?",
    ),
    "motion": (
        "What does the {shape} do?", "What happens to the {shape}?", "What is the {shape} doing?", "How does the {shape} change?",
        "Say what the {shape} does.", "Tell me what happens to the {shape}.", "What does the {shape} do in this clip?",
        "Can you tell me what the {shape} does?",
        "Tell me what the {shape} does.",
    ),
    "mover_colour": (
        "What colour is the moving shape?", "What colour is it?", "What colour is the {shape}?", "What color is the {shape}?",
        "Which colour does the {shape} have?",
        "Which colour is the {shape}?",
    ),
    "mover_shape": (
        "What shape is it?", "Which shape is this?", "What moves?", "What shape is {colour}?", "Which shape moves?",
        "Tell me which shape is {colour}.", "Name the {colour} shape.",
        "Name the shape that is {colour}.",
    ),
}

PICTURE_KINDS = tuple(kind for kind in WORDINGS if kind not in ("direction", "motion", "mover_colour", "mover_shape"))
# Those that take longest to learn are asked more often in training.
_OFTEN = {"count_of": 2.0, "where": 1.8, "texture": 1.8, "exists": 1.8, "size": 1.3, "shape": 1.3, "background": 0.4, "count": 0.8}
_TRAINING_SHARES = np.cumsum([_OFTEN.get(kind, 1.0) for kind in PICTURE_KINDS])
CLIP_KINDS = ("direction", "motion", "mover_colour", "mover_shape", "background")


def _wording(rng: np.random.Generator, kind: str, held_out: bool, **words: str) -> str:
    wordings = WORDINGS[kind]
    text = (wordings[-1] if held_out else str(rng.choice(wordings[:-1]))).format(**words)
    # People leave the capital and the mark out.
    if not held_out and rng.random() < 0.15:
        text = text.rstrip("?.").lower()
    return text


def training_kind(rng: np.random.Generator) -> str:
    return PICTURE_KINDS[int(np.searchsorted(_TRAINING_SHARES, rng.random() * _TRAINING_SHARES[-1], side="right"))]


def _pick(rng: np.random.Generator, things: list[Thing], of: Callable[[Thing], str]) -> Thing | None:
    """One that the question's word names without doubt."""
    words = [of(thing) for thing in things]
    alone = [thing for thing, word in zip(things, words) if words.count(word) == 1]
    return alone[rng.integers(len(alone))] if alone else None


def _exists(rng: np.random.Generator, scene: Scene) -> tuple[dict, str]:
    thing = scene.things[rng.integers(len(scene.things))]
    colour, shape, draw = thing.colour, thing.shape, rng.random()
    if draw > 0.75:
        colour = str(rng.choice(list(COLOURS)))
    elif draw > 0.5:
        shape = str(rng.choice(SHAPES))
    is_there = any((each.colour, each.shape) == (colour, shape) for each in scene.things)
    return {"a_name": article(f"{colour} {shape}")}, "yes" if is_there else "no"


def ask(rng: np.random.Generator, scene: Scene, held_out: bool = False, kind: str | None = None) -> tuple[str, str, str]:
    """(kind, question, answer) about a picture. `held_out`: the wording that training never sees."""
    things = scene.things
    while True:
        chosen = kind or str(rng.choice(PICTURE_KINDS))
        by_shape, by_colour = _pick(rng, things, lambda each: each.shape), _pick(rng, things, lambda each: each.colour)
        words: dict = {}
        if chosen in ("colour", "where", "size", "texture"):
            if by_shape is None:
                kind = None
                continue
            words = {"shape": by_shape.shape}
            answer = {
                "colour": by_shape.colour, "where": PLACES[CELLS[by_shape.cell]], "size": by_shape.size, "texture": by_shape.texture,
            }[chosen]
        elif chosen == "shape":
            if by_colour is None:
                kind = None
                continue
            words, answer = {"colour": by_colour.colour}, article(by_colour.shape)
        elif chosen == "at":
            cell = int(rng.integers(9)) if rng.random() < 0.25 else things[rng.integers(len(things))].cell
            there = [thing for thing in things if thing.cell == cell]
            words, answer = {"place": PLACES[CELLS[cell]]}, article(name_of(there[0])) if there else "nothing"
        elif chosen == "count":
            answer = NUMBERS[len(things)]
        elif chosen == "count_of":
            colour = str(rng.choice(list(COLOURS))) if rng.random() < 0.25 else things[rng.integers(len(things))].colour
            words, answer = {"colour": colour}, NUMBERS[sum(thing.colour == colour for thing in things)]
        elif chosen == "background":
            answer = scene.background
        else:
            words, answer = _exists(rng, scene)
        return chosen, _wording(rng, chosen, held_out, **words), sentence(answer)


def ask_clip(rng: np.random.Generator, clip: Clip, held_out: bool = False, kind: str | None = None) -> tuple[str, str, str]:
    thing = clip.scene.things[clip.mover]
    chosen = kind or str(rng.choice(CLIP_KINDS, p=(0.35, 0.35, 0.1, 0.1, 0.1)))
    moves = move_words(clip.motion)
    answer = {
        "direction": moves.removeprefix("moves ") if moves.startswith("moves ") else f"it {moves}",
        "motion": f"it {moves}",
        "mover_colour": thing.colour,
        "mover_shape": article(thing.shape),
        "background": clip.scene.background,
    }[chosen]
    return chosen, _wording(rng, chosen, held_out, shape=thing.shape, colour=thing.colour), sentence(answer)
