"""Conversations as tokens, packed into rows of one length; and those held out, for the curve. Needs no PyTorch, so that
processes that only make data are small."""

import bisect
import random

import numpy as np
from tokenizers import Tokenizer

import sums
import talk
import tokenizer as bpe
from dialogues import ONLY_ENGLISH, SYSTEMS, Guide, Turn
from facts import read_facts
from wording import held_questions

#: A conversation as tokens, and what is to be said after each; -100: nothing.
Row = tuple[list[int], list[int]]
#: Tokens and targets, int16 of (rows, length). A conversation starts at its first mark; after the last of a row stand ends.
Packed = tuple[np.ndarray, np.ndarray]

#: So many conversations are made at once: a call of the tokenizer costs more than a question.
AT_ONCE = 512


def fixed_answers(guide: Guide) -> set[str]:
    """All answers that are always the same."""
    facts = {text for f in guide.facts for text in (f.answer, f.answer_zh, f.where, f.where_zh) if text}
    said = {answer for _, answer in [*talk.TALK, *talk.TALK_ZH]}
    return facts | said | {talk.REFUSAL, talk.REFUSAL_ZH, ONLY_ENGLISH, sums.TOO_LARGE, sums.TOO_LARGE_ZH}


class Batches:
    def __init__(self, config: dict, tokenizer: Tokenizer, rng: random.Random):
        self.config, self.tokenizer, self.rng = config, tokenizer, rng
        self.guide = Guide(read_facts())
        self.mark = {mark: tokenizer.token_to_id(mark) for mark in bpe.MARKS}
        self.vocabulary = tokenizer.get_vocab_size()
        self.fixed = {text: tokenizer.encode(text).ids for text in {*fixed_answers(self.guide), *SYSTEMS}}
        #: The same tokenizer, which now and then leaves a merge out: a word that is new falls into pieces, too.
        self.loose = Tokenizer.from_str(tokenizer.to_str())
        self.loose.model.dropout = config["merge_dropout"]
        #: Conversations that no row has yet, the shortest first, and their lengths.
        self.waiting: list[Row] = []
        self.lengths: list[int] = []

    def strange(self, ids: list[int]) -> list[int]:
        """Tokens of a question with some that mean nothing there, as words do that training does not have; or with some
        of its own gone."""
        rng, ids = self.rng, list(ids)
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(ids))
            if rng.random() < 0.3 and 3 < len(ids) > at:
                del ids[at]
            else:
                ids.insert(at, rng.randrange(len(bpe.MARKS), self.vocabulary))
        return ids

    def row(self, turns: list[tuple[list[int], list[int]]], system: list[int] | None = None, most: int | None = None) -> Row:
        """Of turns as tokens; of the last answer at most so many, and then not its end."""
        mark, end = self.mark, self.mark[bpe.END]
        tokens, targets = [mark[bpe.BEGIN]], []
        if system is not None:
            tokens += [mark[bpe.SYSTEM], *system, end]
            targets += [-100] * (len(system) + 2)
        for at, (asked, answer) in enumerate(turns, 1):
            body = [*answer, end][: most if at == len(turns) else None]
            tokens += [mark[bpe.USER], *asked, end, mark[bpe.ASSISTANT], *body]
            # A target stands where the token before it is read: the role's mark is never one, an answer and its end may be.
            targets += [-100] * (len(asked) + 3)
            targets += body
        return tokens[:-1], targets

    def encode(self, turns: list[Turn]) -> Row:
        """As it is, for what is held out."""
        return self.row([(self.tokenizer.encode(asked).ids, self.tokenizer.encode(answer).ids) for asked, answer in turns])

    def make(self, count: int) -> list[Row]:
        """So many conversations of training."""
        config, rng = self.config, self.rng
        drafts = [[sums.sample(rng)] if rng.random() < config["sum_share"] else self.guide.conversation(rng) for _ in range(count)]
        texts: list[str] = []
        loose: list[str] = []
        places: list[tuple[list[str], int]] = []
        for turns in drafts:
            for asked, answer in turns:
                into = loose if answer in self.fixed and rng.random() < config["loose_share"] else texts
                places.append((into, len(into)))
                into.append(asked)
                if answer not in self.fixed:
                    texts.append(answer)
        found = {id(texts): [each.ids for each in self.tokenizer.encode_batch(texts)],
                 id(loose): [each.ids for each in self.loose.encode_batch(loose)]}
        rows, place = [], iter(places)
        for turns in drafts:
            encoded: list[tuple[list[int], list[int]]] = []
            for _, answer in turns:
                into, at = next(place)
                asked = found[id(into)][at]
                if answer in self.fixed:
                    asked = self.strange(asked) if rng.random() < config["strange_share"] else asked
                    encoded.append((asked, self.fixed[answer]))
                else:
                    encoded.append((asked, found[id(texts)][at + 1]))
            system = self.fixed[rng.choice(SYSTEMS)] if rng.random() < config["system_prompt_share"] else None
            # The end of a fixed answer follows from its beginning, and is soon known by heart.
            is_cut = turns[-1][1] in self.fixed and rng.random() < config["cut_share"]
            made = self.row(encoded, system, config["cut_tokens"] if is_cut else None)
            while len(made[0]) > config["row_tokens"]:
                encoded.pop()
                made = self.row(encoded, system)
            rows.append(made)
        return rows

    def next(self) -> Packed:
        """The next batch. Each row begins with any conversation and goes on with the longest that still fits."""
        config = self.config
        shape = config["rows"], config["row_tokens"]
        tokens = np.full(shape, self.mark[bpe.END], dtype=np.int16)
        targets = np.full(shape, -100, dtype=np.int16)
        for number in range(config["rows"]):
            if len(self.waiting) < AT_ONCE // 2:
                self.waiting = sorted(self.waiting + self.make(AT_ONCE), key=lambda row: len(row[0]))
                self.lengths = [len(given) for given, _ in self.waiting]
            at, chosen = 0, self.rng.randrange(len(self.waiting))
            while chosen >= 0:
                given, wanted = self.waiting.pop(chosen)
                end = at + self.lengths.pop(chosen)
                tokens[number, at:end], targets[number, at:end] = given, wanted
                at = end
                chosen = bisect.bisect_right(self.lengths, shape[1] - at) - 1
        return tokens, targets

    def collate(self, rows: list[Row]) -> Packed:
        """One conversation a row; the length is the least multiple of 16."""
        length = -(-max(len(given) for given, _ in rows) // 16) * 16
        tokens = np.full((len(rows), length), self.mark[bpe.END], dtype=np.int16)
        targets = np.full((len(rows), length), -100, dtype=np.int16)
        for number, (given, wanted) in enumerate(rows):
            tokens[number, : len(given)], targets[number, : len(given)] = given, wanted
        return tokens, targets


def held_out(batches: Batches) -> dict[str, list[Row]]:
    """A small sample for the curve; the figures of the card come from evaluate_guide.py."""
    from evaluate_guide import dialogue_lines, talk_lines  # noqa: PLC0415  It lies a folder higher, and reads much.

    rng = random.Random(1)
    asked_of = [(asked, fact) for fact in batches.guide.facts for _, asked in held_questions(fact)]
    chinese = [(asked, fact.answer_zh) for asked, fact in asked_of if any("一" <= c <= "鿿" for c in asked)]
    guide = [(asked, fact.answer) for asked, fact in asked_of if all(asked != other for other, _ in chinese)]
    pairs: list[Turn] = []
    while len(pairs) < 200:
        operation = rng.choice(["+", "-"])
        a, b = sums.numbers(rng, operation)
        if sums.is_held(a, b, operation):
            pairs.append((f"What is {a} {operation} {b}?", sums.work(a, b, operation)))
    lines = {kind: [line for line in talk_lines() if line["kind"] == kind] for kind in ("talk", "beyond")} | {"dialogues": dialogue_lines()}
    return {
        "guide": [batches.encode([turn]) for turn in rng.sample(guide, 400)],
        "chinese": [batches.encode([turn]) for turn in chinese],
        "sums": [batches.encode([turn]) for turn in pairs],
        **{kind: [batches.encode(list(zip(line["turns"], line["wanted"], strict=True))) for line in found] for kind, found in lines.items()},
    }
