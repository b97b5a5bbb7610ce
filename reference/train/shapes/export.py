"""A training's checkpoint, or the weights in the shapes.tar that it leaves, as the folder that is shipped:
models/lutra-shapes.

    python reference/train/shapes/export.py --run DIR [--out models/lutra-shapes]
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vision"))

from dialogue import CHAT_TEMPLATE, SPECIAL  # noqa: E402
from evlm import Evlm  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def load_run(run: Path) -> Evlm:
    if not (run / "checkpoint.pt").exists():
        return Evlm.load(run).eval()
    model = Evlm(json.loads((HERE / "config.json").read_text()))
    both = torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")["both"]
    model.load_state_dict({name.removeprefix("0."): value for name, value in both.items() if name.startswith("0.")})
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "lutra-shapes")
    args = parser.parse_args()
    model = load_run(args.run)
    model.save(args.out, torch.float16)
    Tokenizer.from_file(str(args.run / "tokenizer.json")).save(str(args.out / "tokenizer.json"))
    (args.out / "curve.json").write_text((args.run / "curve.json").read_text())
    size = model.config["vision_config"]["image_size"]
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[1], "eos_token": SPECIAL[2], "pad_token": SPECIAL[0],
            "model_max_length": model.config["text_config"]["max_position_embeddings"], "chat_template": CHAT_TEMPLATE,
        },
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "do_sample": False},
        "preprocessor_config.json": {
            "do_resize": True, "size": {"height": size, "width": size}, "resample": 2, "fit": "pad",
            "rescale_factor": 1 / 255, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        },
    }
    for name, content in files.items():
        (args.out / name).write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
