"""Trains lutra-shapes. First the tower alone, asked for what each patch shows; then all of it. The schedule is one of
time, so that a run ends when it is told to; it goes on from its last checkpoint, or begins with shipped weights.

    nice -n 19 python reference/train/shapes/train.py --out DIR --pool DIR --minutes 90 [--from models/lutra-shapes]
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vision"))

from data import Data, Part, whitening  # noqa: E402
from dialogue import encode, load_tokenizer, random_turns  # noqa: E402
from evlm import Evlm  # noqa: E402
from heads import Heads, near_targets, patch_targets, picture_targets  # noqa: E402
from muon import Muon  # noqa: E402
from packed import Group, Row, text_pass  # noqa: E402

HERE = Path(__file__).resolve().parent


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


def rate_scale(progress: float) -> float:
    """A short rise, level, and from 70 % on a straight line to 0."""
    return min(1.0, progress / 0.01, max(0.0, (1 - progress) / 0.3))


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--from", dest="start", type=Path)
    parser.add_argument("--tower-share", type=float, default=0.3, help="of the time, spent on the tower alone")
    parser.add_argument("--whole-from", type=float, default=0.93, help="share of the time after which all patches are kept; before it, in a tenth of the steps")
    parser.add_argument("--tower-weight", type=float, default=0.5, help="of the tower's own losses beside the text's")
    parser.add_argument("--asked", type=float, default=0.5, help="share of pictures that text is learnt of")
    parser.add_argument("--skipped", type=float, default=0.0, help="share of pictures of three and four things that are left out")
    parser.add_argument("--tower-apart", type=float, default=0.8, help="share of the time before which text teaches the tower nothing")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    data = Data(args.pool, rng)
    data.skipped = args.skipped
    model = Evlm.load(args.start) if args.start else new_model(data)
    # One step of AdamW on it would be a large one, as neighbouring pixels are alike.
    model.vision_model.patch_embedding.requires_grad_(False)
    config = model.config
    media_tokens = config["cross_attention_config"]["media_tokens"]
    tokenizer = load_tokenizer(args.out / "tokenizer.json", config["text_config"]["vocab_size"])
    heads = Heads(config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"])
    both = torch.nn.ModuleList([model, heads])
    muon = Muon(both, is_hidden, muon_rate=0.02, adam_rate=2e-3, decay=0.01)
    checkpoint, curve_file = args.out / "checkpoint.pt", args.out / "curve.json"
    step, spent, curve = 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        both.load_state_dict(state["both"])
        muon.load_state_dict(state["muon"])
        step, spent, curve = state["step"], state["seconds"], state["curve"]
        rng = data.rng = np.random.default_rng([args.seed, step])
    print(f"{sum(each.numel() for each in model.parameters()) / 1e6:.2f} M parameters, step {step}, {len(data.shards)} shards", flush=True)
    began, saved, sums, since, cpu = time.time() - spent, time.time(), {}, time.time(), time.process_time()

    def note(**values: float) -> None:
        for name, value in values.items():
            sums.setdefault(name, []).append(float(value.detach() if isinstance(value, Tensor) else value))

    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    while not stop and (progress := (time.time() - began) / (args.minutes * 60)) < 1:
        is_joint = progress >= args.tower_share
        is_whole = progress >= args.whole_from or rng.random() < 0.1
        frames = int(rng.choice((3, 4, 5, 6, 8), p=(0.2, 0.4, 0.15, 0.1, 0.15))) if is_joint else 1
        parts = data.pictures(80 if is_joint else 112, is_whole) + [data.clips(4 if is_joint else 16, frames, is_whole)]
        loss, groups = torch.zeros(()), []
        shares = [len(part.items) / sum(len(each.items) for each in parts) for part in parts]
        for part, share in zip(parts, shares):
            features = look(model, part)
            if part.states is None:
                tower, right = heads.tower_loss(features[-1], patch_targets(part.items, part.owners), picture_targets(part.items))
                near = heads.near_loss(features[-1], *near_targets(part.items, part.owners, part.kept))
                tower = tower + near * 0.5
                note(near=near)
                note(tower=tower, **right)
            else:
                scenes = [clip.scene for clip in part.items for _ in range(frames)]
                tower, _ = heads.tower_loss(features[-1], patch_targets(scenes, part.owners, with_size=False), {})
            loss = loss + tower * share * (args.tower_weight if is_joint else 1.0)
            if is_joint:
                # Rows of text cost more than pictures, so not every picture has one; clips are few, and have two.
                asked = [i for i in range(len(part.items)) if part.states is not None or rng.random() < args.asked] or [0]
                chosen = [(at, part.items[i]) for at, i in enumerate(asked) for _ in range(1 if part.states is None else 2)]
                rows = [Row(at, *encode(tokenizer, part.frames, media_tokens, random_turns(rng, item))) for at, item in chosen]
                shown = [each.unflatten(0, (-1, part.frames))[asked].flatten(0, 1) for each in features]
                if progress < args.tower_apart:
                    # What a text model wants that knows nothing yet would undo what the tower knows.
                    shown = [each.detach() for each in shown]
                groups.append(Group(shown, part.frames, rows))
        if is_joint:
            text = text_pass(model, groups, [0.4, 0.4, 0.4] if len(groups) == 3 else [0.8, 0.4])
            loss = loss + text.loss + text.balance * 0.005
            note(text=text.losses[0], text_of_many=text.losses[-2], clip_text=text.losses[-1])
            for number, (media, which) in text.halfway.items():
                state_loss = heads.state_loss(media, parts[number].states[which])
                loss = loss + state_loss * 0.3
                note(state=state_loss)
        muon.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 2.0)
        muon.step(rate_scale(progress))
        step += 1
        if step % 10 == 0:
            entry = {"cpu": round((time.process_time() - cpu) / 10, 3), "step": step, "minutes": round((time.time() - began) / 60, 2), "seconds_per_step": round((time.time() - since) / 10, 3)}
            entry |= {name: round(float(np.nanmean(values)), 4) for name, values in sums.items()}
            curve.append(entry)
            print(json.dumps(entry), flush=True)
            sums.clear()
            data.refresh()
            # On a busy machine a second thread is mostly waited for.
            torch.set_num_threads(2 if os.getloadavg()[0] < 4 else 1)
            since, cpu = time.time(), time.process_time()
        if time.time() - saved > 180:
            save(checkpoint, both, muon, step, time.time() - began, curve)
            curve_file.write_text(json.dumps(curve))
            saved = time.time()
    save(checkpoint, both, muon, step, time.time() - began, curve)
    curve_file.write_text(json.dumps(curve))
    model.save(args.out / "model")


def save(path: Path, both, muon: Muon, step: int, seconds: float, curve: list) -> None:
    part = path.with_suffix(".part")
    torch.save({"both": both.state_dict(), "muon": muon.state_dict(), "step": step, "seconds": seconds, "curve": curve}, part)
    part.replace(path)


if __name__ == "__main__":
    main()
