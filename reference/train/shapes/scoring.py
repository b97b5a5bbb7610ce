"""How many captions and answers are right, by what held_out.py knows of the files."""

from captions import parse
from scenes import DIRECTIONS


def is_picture_right(text: str, truth: dict) -> bool:
    """Every thing with its shape, colour, size, texture and place, in order, none too many, and the background."""
    said = parse(text)
    return said["things"] == truth["things"] and said["background"] == truth["background"]


def parts_right(text: str, truth: dict) -> dict[str, bool]:
    """Of a picture of one thing, or of a clip's mover."""
    said = parse(text)
    first = said["things"][0] if said["things"] else {}
    right = {part: first.get(part) == truth["things"][0][part] for part in ("shape", "colour", "size", "texture", "cell")}
    return right | {"count": len(said["things"]) == len(truth["things"]), "background": said["background"] == truth["background"]}


def is_motion_right(text: str, truth: dict) -> bool:
    return parse(text)["motion"] == truth["motion"]


def is_clip_right(text: str, truth: dict) -> bool:
    """The motion, the mover's looks (its size where that does not change), and the background."""
    right = parts_right(text, truth)
    keys = ["shape", "colour", "texture", "background"] + (["size"] if truth["motion"] not in ("grows", "shrinks") else [])
    return is_motion_right(text, truth) and all(right[key] for key in keys)


def is_answer_right(text: str, truth: dict) -> bool:
    return text.strip().rstrip(".").lower() == truth["answer"].rstrip(".").lower()


def share(values: list[bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def report(captions: dict[str, str], answers: dict[str, str], truth: dict[str, dict]) -> dict:
    """Figures by name; `captions` are of the descriptive preset."""
    one = [name for name in captions if "motion" not in truth[name] and len(truth[name]["things"]) == 1]
    several = [name for name in captions if "motion" not in truth[name] and len(truth[name]["things"]) > 1]
    moving = [name for name in captions if "motion" in truth[name]]
    directed = [name for name in moving if truth[name]["motion"] in DIRECTIONS]
    figures: dict = {
        "single_object_captions": share([is_picture_right(captions[name], truth[name]) for name in one]),
        "multi_object_captions": share([is_picture_right(captions[name], truth[name]) for name in several]),
        "motion_directions": share([is_motion_right(captions[name], truth[name]) for name in directed]),
        "motions": share([is_motion_right(captions[name], truth[name]) for name in moving]),
        "clip_captions": share([is_clip_right(captions[name], truth[name]) for name in moving]),
        "questions": share([is_answer_right(answers[name], truth[name]) for name in answers]),
        "counts": {"single": len(one), "multi": len(several), "directed": len(directed), "clips": len(moving), "questions": len(answers)},
    }
    parts = [parts_right(captions[name], truth[name]) for name in one]
    figures["single_object_parts"] = {part: share([each[part] for each in parts]) for part in (parts[0] if parts else {})}
    by_count = {n: [is_picture_right(captions[name], truth[name]) for name in several if len(truth[name]["things"]) == n] for n in (2, 3, 4)}
    figures["multi_object_by_count"] = {n: share(values) for n, values in by_count.items()}
    kinds = sorted({truth[name]["kind"] for name in answers})
    figures["questions_by_kind"] = {
        kind: share([is_answer_right(answers[name], truth[name]) for name in answers if truth[name]["kind"] == kind]) for kind in kinds
    }
    return figures
