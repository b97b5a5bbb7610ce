"""Trains lutra-shapes. First the tower alone, asked for what each patch shows; then the text model beside it, at first
without a say in what the tower learns; then all as one. training.json says everything; its shares are of the processor
time that the run is given, so that a busy or halted machine changes nothing but the hour of its end. It goes on from its
last checkpoint, or begins with shipped weights.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors tokenizers numpy pillow
    .venv/bin/python reference/train/shapes/pool.py --out POOL                      # 36,000 pictures, 4,500 clips
    .venv/bin/python reference/train/shapes/train.py --out RUN --pool POOL --minutes 90 [--from models/lutra-shapes]
    .venv/bin/python reference/train/shapes/measure.py --run RUN                    # a look at it, in PyTorch
    .venv/bin/python reference/train/shapes/export.py --run RUN
    .venv/bin/python reference/train/evaluate_shapes.py                             # the figures of what is shipped
"""

import argparse
import json
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vision"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import Data, Part, whitening  # noqa: E402
from dialogue import encode, load_tokenizer, random_turns  # noqa: E402
from evlm import Evlm  # noqa: E402
from heads import Heads, near_targets, patch_targets, picture_targets  # noqa: E402
from muon import Muon  # noqa: E402
from packed import Group, Row, text_pass  # noqa: E402

HERE = Path(__file__).resolve().parent
NOTED_STEPS = 10
SAVED_SECONDS = 180


def look(model: Evlm, part: Part) -> list[Tensor]:
    """The tapped features of the patches that are there, each (pictures, 1 + kept, width)."""
    tower = model.vision_model
    embedding = tower.patch_embedding
    x = F.linear(part.patches, embedding.weight.flatten(1), embedding.bias) + tower.position_embedding.weight[1 + part.kept]
    first = (tower.class_embedding + tower.position_embedding.weight[0]).expand(len(x), 1, -1)
    x = torch.cat([first, x], 1)
    states = {}
    for done, layer in enumerate(tower.layers, start=1):
        x = layer(x)
        states[done] = x
    return [states[done] for done in tower.tapped_layers]


def is_hidden(name: str) -> bool:
    return "layers." in name and name.endswith(("proj.weight", "fc1.weight", "fc2.weight"))


def new_model(data: Data) -> Evlm:
    model = Evlm(json.loads((HERE / "config.json").read_text()))
    for cross in model.cross_attention_layers:
        # Open from the start: there is no trained text model to keep as it is.
        torch.nn.init.constant_(cross.attention_gate, 0.6)
        torch.nn.init.constant_(cross.ffn_gate, 0.4)
    tower = model.vision_model
    weight, bias = whitening(next(iter(data.shards.values())), len(tower.class_embedding))
    with torch.no_grad():
        tower.patch_embedding.weight.copy_(weight.view_as(tower.patch_embedding.weight) * 0.3)
        tower.patch_embedding.bias.copy_(bias * 0.3)
        tower.position_embedding.weight.normal_(std=0.15)
    return model


