"""Conversations as tokens, packed into rows of one length; and those held out, for the curve."""

import random

import torch
from tokenizers import Tokenizer
from torch import Tensor

import sums
import talk
import tokenizer as bpe
from dialogues import ONLY_ENGLISH, SYSTEMS, Guide, Turn
from facts import read_facts
from wording import held_questions

#: A conversation as tokens, and what is to be said after each; -100: nothing.
Row = tuple[list[int], list[int]]
#: Tokens, positions, numbers of conversations and targets, each (rows, length).
Batch = tuple[Tensor, Tensor, Tensor, Tensor]

#: So many conversations are at hand to fill a row.
WAITING = 6


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
        self.fixed = fixed_answers(self.guide)
        self.waiting: list[Row] = []

    def encode(self, turns: list[Turn], system: str | None = None, last_tokens: int | None = None, strange_share: float = 0) -> Row:
        """`last_tokens`: so many of the last answer, where it is a fixed one; the rest of it is left out. `strange_share`: how
        many questions have tokens in them that mean nothing there, as words do that training does not have."""
        tokens, targets = [self.mark[bpe.BEGIN]], []

        def put(mark: str, text: str, learned: bool, most: int | None = None, strange: int = 0) -> None:
            ids = self.tokenizer.encode(text).ids
            for _ in range(strange):
                ids.insert(self.rng.randint(0, len(ids)), self.rng.randrange(self.tokenizer.get_vocab_size()))
            body = [*ids, self.mark[bpe.END]][:most]
            tokens.extend([self.mark[mark], *body])
            # A target stands where the token before it is read: the role's mark is never one, its text and end may be.
            targets.extend([-100, *(body if learned else [-100] * len(body))])

        if system is not None:
            put(bpe.SYSTEM, system, False)
        for at, (asked, answer) in enumerate(turns, 1):
            is_fixed = answer in self.fixed
            put(bpe.USER, asked, False, strange=self.rng.randint(1, 3) if is_fixed and self.rng.random() < strange_share else 0)
            put(bpe.ASSISTANT, answer, True, last_tokens if is_fixed and at == len(turns) else None)
        return tokens[:-1], targets

    def conversation(self, most_turns: int) -> Row:
        config, rng = self.config, self.rng
        system = rng.choice(SYSTEMS) if rng.random() < config["system_prompt_share"] else None
        turns = self.guide.conversation(rng, most_turns)
        # The end of a fixed answer follows from its beginning, and is soon known by heart.
        most = config["cut_tokens"] if rng.random() < config["cut_share"] else None
        while True:
            row = self.encode(turns, system, most, config["strange_share"])
            if len(row[0]) <= config["row_tokens"]:
                return row
            turns.pop()

    def sum(self) -> Row:
        return self.encode([sums.sample(self.rng)])

    def next(self, most_turns: int) -> Batch:
        """The next batch, of conversations of at most so many turns, or, if 0, of nothing but sums."""
        def make() -> Row:
            return self.conversation(most_turns) if most_turns else self.sum()

        # Each row takes the longest that still fits of those at hand.
        rows: list[list[Row]] = []
        waiting = self.waiting
        waiting.extend(make() for _ in range(WAITING - len(waiting)))
        for _ in range(self.config["rows"]):
            row: list[Row] = []
            left = self.config["row_tokens"]
            while fitting := [each for each in waiting if len(each[0]) <= left]:
                chosen = fitting[0] if left == self.config["row_tokens"] else max(fitting, key=lambda each: len(each[0]))
                waiting.remove(chosen)
                waiting.append(make())
                row.append(chosen)
                left -= len(chosen[0])
            rows.append(row)
        return self.collate(rows)

    def collate(self, rows: list[list[Row]]) -> Batch:
        longest = max(sum(len(tokens) for tokens, _ in each) for each in rows)
        shape = len(rows), longest
        tokens, positions = torch.full(shape, self.mark[bpe.END]), torch.zeros(shape, dtype=torch.long)
        conversations, targets = torch.full(shape, -1), torch.full(shape, -100)
        for number, row in enumerate(rows):
            at = 0
            for count, (given, wanted) in enumerate(row):
                end = at + len(given)
                tokens[number, at:end], targets[number, at:end] = torch.tensor(given), torch.tensor(wanted)
                positions[number, at:end], conversations[number, at:end] = torch.arange(len(given)), count
                at = end
        return tokens, positions, conversations, targets


def held_out(batches: Batches) -> dict[str, list[Row]]:
    """A small sample for the curve; the figures of the card come from evaluate_guide.py."""
    rng = random.Random(1)
    guide = [(asked, fact.answer_zh if any("一" <= c <= "鿿" for c in asked) else fact.answer)
             for fact in batches.guide.facts for _, asked in held_questions(fact)]
    pairs: list[Turn] = []
    while len(pairs) < 100:
        operation = rng.choice(["+", "-"])
        a, b = sums.numbers(rng, operation)
        if sums.is_held(a, b, operation):
            pairs.append((f"What is {a} {operation} {b}?", sums.work(a, b, operation)))
    beyond = [(asked, talk.REFUSAL) for asked in talk.HELD_BEYOND] + [(f"Tell me about {x}.", talk.REFUSAL) for x in talk.HELD_TOPICS]
    return {
        "guide": [batches.encode([turn]) for turn in rng.sample(guide, 200)],
        "sums": [batches.encode([turn]) for turn in pairs],
        "beyond": [batches.encode([turn]) for turn in beyond],
    }
