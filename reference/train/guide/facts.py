"""What the guide knows: facts about the studio, read from facts/*.txt, and which wordings are kept out of training.

A fact has one answer in English (`a`), often one in Chinese (`za`), the place where it is done (`w`, `zw`), and the
wordings by which people ask for it, each of a kind: `what` (a thing to explain), `how` (something to do), `error`
(a message), `ask` and `zh` (whole questions). A wording may have choices, `(start/begin) a chat`, and stands for all that
they give: it is held out as a whole or not at all.

facts/more/*.txt has further wordings of the same facts that are for training only and no part of that division; there
`zwhat` and `zhow` are Chinese things and doings, which are put into sentences as the English ones are.
"""

import hashlib
import itertools
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "facts"
KINDS = ("what", "how", "error", "ask", "zh")
KINDS_FOR_TRAINING = (*KINDS, "zwhat", "zhow")


@dataclass(eq=False)
class Fact:
    key: str
    #: The file it stands in; facts of one file are near in subject.
    subject: str
    answer: str = ""
    answer_zh: str = ""
    where: str = ""
    where_zh: str = ""
    #: Facts that a "what about …?" leads between.
    family: str = ""
    #: Wordings by kind.
    wordings: dict[str, list[str]] = field(default_factory=dict)
    #: Those that are only for training.
    more: dict[str, list[str]] = field(default_factory=dict)


def read_facts() -> list[Fact]:
    """All facts, in the order of the files. Raises ValueError naming file and line where one is malformed."""
    facts: list[Fact] = []
    single = {"a": "answer", "za": "answer_zh", "w": "where", "zw": "where_zh", "family": "family"}
    for path in sorted(FOLDER.glob("*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.strip()
            if line == "" or line.startswith("#"):
                continue
            if line.startswith("["):
                facts.append(Fact(key=line.strip("[]"), subject=path.stem))
                continue
            name, _, value = line.partition(": ")
            if name in single:
                setattr(facts[-1], single[name], value)
            elif name in KINDS:
                facts[-1].wordings.setdefault(name, []).extend(part.strip() for part in value.split(" | "))
            else:
                raise ValueError(f"{path.name}, line {number}: a field named {name!r} is not known")
    keys = [fact.key for fact in facts]
    if len(set(keys)) != len(keys):
        raise ValueError("two facts have one key")
    _read_more({fact.key: fact for fact in facts})
    return facts


def _read_more(facts: dict[str, Fact]) -> None:
    for path in sorted((FOLDER / "more").glob("*.txt")):
        key = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.strip()
            if line == "" or line.startswith("#"):
                continue
            if line.startswith("["):
                key = line.strip("[]")
                continue
            kind, _, value = line.partition(": ")
            if key not in facts or kind not in KINDS_FOR_TRAINING:
                raise ValueError(f"{path.name}, line {number}: {kind!r} of {key!r} is not known")
            facts[key].more.setdefault(kind, []).extend(part.strip() for part in value.split(" | "))


def _rank(fact: Fact, kind: str, wording: str) -> str:
    return hashlib.sha256(f"{fact.key}/{kind}/{wording}".encode()).hexdigest()


def _choices(wording: str) -> list[list[str]]:
    """Plain text and choices by turns."""
    return [part.split("/") if at % 2 else [part] for at, part in enumerate(re.split(r"\(([^)]*)\)", wording))]


def _join(parts: Iterable[str]) -> str:
    return re.sub(" +", " ", "".join(parts)).strip().replace(" ?", "?").replace(" .", ".")


def spoken(wording: str, rng: random.Random) -> str:
    """One of what a wording stands for."""
    return _join(rng.choice(choice) for choice in _choices(wording))


def all_spoken(wording: str) -> set[str]:
    return {_join(parts) for parts in itertools.product(*_choices(wording))}


def split_wordings(fact: Fact, kind: str) -> tuple[list[str], list[str]]:
    """Wordings for training, and those held out: of four or more one, of eight or more two, chosen by a hash."""
    wordings = fact.wordings.get(kind, [])
    held_count = 2 if len(wordings) >= 8 else 1 if len(wordings) >= 4 else 0
    held = set(sorted(wordings, key=lambda wording: _rank(fact, kind, wording))[:held_count])
    return [wording for wording in wordings if wording not in held], [w for w in wordings if w in held]
