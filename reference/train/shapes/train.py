"""Trains lutra-shapes. First the tower alone, asked for what each patch shows; then all of it. The schedule is one of
time, so that a run ends when it is told to; it goes on from its last checkpoint, or begins with shipped weights.

    nice -n 19 python reference/train/shapes/train.py --out DIR --pool DIR --minutes 90 [--from models/lutra-shapes]
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vision"))

from data import Data, Part  # noqa: E402
from dialogue import PAD, encode, load_tokenizer, random_turns  # noqa: E402
from evlm import Evlm, Pictures  # noqa: E402
from heads import Heads, patch_targets, picture_targets  # noqa: E402
from muon import Muon  # noqa: E402

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


def text_loss(model: Evlm, features: list[Tensor], frames: int, rows: list[tuple[int, list[int], list[int]]]):
    """Mean loss of the answers' tokens. `rows`: (which picture or clip, ids, labels); features (n * frames, tokens, width).
    Rows of like length run together. Also the media tokens' states halfway, and whose they are."""
    keys_values = [cross.keys_values(features[tap]) for cross, tap in zip(model.cross_attention_layers, model.tap_of_layer)]
    tokens = features[0].shape[1]
    keys = [k.unflatten(0, (-1, frames)).flatten(1, 2) for k, _ in keys_values]
    values = [v.unflatten(0, (-1, frames)).flatten(1, 2) for _, v in keys_values]
    rows = sorted(rows, key=lambda row: len(row[1]))
    groups = [rows[i : i + 32] for i in range(0, len(rows), 32)]
    losses, counted, balances, halfway, owners = [], 0.0, [], [], []
    for group in groups:
        length = max(len(ids) for _, ids, _ in group)
        which = torch.tensor([row for row, _, _ in group])
        ids = torch.tensor([ids + [PAD] * (length - len(ids)) for _, ids, _ in group])
        labels = torch.tensor([labels + [-100] * (length - len(labels)) for _, _, labels in group])
        attention = (torch.arange(length) < torch.tensor([len(ids) for _, ids, _ in group])[:, None]).long()
        sight = model.sight_of(ids)
        pictures = Pictures([k[which] for k in keys], [v[which] for v in values], tokens)
        mask = model.mask_of(sight.visible, pictures)
        out, balance = model._run(model.embed(ids, sight), pictures, mask, attention, use_cache=False, output_hidden_states=True)
        each = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")
        losses.append(each)
        counted += int((labels[:, 1:] >= 0).sum())
        balances += [each.loss() for each in balance]
        media_tokens = model.config["cross_attention_config"]["media_tokens"]
        media = out.hidden_states[2][:, 2 : 2 + frames * media_tokens].unflatten(1, (frames, media_tokens))[:, :, -1]
        halfway.append(media)
        owners.append(which)
    return torch.stack(losses).sum() / counted, torch.stack(balances).mean(), torch.cat(halfway), torch.cat(owners)


def rate_scale(progress: float) -> float:
    """A short rise, level, and from 45 % on a straight line to 0."""
    return min(1.0, progress / 0.01, max(0.0, (1 - progress) / 0.55))


def is_hidden(name: str) -> bool:
    return "layers." in name and name.endswith(("proj.weight", "fc1.weight", "fc2.weight"))


def new_model(args) -> Evlm:
    if args.start:
        return Evlm.load(args.start)
    model = Evlm(json.loads((HERE / "config.json").read_text()))
    for cross in model.cross_attention_layers:
        # Open from the start: there is no trained text model to keep as it is.
        torch.nn.init.constant_(cross.attention_gate, 0.6)
        torch.nn.init.constant_(cross.ffn_gate, 0.4)
    return model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--from", dest="start", type=Path)
    parser.add_argument("--tower-share", type=float, default=0.3, help="of the time, spent on the tower alone")
    parser.add_argument("--whole-from", type=float, default=0.88, help="share of the time after which all patches are kept; before it, in a tenth of the steps")
    parser.add_argument("--tower-weight", type=float, default=0.5, help="of the tower's own losses beside the text's")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    model = new_model(args)
    config = model.config
    media_tokens = config["cross_attention_config"]["media_tokens"]
    tokenizer = load_tokenizer(args.out / "tokenizer.json", config["text_config"]["vocab_size"])
    heads = Heads(config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"])
    both = torch.nn.ModuleList([model, heads])
    muon = Muon(both, is_hidden, muon_rate=0.02, adam_rate=2e-3, decay=0.01)
    data = Data(args.pool, rng)
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
        parts = data.pictures(40 if is_joint else 112, is_whole) + [data.clips(5 if is_joint else 16, frames, is_whole)]
        loss = torch.zeros(())
        for part in parts:
            features = look(model, part)
            share = len(part.items) / sum(len(each.items) for each in parts)
            if part.states is None:
                tower, right = heads.tower_loss(features[-1], patch_targets(part.items, part.owners), picture_targets(part.items))
                note(tower=tower, **right)
            else:
                scenes = [clip.scene for clip in part.items for _ in range(frames)]
                tower, _ = heads.tower_loss(features[-1], patch_targets(scenes, part.owners, with_size=False), {})
            loss = loss + tower * share * (args.tower_weight if is_joint else 1.0)
            if is_joint:
                rows = [(i, *encode(tokenizer, part.frames, media_tokens, random_turns(rng, item))) for i, item in enumerate(part.items) for _ in range(1 if part.states is None else 2)]
                text, balance, media, which = text_loss(model, features, part.frames, rows)
                # Clips are few, and what they are about is harder.
                loss = loss + (text + balance * 0.005) * share * (1.0 if part.states is None else 2.0)
                if part.states is None:
                    note(text=text)
                else:
                    state_loss = heads.state_loss(media, part.states[which])
                    loss = loss + state_loss * 0.3
                    note(clip_text=text, state=state_loss)
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
