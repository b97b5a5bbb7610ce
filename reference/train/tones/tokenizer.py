"""The prompts' own tokenizer: a Unigram model in T5's form (pad 0, end 1, unknown 2), digits one by one."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .common import CONFIG
from .prompts import prompt_of
from .sounds import random_sound

SPECIAL = ["<pad>", "</s>", "<unk>"]


def make_tokenizer() -> Tokenizer:
    rng = random.Random(CONFIG["seed"])
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    prompts = (prompt_of(random_sound(rng, 5.9), rng, held_out=rng.random() < 0.05) for _ in range(20_000))
    # Letters and marks of any English text are known, so that a word of no prompt is spelt, not lost.
    letters = [" ".join("abcdefghijklmnopqrstuvwxyz0123456789#.,:;!?'\"()-/&+")] * 3
    tokenizer.train_from_iterator([*prompts, *letters], trainers.UnigramTrainer(
        vocab_size=CONFIG["text_encoder"]["vocab_size"], special_tokens=SPECIAL, unk_token="<unk>", show_progress=False,
    ))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "T5TokenizerFast", "model_max_length": CONFIG["text_encoder"]["prompt_tokens"], "extra_ids": 0,
        "additional_special_tokens": [], "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
    }, indent=2) + "\n")
