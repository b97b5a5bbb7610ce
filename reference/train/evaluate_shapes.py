"""Every figure of lutra-shapes from the shipped weights, through `lutra caption` alone: captions, motions, and answers to
questions in wordings that training never saw, on PNG, JPEG and MP4 files that Pillow and ffmpeg wrote. Needs a build of
Lutra, and ffmpeg with libx264 on the path.

    python reference/train/evaluate_shapes.py [--model models/lutra-shapes] [--pictures 400] [--clips 200] [--work DIR]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent / "shapes"))

from scoring import report  # noqa: E402


def captions_of(model: Path, work: Path, kind: str, ask: list[str]) -> dict[str, str]:
    """By file relative to `work`."""
    command = ["node", str(ROOT / "bin" / "lutra.mjs"), "caption", str(work / "pictures"), str(work / "clips")]
    command += ["--model", str(model), "--out", str(work / kind), "--json", *ask]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    items = json.loads(done.stdout)["items"]
    failed = [item for item in items if item["error"]]
    if failed:
        raise SystemExit(f"{len(failed)} files failed, the first: {failed[0]}")
    return {str(Path(item["file"]).relative_to(work)): item["caption"] for item in items}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "lutra-shapes")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        work = (args.work or Path(made)).resolve()
        maker = [sys.executable, str(ROOT / "reference" / "train" / "shapes" / "held_out.py"), "--out", str(work), "--seed", str(args.seed)]
        subprocess.run([*maker, "--pictures", str(args.pictures), "--clips", str(args.clips)], check=True)
        truth = json.loads((work / "truth.json").read_text())
        captions = captions_of(args.model.resolve(), work, "captions", ["--preset", "descriptive"])
        # Each file's question lies beside it as text.
        answers = captions_of(args.model.resolve(), work, "answers", ["--prompt", "{tags}"])
    if captions.keys() != truth.keys() or answers.keys() != truth.keys():
        raise SystemExit("not every file was captioned")
    print(json.dumps(report(captions, answers, truth), indent=1))


if __name__ == "__main__":
    main()
