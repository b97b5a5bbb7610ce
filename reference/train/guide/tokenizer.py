"""The guide's tokenizer: byte-level BPE trained on its own conversations. A digit is a token, and
the spaces between it and a sign belong to the sign; a Han character never joins another; an internal link is one token.

Written with tokenizers 0.23.
"""

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from dialogues import Guide
from facts import read_facts

BEGIN, END, USER, ASSISTANT, SYSTEM = "<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
MARKS = [BEGIN, END, USER, ASSISTANT, SYSTEM]
PANELS = {"chat": "聊天", "caption": "描述", "audio": "音频", "models": "模型", "jobs": "任务", "settings": "设置"}
LINKS = [f"[{name}](lutra:{panel})" for panel, zh in PANELS.items() for name in (panel.title(), zh)]
PATTERN = r"[0-9]| [-+*×=] (?=[-0-9(])|[,:] (?=[0-9])|[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]| ?\p{L}+| ?[^\s\p{L}0-9]+|\s+"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train(vocabulary: int, seed: int, conversations: int = 20_000) -> Tokenizer:
    """A tokenizer of at most `vocabulary` tokens, from so many conversations of training."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    guide, rng = Guide(read_facts()), random.Random(seed)
    texts = [text for _ in range(conversations) for turn in guide.conversation(rng) for text in turn]
    for link in LINKS:
        texts = [text.replace(link, " ") for text in texts]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(LINKS),
        min_frequency=3,
        special_tokens=MARKS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(link, normalized=False) for link in LINKS])
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json, with the chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": END,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
