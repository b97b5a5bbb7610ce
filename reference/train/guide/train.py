"""Trains the guide on a GPU, or on one thread of the CPU.

    python train.py --out FOLDER --minutes 16.5 --device cuda --workers 4
    python train.py --out FOLDER --minutes 60              # of the processor's time: a busy machine changes nothing
    (again with the same folder: goes on from the last checkpoint)

The model is a Llama (model.py). Every number is in config.json; its shares are of the minutes, which on a GPU are those of
the clock, the start included. Conversations are made afresh all the while (supply.py), sums, single questions and whole
conversations mixed; only answers (with the mark that ends them) are in the loss. Writes curve.json and the folder `model`
in float16 (in several files, as a large one is), with a checkpoint, every few minutes, at the end, and when SIGTERM comes.

Written with torch 2.13, tokenizers 0.23, safetensors 0.8.
"""

import argparse
import json
import random
import signal
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tokenizer as bpe  # noqa: E402
from batches import Batches, Row, held_out  # noqa: E402
from model import Llama  # noqa: E402
from muon import Muon  # noqa: E402
from supply import Supply  # noqa: E402

HERE = Path(__file__).parent
BEGAN = time.monotonic()
#: Steps that are told of as soon as they are done.
FIRST_STEPS = (1, 2, 10, 100)


