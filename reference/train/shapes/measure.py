"""Figures of a checkpoint in PyTorch, without files: the same scenes as held_out.py's, made small as the engine does.
For a look while training; evaluate_shapes.py measures what is shipped.

    python reference/train/shapes/measure.py --run DIR [--pictures 120] [--clips 60]
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vision"))

from captions import PROMPTS  # noqa: E402
from dialogue import END, PAD, prompt_ids  # noqa: E402
from evlm import Evlm  # noqa: E402
from export import load_run  # noqa: E402
from held_out import clips_of, draw, facts, scenes_of, size_of, to_bytes  # noqa: E402
from questions import ask, ask_clip  # noqa: E402
from render import render  # noqa: E402
from scenes import at_time  # noqa: E402
from scoring import report  # noqa: E402

FRAMES = 16  # the app's own default


def pixels(picture: Image.Image, side: int) -> np.ndarray:
    """`fit: pad` of the preprocessing: (3, side, side)"""
    scale = side / max(picture.size)
    size = tuple(max(int(length * scale), 1) for length in picture.size)
    small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.float32) / 127.5 - 1
    out = np.zeros((3, side, side), np.float32)
    out[:, : size[1], : size[0]] = small.transpose(2, 0, 1)
    return out


def answers(model: Evlm, tokenizer: Tokenizer, prompts: list[str], shown: list[list[np.ndarray]], most: int) -> list[str]:
    media_tokens = model.config["cross_attention_config"]["media_tokens"]
    out = []
    for start in range(0, len(prompts), 40):
        rows = [prompt_ids(tokenizer, len(each), media_tokens, said) for said, each in zip(prompts[start : start + 40], shown[start : start + 40])]
        length = max(map(len, rows))
        ids = torch.tensor([[PAD] * (length - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
        looked_at = torch.from_numpy(np.stack([frame for each in shown[start : start + 40] for frame in each]))
        made = model.generate(ids, looked_at, most, (END,), mask)
        out += [tokenizer.decode(row[: row.index(END)] if END in row else row) for row in made.tolist()]
    return out


def measure(model: Evlm, tokenizer: Tokenizer, n_pictures: int, n_clips: int, seed: int = 1) -> tuple[dict, dict, dict, dict]:
    truth, shown, questions = {}, {}, {}
    side = model.config["vision_config"]["image_size"]
    for i, (scene, rng) in enumerate(scenes_of(seed, n_pictures)):
        name = f"picture {i}"
        shown[name] = [pixels(draw(scene, rng), side)]
        kind, questions[name], answer = ask(rng, scene, held_out=True)
        truth[name] = facts(scene) | {"answer": answer, "kind": kind}
    for i, (clip, rng) in enumerate(clips_of(seed, n_clips)):
        name = f"clip {i}"
        width, height = size_of(clip.scene.aspect, rng, even=True)
        frames = [render(at_time(clip, (k + 0.5) / FRAMES), width, height)[0] for k in range(FRAMES)]
        shown[name] = [pixels(Image.fromarray(to_bytes(frame)), side) for frame in frames]
        kind, questions[name], answer = ask_clip(rng, clip, held_out=True)
        truth[name] = facts(clip.scene) | {"motion": clip.motion, "answer": answer, "kind": kind}
    names = list(truth)
    frames = [shown[name] for name in names]
    captions = dict(zip(names, answers(model, tokenizer, [PROMPTS["descriptive"][0]] * len(names), frames, 96)))
    replies = dict(zip(names, answers(model, tokenizer, [questions[name] for name in names], frames, 24)))
    return report(captions, replies, truth), captions, replies, truth


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--clips", type=int, default=60)
    args = parser.parse_args()
    figures, captions, replies, truth = measure(load_run(args.run), Tokenizer.from_file(str(args.run / "tokenizer.json")), args.pictures, args.clips)
    print(json.dumps(figures, indent=1))
    for name in list(truth)[:6] + list(truth)[-6:]:
        print(name, captions[name], replies[name], truth[name], sep="\n  ")


if __name__ == "__main__":
    main()
