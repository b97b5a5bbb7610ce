"""Trains lutra-shapes. First the tower alone, asked for what each patch shows; then the text model beside it, at first
without a say in what the tower learns; then all as one. training.json says everything; its shares are of the time that
the run is given: of the wall with a GPU, and without one of the processor, so that a busy machine changes nothing but
the hour of its end. Scenes and texts come from worker processes, the pictures are painted where the model trains. It
goes on from its last checkpoint, or begins with shipped weights.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors tokenizers numpy pillow
    .venv/bin/python reference/train/shapes/train.py --out RUN --device cuda --minutes 17.5 --workers 7 \
        --tokenizer models/lutra-shapes/tokenizer.json
    .venv/bin/python reference/train/shapes/measure.py --run RUN                    # a look at it, in PyTorch
    .venv/bin/python reference/train/shapes/export.py --run RUN
    .venv/bin/python reference/train/evaluate_shapes.py                             # the figures of what is shipped

On processor cores alone: --device cpu --pictures 48 --clips 3, and hours.
"""

import argparse
import json
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vision"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dialogue import load_tokenizer  # noqa: E402
from evlm import Evlm  # noqa: E402
from feed import Feed  # noqa: E402
from heads import Heads, mean_of, near_targets, patch_targets  # noqa: E402
from muon import Muon  # noqa: E402
from packed import Passes, Rows  # noqa: E402
from paint import owners, paint, to_patches, whitening  # noqa: E402
from rows import FRAMES, IGNORED, MOST_THINGS, Layout, Writer  # noqa: E402

HERE = Path(__file__).resolve().parent
NOTED_SECONDS, CHECKED_SECONDS, SAVED_SECONDS = 12, 45, 180
HELD_OUT_SEED = 11

Batch = dict[str, Tensor]


def is_hidden(name: str) -> bool:
    return "layers." in name and name.endswith(("proj.weight", "fc1.weight", "fc2.weight"))


def new_model(config: dict) -> Evlm:
    model = Evlm(config)
    for cross in model.cross_attention_layers:
        # Open from the start: there is no trained text model to keep as it is.
        torch.nn.init.constant_(cross.attention_gate, 0.6)
        torch.nn.init.constant_(cross.ffn_gate, 0.4)
    torch.nn.init.normal_(model.vision_model.position_embedding.weight, std=0.15)
    return model


def compiled(part: Callable) -> Callable:
    return torch.compile(part, dynamic=False)


