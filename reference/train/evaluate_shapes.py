"""Every figure of lutra-shapes from the shipped weights, through `lutra caption` alone: captions, motions, and answers to
questions in wordings that training never saw, on PNG, JPEG and MP4 files that Pillow and ffmpeg wrote. Needs a build of
Lutra, and ffmpeg with libx264 on the path.

    python reference/train/evaluate_shapes.py [--model models/lutra-shapes] [--pictures 400] [--clips 200] [--work DIR] [--out figures.json]
    python reference/train/evaluate_shapes.py --sample tests/golden/shapes      # only writes the fast subset's files
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "golden" / "shapes"
sys.path.insert(0, str(Path(__file__).resolve().parent / "shapes"))

from held_out import make  # noqa: E402
from scoring import report  # noqa: E402

SAMPLE_SEED, SAMPLE_BYTES = 7, 30_000
SAMPLE_COUNTS = {"pictures": 16, "clips": 4}


def captions_of(model: Path, folders: list[Path], out: Path, ask: list[str]) -> dict[Path, str]:
    command = ["node", str(ROOT / "bin" / "lutra.mjs"), "caption", *map(str, folders)]
    command += ["--model", str(model), "--out", str(out), "--json", *ask]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    items = json.loads(done.stdout)["items"]
    failed = [item for item in items if item["error"]]
    if failed:
        raise SystemExit(f"{len(failed)} files failed, the first: {failed[0]}")
    return {Path(item["file"]): item["caption"] for item in items}


def write_sample(folder: Path) -> None:
    """Held-out files that weigh little, and in wanted.json the wordings that are right for each."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as made:
        truth = make(Path(made), SAMPLE_SEED, pictures=60, clips=10)
        for kind, count in SAMPLE_COUNTS.items():
            small = [name for name in truth if name.startswith(kind) and (Path(made) / name).stat().st_size < SAMPLE_BYTES]
            for name in small[:count]:
                target = name.replace("/", "-")
                shutil.copy(Path(made) / name, folder / target)
                wanted[target] = truth[name]["captions"]
    (folder / "wanted.json").write_text(json.dumps(wanted, indent=1) + "\n")


def sample_figures(model: Path, work: Path) -> dict[str, int]:
    wanted = json.loads((SAMPLE / "wanted.json").read_text())
    said = captions_of(model, [SAMPLE], work / "sample", ["--preset", "descriptive", "--temperature", "0"])
    right = [path.name for path, text in said.items() if text in wanted[path.name]]
    return {kind: sum(name.startswith(kind) for name in right) for kind in SAMPLE_COUNTS}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "lutra-shapes")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sample", type=Path)
    args = parser.parse_args()
    if args.sample:
        write_sample(args.sample)
        return
    with tempfile.TemporaryDirectory() as made:
        work, model = (args.work or Path(made)).resolve(), args.model.resolve()
        truth = make(work, args.seed, args.pictures, args.clips)
        folders = [work / "pictures", work / "clips"]
        captions = captions_of(model, folders, work / "captions", ["--preset", "descriptive", "--temperature", "0"])
        # Each file's question lies beside it as text.
        answers = captions_of(model, folders, work / "answers", ["--prompt", "{tags}", "--temperature", "0"])
        if any({str(path.relative_to(work)) for path in said} != truth.keys() for said in (captions, answers)):
            raise SystemExit("not every file was captioned")
        by_name = [{str(path.relative_to(work)): text for path, text in said.items()} for said in (captions, answers)]
        figures = report(*by_name, truth) | {"fast subset": sample_figures(model, work)}
    text = json.dumps(figures, indent=1) + "\n"
    if args.out:
        args.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
