"""What lutra-shapes says of a scene or a clip, preset by preset, and the way back from such a caption to attributes."""

import re

import numpy as np

from scenes import BACKGROUNDS, CELLS, COLOURS, DIRECTIONS, MOTIONS, SHAPES, SIZES, TEXTURES, Clip, Scene, Thing

PRESETS = ("short", "descriptive", "tags", "alt", "product", "narrated")

# The first of each is the preset's own prompt (contract/caption-settings.ts); the others ask for the same.
PROMPTS = {
    "short": (
        "Describe this in one short sentence.",
        "Give a short caption.", "Caption this.", "A short caption, please.", "What is this?", "Say briefly what you see.",
        "Describe this briefly.", "One short sentence about this picture.", "Write a short caption for this image.",
    ),
    "descriptive": (
        "Describe this in detail: what is shown, where it is, colours, light, and how it is composed. Write plain sentences.",
        "Describe this picture.", "Describe the picture in detail.", "What do you see?", "What is in this picture?",
        "Describe this image.", "Describe this image in detail.", "Describe this.", "What is shown here?", "Describe the clip.",
        "describe the video details", "What can you see in this image?", "Tell me what you see.", "Describe what you see.",
    ),
    "tags": (
        "List training tags for this, most important first, in lower case, separated by commas. Write nothing else.",
        "List tags.", "Give me tags for this picture.", "Tags, please.", "Write tags for this image, separated by commas.",
    ),
    "alt": (
        "Write alt text for someone who cannot see this: one or two plain sentences that say what matters.",
        "Write alt text.", "Give alt text for this picture.", "Alt text for this image, please.",
    ),
    "product": (
        "Describe the product shown: what it is, material, colour, shape and details a buyer would look for.",
        "Describe the product.", "Write a product description.", "Describe this for a shop.",
    ),
    "narrated": (
        "Tell what is happening here as a narrator would, in the present tense, in order.",
        "Tell what happens.", "What is happening here?", "Narrate this.", "What happens in this clip?", "Tell me what happens here.",
    ),
}

PLACES = {
    "top left": "in the top left", "top": "at the top", "top right": "in the top right", "left": "on the left",
    "centre": "in the centre", "right": "on the right", "bottom left": "in the bottom left", "bottom": "at the bottom",
    "bottom right": "in the bottom right",
}
SURFACES = {
    "plain": "a plain surface", "striped": "stripes", "dotted": "dots", "checked": "checks", "shaded": "soft shading",
}
NUMBERS = ("no", "one", "two", "three", "four")


def move_words(motion: str) -> str:
    if motion in ("left", "right"):
        return f"moves to the {motion}"
    if motion in DIRECTIONS:
        return f"moves {motion}"
    return "stays still" if motion == "still" else motion


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def name_of(thing: Thing, size: bool = False, texture: bool = False) -> str:
    return " ".join([thing.size] * size + [thing.texture] * texture + [thing.colour, thing.shape])


def caption(scene: Scene, preset: str, variant: int) -> str:
    """Of a picture; `variant` chooses among phrasings and may be any number."""
    things = scene.things
    ground = f"on {article(scene.background)} background"
    full = listed([f"{article(name_of(each, True, True))} {PLACES[CELLS[each.cell]]}" for each in things])
    if preset == "short":
        return sentence(listed([article(name_of(each)) for each in things]))
    if preset == "descriptive":
        shapes = f"{NUMBERS[len(things)]} shape{'s' if len(things) > 1 else ''}"
        return (sentence(f"{full}, {ground}"), sentence(f"{shapes} {ground}: {full}"))[variant % 2]
    if preset == "tags":
        tags = [f"{name_of(each)}, {each.size}, {each.texture}, {CELLS[each.cell]}" for each in things]
        return ", ".join([*tags, f"{scene.background} background"])
    if preset == "alt":
        return (sentence(f"a picture of {full}, {ground}"), sentence(f"an image of {full}, {ground}"))[variant % 2]
    if preset == "product":
        parts = [f"{article(name_of(each, size=True))} with {SURFACES[each.texture]}" for each in things]
        return sentence(f"{listed(parts)}, shown {ground}")
    still = listed([f"{article(name_of(each))} {PLACES[CELLS[each.cell]]}" for each in things])
    return sentence(f"we see {still}") + " Nothing moves."


def clip_caption(clip: Clip, preset: str, variant: int) -> str:
    thing = clip.scene.things[clip.mover]
    has_size = clip.motion not in ("grows", "shrinks")
    ground = f"on {article(clip.scene.background)} background"
    moves = move_words(clip.motion)
    full = article(name_of(thing, has_size, True))
    if preset == "short":
        return sentence(f"{article(name_of(thing))} {moves}")
    if preset == "descriptive":
        return sentence(f"{full} {moves} {ground}")
    if preset == "tags":
        tags = [name_of(thing), *([thing.size] if has_size else []), thing.texture, moves, f"{clip.scene.background} background"]
        return ", ".join(tags)
    if preset == "alt":
        return sentence(f"a clip of {full} that {moves}, {ground}")
    if preset == "product":
        return sentence(f"{article(name_of(thing, has_size))} with {SURFACES[thing.texture]}, shown {ground}")
    return sentence(f"we see {full} {ground}") + f" It {moves}."


def random_prompt(rng: np.random.Generator, preset: str) -> str:
    """The preset's own, which is long, one time in five."""
    prompts = PROMPTS[preset]
    return prompts[0] if rng.random() < 0.2 else str(rng.choice(prompts[1:]))


def _choices(words) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_THING = re.compile(
    rf"(?:\b(?P<size>{_choices(SIZES)}) )?(?:\b(?P<texture>{_choices(TEXTURES)}) )?"
    rf"\b(?P<colour>{_choices(COLOURS)}) (?P<shape>{_choices(SHAPES)})\b"
)
_GROUND = re.compile(rf"\b({_choices(BACKGROUNDS)}) background")
_MOTION_WORDS = {move_words(motion): motion for motion in MOTIONS}
_MOTION = re.compile(rf"\b({_choices(_MOTION_WORDS)})\b")
_SURFACE = re.compile(rf"\bwith ({_choices(SURFACES.values())})")
_PLACE = re.compile(rf"\b({_choices(PLACES.values())})\b")
_TAGS = re.compile(rf"^, (?P<size>{_choices(SIZES)}), (?P<texture>{_choices(TEXTURES)}), (?P<cell>{_choices(CELLS)})(?:,|$)")


def parse(text: str) -> dict:
    """{"things": [{shape, colour, size, texture, cell}], "background", "motion"}; what is not said is None."""
    found = list(_THING.finditer(text))
    things = []
    for i, match in enumerate(found):
        rest = text[match.end() : found[i + 1].start() if i + 1 < len(found) else len(text)]
        thing = match.groupdict() | {"cell": None}
        place, surface, tags = _PLACE.search(rest), _SURFACE.search(rest), _TAGS.search(rest)
        if place:
            thing["cell"] = next(cell for cell, words in PLACES.items() if words == place[1])
        if surface:
            thing["texture"] = next(texture for texture, words in SURFACES.items() if words == surface[1])
        if tags:
            thing |= tags.groupdict()
        things.append(thing)
    ground, motion = _GROUND.search(text), _MOTION.search(text)
    return {
        "things": things,
        "background": ground[1] if ground else None,
        "motion": _MOTION_WORDS[motion[1]] if motion else None,
    }
