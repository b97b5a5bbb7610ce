"""Trains tests/golden/trained: a very small model that has really learned something, so that tests can tell what
quantizing costs. It learns Lutra's own sources; the last tenth of the files is held out as tests/golden/trained/held-out.txt.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers safetensors numpy
    .venv/bin/python reference/text/train_tiny.py            # about five minutes on two cores
"""

import json
import subprocess
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "tests" / "golden" / "trained"
STEPS, BATCH, WINDOW = 1600, 16, 128
HELD_OUT_CHARACTERS = 40_000


def texts() -> tuple[str, str]:
    names = subprocess.run(["git", "ls-files", "contract", "main", "renderer", "native/src"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in names.stdout.split() if name.endswith((".ts", ".tsx", ".cpp", ".h"))]
    train = "\n".join((ROOT / name).read_text() for i, name in enumerate(files) if i % 10 != 9)
    held_out = "\n".join((ROOT / name).read_text() for i, name in enumerate(files) if i % 10 == 9)
    return train, held_out[:HELD_OUT_CHARACTERS]


def main() -> None:
    torch.manual_seed(1)
    train, held_out = texts()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([train], trainers.BpeTrainer(vocab_size=768, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False))
    ids = torch.tensor(tokenizer.encode(train).ids)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=128, intermediate_size=320, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=0,
    )
    config.architectures = ["LlamaForCausalLM"]
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=STEPS)
    for step in range(STEPS):
        starts = torch.randint(0, len(ids) - WINDOW, (BATCH,))
        batch = torch.stack([ids[start : start + WINDOW] for start in starts])
        loss = model(batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    TARGET.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.to(torch.float16).contiguous() for key, value in model.state_dict().items() if key != "lm_head.weight"}
    save_file(tensors, TARGET / "model.safetensors", metadata={"format": "pt"})
    (TARGET / "config.json").write_text(config.to_json_string(use_diff=False))
    tokenizer.save(str(TARGET / "tokenizer.json"), pretty=False)
    (TARGET / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>", "clean_up_tokenization_spaces": False}) + "\n")
    (TARGET / "held-out.txt").write_text(held_out)
    (TARGET / "calibration.txt").write_text(train[: 2 * HELD_OUT_CHARACTERS])


if __name__ == "__main__":
    main()