class Training:
    def __init__(self, args: argparse.Namespace):
        self.settings = settings = json.loads((HERE / "training.json").read_text())
        settings |= {name: value for name in ("pictures", "clips") if (value := getattr(args, name)) is not None}
        out, start = args.out, args.start
        config = json.loads(((start or HERE) / "config.json").read_text())
        vision = config["vision_config"]
        self.layout = Layout(
            settings["pictures"], settings["clips"], vision["image_size"], vision["patch_size"], config["cross_attention_config"]["media_tokens"]
        )
        if args.tokenizer and not (out / "tokenizer.json").exists():
            shutil.copy(args.tokenizer, out / "tokenizer.json")
        self.tokenizer = load_tokenizer(out / "tokenizer.json", config["text_config"]["vocab_size"])
        self.checkpoint, self.out = out / "checkpoint.pt", out
        state = torch.load(self.checkpoint, weights_only=True, map_location="cpu") if self.checkpoint.exists() else None
        self.step, self.seconds, self.curve = (state["step"], state["seconds"], state["curve"]) if state else (0, 0.0, [])
        self.minutes = args.minutes
        is_joint = self.progress() >= settings["tower_until"]
        self.feed = Feed(
            args.workers, settings["seed"] + self.step, out / "tokenizer.json", self.layout, config["media_token_id"], self.easy_share(), is_joint
        )
        # From here on there may be a GPU.
        self.device = torch.device(args.device)
        self.feed.start(self.device)
        self.has_gpu = self.device.type == "cuda"
        torch.manual_seed(settings["seed"] + self.step)
        torch.set_float32_matmul_precision("high")
        self.model = (Evlm.load(start) if start else new_model(config)).to(self.device)
        self.heads = Heads(vision["hidden_size"], config["text_config"]["hidden_size"]).to(self.device)
        self.both = torch.nn.ModuleList([self.model, self.heads])
        self.is_compiled = args.compile
        wrap = compiled if args.compile else lambda part: part
        self.passes, self.paint, self.tower_loss, self.word_loss = Passes(self.model, wrap), wrap(paint), wrap(self._tower_loss), wrap(_word_loss)
        embedding = self.model.vision_model.patch_embedding
        if state:
            self.both.load_state_dict(state["both"])
        elif not start:
            self._whiten(embedding)
        # One step of AdamW on it would be a large one, as neighbouring pixels are alike.
        embedding.requires_grad_(False)
        self.muon = Muon(self.both, is_hidden, settings["muon_rate"], settings["adam_rate"], settings["weight_decay"])
        if state:
            self.muon.load_state_dict(state["muon"])
        held_out, self.held_out_counts = Writer(self.tokenizer, self.layout, config["media_token_id"]).held_out_batch(HELD_OUT_SEED)
        self.held_out = {name: torch.from_numpy(array).to(self.device) for name, array in held_out.items()}

    def progress(self) -> float:
        return self.seconds / (self.minutes * 60)

    def easy_share(self) -> float:
        """Easy scenes for a start."""
        return self.settings["easy_share"] if self.progress() < self.settings["easy_until"] else 0.0

    def _whiten(self, embedding: torch.nn.Conv2d) -> None:
        patches, owned, _ = self.images(self.feed.next())
        weight, bias = whitening(patches[owned > 0][:20_000].cpu(), embedding.out_channels)
        with torch.no_grad():
            embedding.weight.copy_(weight.view_as(embedding.weight) * 0.3)
            embedding.bias.copy_(bias * 0.3)

    @torch.no_grad()
    def images(self, batch: Batch) -> tuple[Tensor, Tensor, Batch]:
        """Patches, what each shows, and the batch."""
        side, patch = self.layout.side, self.layout.patch
        noise = torch.randn(len(batch["ground"]), 3, side, side, device=self.device)
        values, labels = self.paint(batch["ground"], batch["things"], noise)
        return to_patches(values, patch), owners(labels, patch, MOST_THINGS), batch

    def _tower_loss(self, feature: Tensor, owned: Tensor, classes: Tensor, near: Tensor, count: Tensor, background: Tensor):
        loss, right = self.heads.tower_loss(feature, patch_targets(classes, owned), {"count": count, "ground": background})
        near_loss = self.heads.near_loss(feature, *near_targets(near, owned))
        return loss + near_loss * self.settings["near_weight"], right | {"tower": loss.detach(), "near": near_loss.detach()}

    def rows(self, batch: Batch, kind: str) -> Rows:
        names = ("ids", "labels", "weights", "dialogue", "place", "sees", "slot")
        return Rows(*(batch[f"{kind}_{name}"] for name in names), frames=batch["frames"] if kind == "clip" else None)

    def losses(self, batch: Batch, is_joint: bool, is_apart: bool) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss, what makes it up, and whether each word of pictures' and of clips' rows is the right one."""
        settings, pictures = self.settings, self.layout.pictures
        patches, owned, _ = self.images(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.has_gpu):
            features = self.passes.look(patches)
            loss, notes = self.tower_loss(features[-1], owned, batch["classes"], batch["near"], batch["count"], batch["background"])
            if not is_joint:
                return loss, notes, []
            # With a gradient that is thrown away, so that the text model's layers are not compiled a second time.
            shown = [each.detach().requires_grad_() for each in features] if is_apart else features
            told = self.passes.read([each[:pictures] for each in shown], self.rows(batch, "picture"))
            of_clips = [each[pictures:].unflatten(0, (-1, FRAMES)).flatten(1, 2) for each in shown]
            clip = self.passes.read(of_clips, self.rows(batch, "clip"))
            text, right = self.word_loss(told.logits, batch["picture_labels"], batch["picture_weights"])
            clip_text, clip_right = self.word_loss(clip.logits, batch["clip_labels"], batch["clip_weights"])
            media = clip.halfway.gather(1, batch["state_at"][..., None].expand(-1, -1, clip.halfway.shape[-1]))
            is_frame = torch.arange(FRAMES, device=self.device) < batch["frames"][:, None]
            state = self.heads.state_loss(media, batch["state"], is_frame)
        balance = (told.balance + clip.balance) / 2
        notes |= {"text": text.detach(), "clip_text": clip_text.detach(), "state": state.detach(), "balance": balance.detach()}
        loss = loss * settings["tower_weight"] + text + clip_text * settings["clip_weight"]
        return loss + balance * settings["balance_weight"] + state * settings["state_weight"], notes, [right, clip_right]

    def train_step(self) -> dict[str, Tensor]:
        settings, progress = self.settings, self.progress()
        is_joint = progress >= settings["tower_until"]
        self.feed.easy_share.value, self.feed.with_text.value = self.easy_share(), is_joint
        loss, notes, _ = self.losses(self.feed.next(), is_joint, progress < settings["tower_apart_until"])
        self.muon.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.both.parameters(), settings["gradient_norm"])
        # A short rise, level, and then on a straight line to 0.
        falling = max(0.0, (1 - progress) / (1 - settings["level_until"]))
        self.muon.step(min(1.0, (self.step + 1) / settings["rise_steps"], falling))
        self.step += 1
        return notes | {"loss": loss.detach()}

    def check(self) -> dict[str, float]:
        """How many of the held-out descriptions and answers are right in every word when each is told the right ones
        before it. With gradients, so that nothing is compiled anew."""
        _, _, right = self.losses(self.held_out, True, False)
        figures: dict[str, list[bool]] = {}
        for kind, words in zip(("picture", "clip"), right):
            dialogue = self.held_out[f"{kind}_dialogue"].cpu()
            for i, row in enumerate(words.cpu()):
                count = self.held_out_counts[i] if kind == "picture" else 0
                name = "clips" if kind == "clip" else "one" if count == 1 else "several"
                figures.setdefault(name, []).append(bool(row[dialogue[i] == 0].all()))
                figures.setdefault("questions", []).append(bool(row[dialogue[i] == 1].all()))
                if count > 1:
                    figures.setdefault(f"with {count}", []).append(figures[name][-1])
        return {f"held out: {name}": round(sum(values) / len(values), 4) for name, values in sorted(figures.items())}

    def save(self) -> None:
        """The checkpoint, and what is shipped in one file."""
        if not all(each.isfinite().all() for each in self.both.parameters()):
            raise SystemExit(f"a weight is no number after step {self.step}: start again, from the last checkpoint")
        part = self.checkpoint.with_suffix(".part")
        state = {"both": self.both.state_dict(), "muon": self.muon.state_dict()}
        torch.save(state | {"step": self.step, "seconds": self.seconds, "curve": self.curve}, part)
        part.replace(self.checkpoint)
        self.model.save(self.out, torch.float16)
        (self.out / "curve.json").write_text(json.dumps(self.curve))
        whole = self.out / "shapes.part"
        with tarfile.open(whole, "w") as archive:
            for name in ("model.safetensors", "config.json", "tokenizer.json", "curve.json"):
                archive.add(self.out / name, name)
        whole.replace(self.out / "shapes.tar")
        print(f"saved at step {self.step}", flush=True)

    def run(self) -> None:
        """Until the minutes are over, those of earlier runs included, or SIGTERM comes."""
        stops: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
        clock = time.monotonic if self.has_gpu else time.process_time
        began = clock() - self.seconds
        noted = checked = saved = time.monotonic()
        since, said = self.step, self.step
        while not stops and self.progress() < 1:
            try:
                notes = self.train_step()
            except RuntimeError as error:
                if not self.is_compiled:
                    raise
                self.is_compiled = False
                print(f"goes on without torch.compile: {error}", flush=True)
                torch.compiler.set_stance("force_eager")
                continue
            self.seconds = clock() - began
            if self.step % 10 == 0 or self.step - said in (1, 2):
                # Waits for the device, which else would fall far behind.
                loss = float(notes["loss"])
                if loss != loss:
                    raise SystemExit(f"the loss of step {self.step} is no number: start again, from the last checkpoint")
            if self.step - said in (1, 2, 10, 100):
                print(f"step {self.step} at {self.seconds:.1f} s, loss {loss:.4f}", flush=True)
            now = time.monotonic()
            if now - noted >= NOTED_SECONDS:
                rate = (self.step - since) * self.layout.images / (now - noted)
                entry = {"step": self.step, "seconds": round(self.seconds, 1), "images_per_second": round(rate, 1)}
                entry |= {"waited": round(self.feed.waited / (now - noted), 3)} | {name: round(float(value), 4) for name, value in notes.items()}
                if self.progress() >= self.settings["tower_until"] and now - checked >= CHECKED_SECONDS:
                    entry |= self.check()
                    checked = time.monotonic()
                self.curve.append(entry)
                print(json.dumps(entry), flush=True)
                noted, since, self.feed.waited = time.monotonic(), self.step, 0.0
            if time.monotonic() - saved > SAVED_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()
        self.curve.append({"step": self.step, "seconds": round(self.seconds, 1)} | self.check())
        print(json.dumps(self.curve[-1]), flush=True)
        self.save()
        self.feed.stop()


def _word_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean over the labels, and where the likeliest word is the label or there is none."""
    asked = labels != IGNORED
    loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return mean_of(loss, (weights * asked).flatten()), (logits.argmax(-1) == labels) | ~asked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pictures", type=int, help="in a batch")
    parser.add_argument("--clips", type=int, help="in a batch")
    parser.add_argument("--tokenizer", type=Path, help="instead of one made anew")
    parser.add_argument("--from", dest="start", type=Path, help="a folder of weights; its tokenizer too goes by --tokenizer")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None, help="with torch.compile; the default with a GPU")
    args = parser.parse_args()
    args.compile = args.device != "cpu" if args.compile is None else args.compile
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.backends.cuda.enable_cudnn_sdp(False)
    if args.compile:
        # What cannot be compiled runs as it is.
        torch._dynamo.config.suppress_errors = True
        torch._dynamo.config.recompile_limit = 64
    training = Training(args)
    parameters = sum(each.numel() for each in training.model.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, step {training.step}, {training.layout.images} images at a time on {args.device}", flush=True)
    training.run()


if __name__ == "__main__":
    main()