class Training:
    def __init__(self, out: Path, pool: Path, start: Path | None):
        self.settings = json.loads((HERE / "training.json").read_text())
        torch.manual_seed(self.settings["seed"])
        self.rng = np.random.default_rng(self.settings["seed"])
        self.data = Data(pool, self.rng)
        self.model = Evlm.load(start) if start else new_model(self.data)
        # One step of AdamW on it would be a large one, as neighbouring pixels are alike.
        self.model.vision_model.patch_embedding.requires_grad_(False)
        config = self.model.config
        self.media_tokens = config["cross_attention_config"]["media_tokens"]
        if start and not (out / "tokenizer.json").exists():
            shutil.copy(start / "tokenizer.json", out)
        self.tokenizer = load_tokenizer(out / "tokenizer.json", config["text_config"]["vocab_size"])
        self.heads = Heads(config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"])
        self.both = torch.nn.ModuleList([self.model, self.heads])
        self.muon = Muon(self.both, is_hidden, self.settings["muon_rate"], self.settings["adam_rate"], self.settings["weight_decay"])
        self.checkpoint, self.curve_file = out / "checkpoint.pt", out / "curve.json"
        self.step, self.seconds, self.curve, self.notes = 0, 0.0, [], {}
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            self.both.load_state_dict(state["both"])
            self.muon.load_state_dict(state["muon"])
            self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
            self.rng = self.data.rng = np.random.default_rng([self.settings["seed"], self.step])

    def save(self) -> None:
        part = self.checkpoint.with_suffix(".part")
        state = {"both": self.both.state_dict(), "muon": self.muon.state_dict()}
        torch.save(state | {"step": self.step, "seconds": self.seconds, "curve": self.curve}, part)
        part.replace(self.checkpoint)
        self.curve_file.write_text(json.dumps(self.curve))

    def note(self, **values: float | Tensor) -> None:
        for name, value in values.items():
            self.notes.setdefault(name, []).append(float(value.detach() if isinstance(value, Tensor) else value))

    def rate_scale(self, progress: float) -> float:
        """A short rise, level, and then on a straight line to 0."""
        return min(1.0, progress / 0.01, max(0.0, (1 - progress) / (1 - self.settings["level_until"])))

    def batch(self, progress: float) -> list[Part]:
        """Pictures in one or two parts, and clips as the last."""
        settings, rng = self.settings, self.rng
        is_joint = progress >= settings["tower_until"]
        size = settings["joint_batch" if is_joint else "tower_batch"]
        frames = int(rng.choice(list(map(int, size["frames"])), p=list(size["frames"].values())))
        is_whole = progress >= settings["whole_from"] or rng.random() < settings["whole_share"]
        self.data.skipped = settings["easy_skips"] if is_joint and progress < settings["easy_until"] else 0.0
        return [*self.data.pictures(size["pictures"], is_whole), self.data.clips(size["clips"], frames, is_whole)]

    def tower_loss(self, part: Part, feature: Tensor) -> Tensor:
        if part.states is not None:
            scenes = [clip.scene for clip in part.items for _ in range(part.frames)]
            return self.heads.tower_loss(feature, patch_targets(scenes, part.owners, with_size=False), {})[0]
        loss, right = self.heads.tower_loss(feature, patch_targets(part.items, part.owners), picture_targets(part.items))
        near = self.heads.near_loss(feature, *near_targets(part.items, part.owners, part.kept))
        self.note(tower=loss, near=near, **right)
        return loss + near * self.settings["near_weight"]

    def group(self, part: Part, features: list[Tensor]) -> Group:
        """Rows of text cost more than pictures, so not every picture has one; clips are few, and have more."""
        is_clips = part.states is not None
        asked = [i for i in range(len(part.items)) if is_clips or self.rng.random() < self.settings["asked_pictures"]] or [0]
        chosen = [(at, part.items[i]) for at, i in enumerate(asked) for _ in range(self.settings["rows_per_clip"] if is_clips else 1)]
        rows = [Row(at, *encode(self.tokenizer, part.frames, self.media_tokens, random_turns(self.rng, item))) for at, item in chosen]
        return Group([each.unflatten(0, (-1, part.frames))[asked].flatten(0, 1) for each in features], part.frames, rows)

    def text_loss(self, parts: list[Part], groups: list[Group]) -> Tensor:
        # Pictures twice as much as clips.
        text = text_pass(self.model, groups, [0.8 / (len(groups) - 1)] * (len(groups) - 1) + [0.4])
        self.note(text=text.losses[0], text_of_many=text.losses[-2], clip_text=text.losses[-1])
        media, which = text.halfway[len(groups) - 1]
        state = self.heads.state_loss(media, parts[-1].states[which])
        self.note(state=state)
        return text.loss + text.balance * self.settings["balance_weight"] + state * self.settings["state_weight"]

    def train_step(self, progress: float) -> None:
        settings = self.settings
        is_joint = progress >= settings["tower_until"]
        parts = self.batch(progress)
        total = sum(len(part.items) for part in parts)
        features = [look(self.model, part) for part in parts]
        loss = sum(self.tower_loss(part, each[-1]) * (len(part.items) / total) for part, each in zip(parts, features))
        if is_joint:
            # What a text model wants that knows nothing yet would undo what the tower knows.
            is_apart = progress < settings["tower_apart_until"]
            shown = [[each.detach() for each in taps] if is_apart else taps for taps in features]
            groups = [self.group(part, taps) for part, taps in zip(parts, shown)]
            loss = loss * settings["tower_weight"] + self.text_loss(parts, groups)
        self.muon.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.both.parameters(), settings["gradient_norm"])
        self.muon.step(self.rate_scale(progress))
        self.step += 1

    def run(self, minutes: float) -> None:
        """Until the minutes of one thread are over, those of earlier runs included, or SIGTERM comes."""
        stops: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
        began, saved = time.process_time() - self.seconds, time.time()
        since, cpu = time.time(), time.process_time()
        while not stops and self.seconds < minutes * 60:
            self.train_step(self.seconds / (minutes * 60))
            self.seconds = time.process_time() - began
            if self.step % NOTED_STEPS == 0:
                # Of the wall and of the processor: on a busy machine they are far apart.
                entry = {
                    "step": self.step, "minutes": round(self.seconds / 60, 2), "step_seconds": round((time.time() - since) / NOTED_STEPS, 3),
                    "step_cpu_seconds": round((time.process_time() - cpu) / NOTED_STEPS, 3),
                }
                entry |= {name: round(float(np.nanmean(values)), 4) for name, values in self.notes.items()}
                self.curve.append(entry)
                print(json.dumps(entry), flush=True)
                self.notes.clear()
                self.data.refresh()
                since, cpu = time.time(), time.process_time()
            if time.time() - saved > SAVED_SECONDS:
                self.save()
                saved = time.time()
        self.save()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of processor time")
    parser.add_argument("--from", dest="start", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # A second thread is mostly waited for.
    torch.set_num_threads(1)
    training = Training(args.out, args.pool, args.start)
    parameters = sum(each.numel() for each in training.model.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, step {training.step}, {len(training.data.shards)} shards", flush=True)
    training.run(args.minutes)


if __name__ == "__main__":
    main()
