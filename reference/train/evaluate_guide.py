"""Figures of the guide from its shipped weights, through the `lutra` command: nothing of PyTorch is asked.

    python reference/train/evaluate_guide.py [--model models/lutra-guide] [--out figures.json]
    python reference/train/evaluate_guide.py --sample tests/golden/guide/questions.jsonl   # only writes the fast subset

Nearly everything asked is held out: wordings, sentences and pairs of numbers that training never has (guide/facts.py,
guide/wording.py, guide/sums.py). Answers are greedy unless said otherwise. An answer is *right* when, of all answers
that the guide has, it is most like the one wanted, at least 85 % alike, with the same numbers and the same links.

newcomer.jsonl is apart from that: questions of a new user, written from the README and the window's own text before their
author had seen a wording in facts/, and put to a trained model before the facts were read. Beside each are the facts that
answer it, chosen by hand with that model's answers in view; where there is none, only a refusal is right. They are never
for training: a wording taken from them would make them worthless.

Written for Python 3.11; needs no package.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "guide"))

import dialogues
import stories
import sums
import talk
from facts import Fact, all_spoken, read_facts, spoken
from wording import CHINESE_FRAMES, FRAMES, MORE_FRAMES, bare, held_questions, split_wordings_cached

ROOT = Path(__file__).parents[2]
LEAST_ALIKE = 0.85
KINDS = ["newcomer", "guide", "chinese", "talk", "beyond", "sums", "dialogues", "free"]
NEWCOMER = Path(__file__).parent / "newcomer.jsonl"

FACTS = read_facts()
ANSWERS = list(dict.fromkeys(
    [text for f in FACTS for text in (f.answer, f.answer_zh, f.where, f.where_zh) if text]
    + [answer for _, answer in [*talk.TALK, *talk.TALK_ZH]]
    + [talk.REFUSAL, talk.REFUSAL_ZH, dialogues.ONLY_ENGLISH, sums.TOO_LARGE, sums.TOO_LARGE_ZH]
))


def is_chinese(text: str) -> bool:
    return any("一" <= character <= "鿿" for character in text)


def is_right(given: str, wanted: str) -> bool:
    if given == wanted:
        return True
    marks = r"\d+|\(lutra:\w+\)"
    if re.findall(marks, given) != re.findall(marks, wanted):
        return False
    alike = SequenceMatcher(None, given, wanted, autojunk=False).ratio()
    return alike >= LEAST_ALIKE and all(
        SequenceMatcher(None, given, other, autojunk=False).ratio() <= alike for other in ANSWERS if other != wanted
    )


def result_of(answer: str) -> str | None:
    """The last number of an answer to a sum."""
    found = re.findall(r"(?<![\d)])-?\d+", answer)
    return found[-1] if found else None


def loops(answer: str) -> bool:
    """Whether words, or Chinese characters, come three times in a row as the same run of two or more."""
    units = re.findall(r"[一-鿿]|\w+|[^\w\s]", answer)
    return any(
        units[at : at + n] == units[at + n : at + 2 * n] == units[at + 2 * n : at + 3 * n]
        for n in range(2, 12)
        for at in range(len(units) - 3 * n + 1)
    )


def newcomer_lines() -> list[dict]:
    """`wanted` are answers of which any is right."""
    by_key = {fact.key: fact for fact in FACTS}
    lines = []
    for text in NEWCOMER.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        chinese = is_chinese(line["asked"])
        wanted = [by_key[key].answer_zh if chinese else by_key[key].answer for key in line["facts"]]
        lines.append({"kind": "newcomer", "turns": [line["asked"]],
                      "wanted": [answer for answer in wanted if answer] or [talk.REFUSAL_ZH if chinese else talk.REFUSAL]})
    return lines


@cache
def said_in_training(kind: str) -> set[str]:
    wordings = [w for fact in FACTS for w in [*split_wordings_cached(fact, kind)[0], *fact.more.get(kind, [])]]
    return {bare(text) for wording in wordings for text in all_spoken(wording)}


def is_asked_in_training(asked: str) -> bool:
    """Whether training has this very question, but for case and marks, and but for the slips that it adds."""
    asked = bare(asked)
    for kind, frames in (FRAMES | CHINESE_FRAMES).items():
        for frame in [*frames, *MORE_FRAMES.get(kind, [])]:
            before, after = map(bare, frame.split("{x}"))
            inside = asked.removeprefix(before).removesuffix(after).strip()
            if asked.startswith(before) and asked.endswith(after) and inside in said_in_training(kind):
                return True
    return False


def guide_lines(chinese: bool) -> list[dict]:
    lines = []
    for fact in FACTS:
        for how, asked in held_questions(fact):
            if is_chinese(asked) == chinese:
                lines.append({"kind": "chinese" if chinese else "guide", "how": how, "turns": [asked],
                              "wanted": [fact.answer_zh if chinese else fact.answer]})
    return lines


def talk_lines() -> list[dict]:
    held = [(said[-1], answer, "talk") for said, answer in [*talk.TALK, *talk.TALK_ZH]]
    held += [(asked, talk.REFUSAL, "beyond") for asked in talk.HELD_BEYOND]
    held += [(f"Tell me about {topic}.", talk.REFUSAL, "beyond") for topic in talk.HELD_TOPICS]
    held += [(asked, talk.REFUSAL_ZH, "beyond") for asked in talk.HELD_BEYOND_ZH]
    return [{"kind": kind, "turns": [asked], "wanted": [answer]} for asked, answer, kind in held]


def sum_lines(count: int = 300) -> list[dict]:
    return [{"kind": "sums", "turns": [asked], "wanted": [result]} for asked, result in sums.held(count, seed=7)]


def dialogue_lines(count: int = 60) -> list[dict]:
    """Three turns, of which two can only be understood from what came before."""
    rng = random.Random(11)
    lines: list[dict] = []
    both = [fact for fact in FACTS if fact.answer_zh and fact.where]
    families = {name: [f for f in FACTS if f.family == name] for name in ("sampler", "audioset", "bits")}
    while len(lines) < count:
        draw = len(lines) % 3
        fact: Fact = rng.choice(both)
        english = [asked for _, asked in held_questions(fact) if not is_chinese(asked)]
        if draw == 0 and english:
            turns = [rng.choice(english), rng.choice(dialogues.HELD_WHERE), rng.choice(dialogues.HELD_IN_CHINESE)]
            wanted = [fact.answer, fact.where, fact.answer_zh]
        elif draw == 1:
            first, second = rng.sample(families[rng.choice(sorted(families))], 2)
            asked = spoken(rng.choice(split_wordings_cached(second, "what")[0]), rng)
            turns = [rng.choice([q for _, q in held_questions(first) if not is_chinese(q)]),
                     rng.choice(dialogues.HELD_ABOUT).replace("{x}", asked), rng.choice(dialogues.HELD_WHERE)]
            wanted = [first.answer, second.answer, second.where]
        elif draw == 2 and fact.where_zh:
            turns = [spoken(rng.choice(split_wordings_cached(fact, "zh")[0]), rng), rng.choice(dialogues.HELD_WHERE_ZH),
                     rng.choice(dialogues.IN_ENGLISH)]
            wanted = [fact.answer_zh, fact.where_zh, fact.answer]
        else:
            continue
        lines.append({"kind": "dialogues", "turns": turns, "wanted": wanted})
    return lines


def free_lines(count: int = 200) -> list[dict]:
    """Prompts of every sort, among them such as nobody foresaw."""
    rng = random.Random(13)
    words = "otter river blue why seven under banana compile tomorrow ??? 水 model loud 42 empty the very and".split()
    makers = [
        lambda: rng.choice(stories.HELD_REQUESTS),
        lambda: rng.choice(stories.HELD_REQUESTS_ABOUT).format(hero=rng.choice(stories.HEROES)),
        lambda: " ".join(rng.choices(words, k=rng.randint(1, 12))),
        lambda: rng.choice(talk.BEYOND).replace("{x}", rng.choice(talk.HELD_TOPICS)),
        lambda: f"{rng.randint(0, 9999)} {rng.choice('+-*/')} {rng.randint(0, 9999)} = ?",
        lambda: "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=rng.randint(3, 60))).strip() or "a",
        lambda: rng.choice(["def f(x):\n  return x", "SELECT * FROM t;", "🙂🙂🙂", "ça va ?", "¿Qué es esto?", "こんにちは", "..."]),
    ]
    return [{"kind": "free", "turns": [makers[at % len(makers)]()], "wanted": [""]} for at in range(count)]


def ask(model: Path, lines: list[dict], folder: Path, *options: str) -> list[dict]:
    questions, answers = folder / "questions.jsonl", folder / "answers.jsonl"
    questions.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    command = [str(ROOT / "bin/lutra.mjs"), "eval", "chat", "--model", str(model), "--questions", str(questions),
               "--out", str(answers), "--data", str(folder / "data"), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]


def judge(row: dict) -> bool:
    if row["kind"] == "sums":
        return result_of(row["answers"][0]) == row["wanted"][0]
    if row["kind"] == "free":
        return row["stopReasons"] == ["end"] and not loops(row["answers"][0])
    if row["kind"] == "newcomer":
        return any(is_right(row["answers"][0], wanted) for wanted in row["wanted"])
    return all(is_right(given, wanted) for given, wanted in zip(row["answers"], row["wanted"], strict=True))


def share(rows: list[dict]) -> dict:
    right = sum(map(judge, rows))
    return {"right": right, "of": len(rows), "percent": round(100 * right / len(rows), 1)}


def sample() -> list[dict]:
    """The fast subset for `npm test`."""
    rng = random.Random(17)
    return [*rng.sample(guide_lines(False), 24), *rng.sample(guide_lines(True), 6), *sum_lines(20),
            *rng.sample(talk_lines(), 6), *dialogue_lines(6)[:3], *free_lines(7)]


def write_sample(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in sample()), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/lutra-guide")
    parser.add_argument("--out", type=Path, help="a .json for the figures; wrong answers go beside it as .wrong.jsonl")
    parser.add_argument("--sample", type=Path, help="write the fast subset here, and nothing else")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--greedy-only", action="store_true", help="half the time: not as the app samples")
    arguments = parser.parse_args()
    if arguments.sample:
        write_sample(arguments.sample)
        return
    lines = [*newcomer_lines(), *guide_lines(False), *guide_lines(True), *talk_lines(), *sum_lines(), *dialogue_lines(), *free_lines()]
    lines = [line for line in lines if line["kind"] in arguments.kinds]
    # What the app's sampling may change: a repeat penalty could cost sums, and chance could lead into a loop.
    sampled_kinds = [kind for kind in ("guide", "sums", "free") if kind in arguments.kinds and not arguments.greedy_only]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads = ("--threads", arguments.threads)
        rows = ask(arguments.model, lines, folder, "--max-tokens", "256", *threads)
        app = ("--temperature", "0.7", "--repeat-penalty", "1.1", "--seed", "20", "--max-tokens", "256", *threads)
        asked = [line for line in lines if line["kind"] in sampled_kinds]
        sampled = ask(arguments.model, asked, folder, *app) if asked else []
    figures = {kind: share([row for row in rows if row["kind"] == kind]) for kind in arguments.kinds}
    if "guide" in arguments.kinds:
        for how in ("frame", "wording", "both"):
            figures[f"guide, new {how}"] = share([r for r in rows if r["kind"] == "guide" and r["how"] == how])
    if "newcomer" in arguments.kinds:
        of_newcomer = [row for row in rows if row["kind"] == "newcomer"]
        for language, chinese in (("English", False), ("Chinese", True)):
            figures[f"newcomer, {language}"] = share([row for row in of_newcomer if is_chinese(row["turns"][0]) == chinese])
        figures["newcomer, not in training"] = share([row for row in of_newcomer if not is_asked_in_training(row["turns"][0])])
    for kind in sampled_kinds:
        figures[f"{kind}, as the app samples"] = share([row for row in sampled if row["kind"] == kind])
    for name, figure in figures.items():
        print(f"{name:28s} {figure['right']:4d} of {figure['of']:4d}  {figure['percent']:5.1f} %")
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        wrong = [row for row in rows if not judge(row)]
        arguments.out.with_suffix(".wrong.jsonl").write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in wrong), encoding="utf-8")


if __name__ == "__main__":
    main()
