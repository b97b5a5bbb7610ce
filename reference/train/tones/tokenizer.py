"""The prompts' own tokenizer: a Unigram model in T5's form (pad 0, end 1, unknown 2).

Every word of the training prompts is one token, a note with its octave ("c4") and a tempo ("120") too; anything else is spelt.
Training prompts have spelt letters mixed in (`prompts.with_chatter`), so that unknown words are passed over.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from .common import CONFIG
from .prompts import prompt_of
from .sounds import random_sound

SPECIAL = ["<pad>", "</s>", "<unk>"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789#.,:;!?'\"()-/&+"
_SPELT = -14.0  # log probability of a letter: any word that is known whole is likelier


def make_tokenizer() -> Tokenizer:
    rng = random.Random(CONFIG["seed"])
    prompts = (prompt_of(random_sound(rng, 4.0), rng).lower() for _ in range(40_000))
    words = Counter(word.strip(",.:") for prompt in prompts for word in prompt.split())
    total = sum(words.values())
    vocabulary = [(token, 0.0) for token in SPECIAL]
    vocabulary += [("▁" + word, math.log(count / total)) for word, count in sorted(words.items()) if len(word) > 1]
    vocabulary += [(letter, _SPELT) for letter in ["▁", *LETTERS]]
    vocabulary += [("▁" + letter, math.log(words[letter] / total) if letter in words else _SPELT) for letter in LETTERS]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_padding()
    plain.no_truncation()
    plain.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "T5TokenizerFast", "model_max_length": CONFIG["text_encoder"]["prompt_tokens"], "extra_ids": 0,
        "additional_special_tokens": [], "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
    }, indent=2) + "\n")