class Training:
    def __init__(self, out: Path, config: dict, device: str, workers: int, is_eager: bool):
        self.out, self.config, self.device = out, config, torch.device(device)
        self.is_gpu = self.device.type == "cuda"
        torch.manual_seed(config["seed"])
        tokenizer_file = out / "model" / "tokenizer.json"
        if not tokenizer_file.exists():
            bpe.save(bpe.train(config["vocabulary"], config["seed"]), out / "model")
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self.checkpoint = out / "checkpoint.pt"
        self.step, self.seen, self.before, self.curve = 0, 0, 0.0, []
        state = torch.load(self.checkpoint, weights_only=True, map_location="cpu") if self.checkpoint.exists() else None
        if state:
            self.step, self.seen, self.before, self.curve = state["step"], state["seen"], state["seconds"], state["curve"]
        say(f"tokenizer ready; starting {workers} processes for data")
        self.supply = Supply(config, tokenizer, config["seed"] + self.step, workers, self.device)
        self.batches = Batches(config, tokenizer, random.Random(config["seed"]))
        self.begin = self.batches.mark[bpe.BEGIN]
        self.held = {kind: self.packed(rows) for kind, rows in held_out(self.batches).items()}
        self.model = Llama(config, tokenizer.get_vocab_size()).to(self.device)
        self.optimizer = Muon(self.model, lambda name: "proj" in name, config["muon_rate"], config["learning_rate"], config["weight_decay"])
        if state:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        self.loss = self.loss_of if is_eager else torch.compile(self.loss_of, dynamic=False)
        self.is_proven = is_eager
        count = sum(each.numel() for each in self.model.parameters())
        say(f"{count / 1e6:.2f} million parameters on {torch.cuda.get_device_name() if self.is_gpu else 'the CPU'}; "
            f"held out: {', '.join(f'{kind} {len(tokens)}' for kind, (tokens, _) in self.held.items())}")

    @property
    def seconds(self) -> float:
        """Of all runs so far."""
        return self.before + (time.monotonic() - BEGAN if self.is_gpu else time.process_time())

    def half(self):
        return torch.autocast("cuda", torch.bfloat16) if self.is_gpu else nullcontext()

    def packed(self, rows: list[Row]) -> tuple[Tensor, Tensor]:
        tokens, targets = (torch.from_numpy(each).to(self.device) for each in self.batches.collate(rows))
        return tokens.long(), targets.long()

    def save(self) -> None:
        self.export()
        (self.out / "curve.json").write_text(json.dumps(self.curve, indent=0) + "\n", encoding="utf-8")
        part = self.checkpoint.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "step": self.step, "seen": self.seen, "seconds": self.seconds, "curve": self.curve}, part)
        part.replace(self.checkpoint)

    def export(self) -> None:
        """A folder as transformers' LlamaForCausalLM writes it."""
        config, mark, folder = self.config, self.batches.mark, self.out / "model"
        shards: list[dict[str, Tensor]] = [{}]
        size = 0
        for name, each in self.model.state_dict().items():
            weight = each.detach().half().cpu().contiguous()
            if size + weight.nbytes > config["shard_bytes"] and shards[-1]:
                shards.append({})
                size = 0
            shards[-1][name] = weight
            size += weight.nbytes
        files = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
        for name, weights in zip(files, shards, strict=True):
            save_file(weights, folder / f"{name}.part", {"format": "pt"})
            (folder / f"{name}.part").replace(folder / name)
        index = {"metadata": {"total_size": sum(each.nbytes for weights in shards for each in weights.values())},
                 "weight_map": {name: file for file, weights in zip(files, shards, strict=True) for name in weights}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        described = {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float16", "hidden_act": "silu",
            "vocab_size": self.model.model.embed_tokens.num_embeddings, "num_hidden_layers": config["layers"],
            "hidden_size": config["hidden_size"], "intermediate_size": config["intermediate_size"],
            "num_attention_heads": config["heads"], "num_key_value_heads": config["key_value_heads"], "head_dim": config["head_dim"],
            "max_position_embeddings": config["context"], "rope_theta": config["rope_theta"], "rms_norm_eps": config["norm_epsilon"],
            "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
            "bos_token_id": mark[bpe.BEGIN], "eos_token_id": mark[bpe.END], "pad_token_id": mark[bpe.END],
        }
        (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Per kind the share of answers whose every token is the model's first choice: what greedy decoding would give."""
        self.model.eval()
        figures = {}
        for kind, (tokens, targets) in self.held.items():
            right = torch.zeros((), device=self.device)
            for some, wanted in zip(tokens.split(64), targets.split(64), strict=True):
                with self.half():
                    chosen = self.model.logits(self.model(some, self.begin)).argmax(-1)
                right += ((chosen == wanted) | (wanted == -100)).all(1).sum()
            figures[kind] = round(right.item() / len(tokens), 4)
        self.model.train()
        return figures

    def loss_of(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
        logits = self.model.logits(self.model.deep(x, cosine, sine, mask))
        return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)

    def backward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        with self.half():
            loss = self.loss(*self.model.prepare(tokens, self.begin), targets)
        loss.backward()
        return loss.detach()

    def train_step(self, progress: float) -> Tensor:
        config = self.config
        tokens, targets = (each.long() for each in self.supply.next())
        self.optimizer.zero_grad()
        try:
            loss = self.backward(tokens, targets)
        except Exception:
            if self.is_proven:
                raise
            traceback.print_exc()
            say("COMPILING FAILED: going on without")
            self.loss = self.loss_of
            self.optimizer.zero_grad()
            loss = self.backward(tokens, targets)
        self.is_proven = True
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config["clip_norm"])
        # A short rise, level, and then on a straight line to 0.
        scale = min(1.0, (self.step + 1) / config["warmup_steps"], (1 - progress) / (1 - config["level_until"]))
        self.optimizer.step(scale)
        self.step, self.seen = self.step + 1, self.seen + tokens.numel()
        if self.step in FIRST_STEPS:
            say(f"step {self.step}: loss {loss.item():.4f}")
        return loss

    def run(self, minutes: float) -> None:
        """Until the minutes are over, those of earlier runs included, or SIGTERM comes."""
        stops: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
        self.supply.fill()
        say(f"{self.supply.fresh} rows ready; first step")
        total, losses, saved = minutes * 60, [], self.seconds
        self.model.train()
        self.since = self.seconds, self.seen
        while not stops and self.seconds < total:
            losses.append(self.train_step(self.seconds / total))
            if self.seconds - self.since[0] > self.config["measure_seconds"]:
                self.note(losses)
                if self.seconds - saved > self.config["save_seconds"]:
                    self.save()
                    saved = self.seconds
        if losses:
            self.note(losses)
        self.save()
        self.supply.close()
        say(f"done: {self.out / 'model'}")

    def note(self, losses: list[Tensor]) -> None:
        loss = torch.stack(losses).mean().item()
        losses.clear()
        seconds = self.seconds
        rate = (self.seen - self.since[1]) / max(1e-9, seconds - self.since[0])
        entry = {"step": self.step, "seconds": round(seconds), "tokens": self.seen, "loss": round(loss, 4), **self.measure()}
        self.curve.append(entry)
        seen_again = self.supply.drawn / max(1, self.supply.fresh)
        say(f"{json.dumps(entry)} {rate / 1000:.0f} k tokens/s, each row drawn {seen_again:.2f} times, measured in {self.seconds - seconds:.1f} s")
        self.since = self.seconds, self.seen


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:6.1f}] {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of the processor's time, or with a GPU of the clock")
    parser.add_argument("--config", type=Path, default=HERE / "config.json")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that make data; 0: it is made between the steps")
    parser.add_argument("--eager", action="store_true", help="without torch.compile, as always on the CPU")
    arguments = parser.parse_args()
    # A second thread is mostly waited for.
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    if arguments.device == "cuda":
        # The other kernel that takes a mask is the one that the rows' shape suits.
        torch.backends.cuda.enable_cudnn_sdp(False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    config = json.loads(arguments.config.read_text(encoding="utf-8"))
    is_eager = arguments.eager or arguments.device == "cpu"
    Training(arguments.out, config, arguments.device, arguments.workers, is_eager).run(arguments.minutes)


if __name__ == "__main__":
    main()
