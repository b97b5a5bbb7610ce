"""Trains the guide on one thread of the CPU, for so many minutes of the processor's time that a busy machine changes nothing.

    python train.py --out FOLDER --minutes 60        # again with the same folder: goes on from the last checkpoint

The model is a Llama (model.py). Every number is in config.json; its shares are of the processor time. Conversations are
made afresh for every batch, so that no epoch repeats; only answers (with the mark that ends them) are in the loss. Sums
come first, alone: they are short, and later only have to be kept; then single questions; then whole conversations. Writes
curve.json and, with each measurement, the folder `model` in float16.

Written with torch 2.13, tokenizers 0.23, safetensors 0.8.
"""

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tokenizer as bpe  # noqa: E402
from batches import Batches, Row, held_out  # noqa: E402
from model import Llama  # noqa: E402
from muon import Muon  # noqa: E402

HERE = Path(__file__).parent


def optimizer_of(model: Llama, config: dict) -> Muon:
    return Muon(model, lambda name: "proj" in name, config["muon_rate"], config["learning_rate"], config["weight_decay"])


class Training:
    def __init__(self, out: Path, config: dict):
        self.out, self.config = out, config
        torch.manual_seed(config["seed"])
        tokenizer_file = out / "model" / "tokenizer.json"
        if not tokenizer_file.exists():
            bpe.save(bpe.train(config["vocabulary"], config["seed"]), out / "model")
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self.checkpoint = out / "checkpoint.pt"
        self.step, self.seen, self.seconds, self.curve = 0, 0, 0.0, []
        state = torch.load(self.checkpoint, weights_only=True) if self.checkpoint.exists() else None
        if state:
            self.step, self.seen, self.seconds, self.curve = state["step"], state["seen"], state["seconds"], state["curve"]
        self.batches = Batches(config, tokenizer, random.Random(config["seed"] + self.step))
        self.held = held_out(self.batches)
        self.model = Llama(config, tokenizer.get_vocab_size())
        self.optimizer = optimizer_of(self.model, config)
        if state:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])

    def save(self) -> None:
        part = self.checkpoint.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "step": self.step, "seen": self.seen, "seconds": self.seconds, "curve": self.curve}, part)
        part.replace(self.checkpoint)
        (self.out / "curve.json").write_text(json.dumps(self.curve, indent=0) + "\n", encoding="utf-8")
        self.export()

    def export(self) -> None:
        """A folder as transformers' LlamaForCausalLM writes it."""
        config, mark = self.config, self.batches.mark
        weights = {name: each.detach().half() for name, each in self.model.state_dict().items()}
        save_file(weights, self.out / "model" / "model.safetensors", {"format": "pt"})
        described = {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float16", "hidden_act": "silu",
            "vocab_size": self.model.model.embed_tokens.num_embeddings, "num_hidden_layers": config["layers"],
            "hidden_size": config["hidden_size"], "intermediate_size": config["intermediate_size"],
            "num_attention_heads": config["heads"], "num_key_value_heads": config["key_value_heads"], "head_dim": config["head_dim"],
            "max_position_embeddings": config["context"], "rope_theta": config["rope_theta"], "rms_norm_eps": config["norm_epsilon"],
            "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
            "bos_token_id": mark[bpe.BEGIN], "eos_token_id": mark[bpe.END], "pad_token_id": mark[bpe.END],
        }
        (self.out / "model" / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Per kind the share of answers whose every token is the model's first choice: what greedy decoding would give."""
        return {kind: sum(map(self.count_right, [rows[at : at + 20] for at in range(0, len(rows), 20)])) / len(rows)
                for kind, rows in self.held.items()}

    def count_right(self, rows: list[Row]) -> int:
        tokens, positions, conversations, targets = self.batches.collate([[row] for row in rows])
        logits = self.model.logits(self.model(tokens, positions, conversations))
        return int(((logits.argmax(-1) == targets) | (targets == -100)).all(1).sum())

    def most_turns(self, progress: float) -> int:
        if progress < self.config["sums_until"]:
            return 0
        return 1 if progress < self.config["one_turn_until"] else 5

    def train_step(self, progress: float) -> float:
        config = self.config
        tokens, positions, conversations, targets = self.batches.next(self.most_turns(progress))
        states = self.model(tokens, positions, conversations)
        is_learned = targets != -100
        loss = cross_entropy(self.model.logits(states[is_learned]), targets[is_learned])
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config["clip_norm"])
        # A short rise, level, and then on a straight line to 0.
        scale = min(1.0, (self.step + 1) / config["warmup_steps"], (1 - progress) / (1 - config["level_until"]))
        self.optimizer.step(scale)
        self.step, self.seen = self.step + 1, self.seen + int((conversations >= 0).sum())
        return loss.item()

    def run(self, minutes: float) -> None:
        """Until the minutes are over, those of earlier runs included, or SIGTERM comes."""
        stops: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
        began, noted, losses = time.process_time() - self.seconds, self.seconds, []
        while not stops and self.seconds < minutes * 60:
            losses.append(self.train_step(self.seconds / (minutes * 60)))
            self.seconds = time.process_time() - began
            if self.seconds - noted > self.config["measure_seconds"]:
                self.note(losses)
                noted = self.seconds
        if losses:
            self.note(losses)

    def note(self, losses: list[float]) -> None:
        entry = {"step": self.step, "seconds": round(self.seconds), "tokens": self.seen,
                 "loss": round(sum(losses) / max(1, len(losses)), 4), **self.measure()}
        losses.clear()
        self.curve.append(entry)
        print(json.dumps(entry), flush=True)
        self.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of the processor's time")
    parser.add_argument("--config", type=Path, default=HERE / "config.json")
    arguments = parser.parse_args()
    # A second thread is mostly waited for.
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    Training(arguments.out, json.loads(arguments.config.read_text(encoding="utf-8"))).run(arguments.minutes)


if __name__ == "__main__":
    main()
