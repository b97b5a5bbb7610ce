"""The tokenizer and the chat format: turns of a user and an assistant, pictures first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from captions import PRESETS, caption, clip_caption, random_prompt
from questions import ask, ask_clip, training_kind
from scenes import Clip, Scene, random_clip, random_scene

SPECIAL = ("<pad>", "<s>", "</s>", "<user>", "<assistant>", "<image>")
PAD, BEGIN, END, USER, ASSISTANT, IMAGE = range(len(SPECIAL))

CHAT_TEMPLATE = (
    "{{ '<s>' }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<assistant>' + message['content'] + '</s>' }}"
    "{% elif message['role'] == 'user' %}{{ '<user>' + message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)

_PRESET_SHARES = np.cumsum((0.1, 0.5, 0.1, 0.1, 0.1, 0.1))

Turn = tuple[str, str]  # what the user says, what the model answers


def caption_turn(rng: np.random.Generator, what: Scene | Clip) -> Turn:
    preset = PRESETS[int(np.searchsorted(_PRESET_SHARES, rng.random(), side="right"))]
    told = clip_caption if isinstance(what, Clip) else caption
    return random_prompt(rng, preset), told(what, preset, int(rng.integers(2)))


def question_turn(rng: np.random.Generator, what: Scene | Clip) -> Turn:
    if isinstance(what, Clip):
        return ask_clip(rng, what)[1:]
    return ask(rng, what, kind=training_kind(rng))[1:]


def random_turns(rng: np.random.Generator, what: Scene | Clip) -> list[Turn]:
    """One or two turns about a picture or a clip."""
    return [(caption_turn if rng.random() < 0.6 else question_turn)(rng, what) for _ in range(2 if rng.random() < 0.2 else 1)]


def make_tokenizer(vocab_size: int, texts: int = 20_000, seed: int = 1) -> Tokenizer:
    """Byte-level BPE over what the grammar says."""
    rng = np.random.default_rng(seed)

    def corpus():
        for i in range(texts):
            what = random_clip(rng) if i % 4 == 0 else random_scene(rng, 1 + i % 3)
            for turn in random_turns(rng, what):
                yield from turn

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def load_tokenizer(path: Path, vocab_size: int) -> Tokenizer:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make_tokenizer(vocab_size).save(str(path))
    return Tokenizer.from_file(str(path))


def encode(ids_of: Callable[[str], list[int]], pictures: int, media_tokens: int, turns: list[Turn]) -> tuple[list[int], list[int]]:
    """Ids, and labels that are -100 for all but the answers and their ends."""
    ids, labels = [BEGIN], [-100]
    for i, (said, answer) in enumerate(turns):
        before = [USER] + ([IMAGE] * (pictures * media_tokens) if i == 0 else [])
        before += [*ids_of(said), ASSISTANT]
        after = [*ids_of(answer), END]
        ids += before + after
        labels += [-100] * len(before) + after
    return ids, labels


def prompt_ids(tokenizer: Tokenizer, pictures: int, media_tokens: int, said: str) -> list[int]:
    return [BEGIN, USER] + [IMAGE] * (pictures * media_tokens) + tokenizer.encode(said).ids + [ASSISTANT]
