"""Makes models/lutra-guide from a finished training: smaller copy, figures, card.

    python reference/train/ship_guide.py --run FOLDER --hardware "one NVIDIA H100" --speed "… tokens a second on …" [--greedy-only]

FOLDER is train.py's `--out`. The figures are those of evaluate_guide.py, of the copy and of the original; whatever is under
its goal is said so in the card, first of all.
Written for Python 3.11; needs no package.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import evaluate_guide

ROOT = Path(__file__).parents[2]
DESTINATION = ROOT / "models/lutra-guide"
GOALS = {"guide": 90.0, "sums": 95.0, "free": 100.0}
#: What is also asked of the model before it is quantized.
COMPARED = ["newcomer", "guide", "chinese", "sums", "dialogues"]
WORDS = {
    "newcomer": "questions of a new user, from outside the lists (see Limits): the right fact",
    "newcomer, not in training": "those of them that training does not have word for word",
    "guide": "English questions about Lutra, in held-out words: the right fact",
    "chinese": "Chinese questions, in held-out words: the right fact",
    "talk": "small talk",
    "beyond": "questions beyond its knowledge: says so",
    "sums": "sums and differences of held-out pairs up to 99",
    "dialogues": "conversations of three turns, each turn right",
    "free": "free prompts that end without a loop",
}


def quantize(source: Path, destination: Path) -> None:
    shutil.rmtree(destination, ignore_errors=True)
    with tempfile.TemporaryDirectory() as data:
        subprocess.run([str(ROOT / "bin/lutra.mjs"), "quantize", str(source), str(destination), "--bits", "4", "--table", "nf",
                        "--data", data], check=True, stdout=subprocess.DEVNULL)


def sample_counts(model: Path) -> dict[str, int]:
    """Right answers of the fast subset by kind; word for word, as the test counts them."""
    with tempfile.TemporaryDirectory() as name:
        rows = evaluate_guide.ask(model, evaluate_guide.sample(), Path(name), "--max-tokens", "256", "--threads", "1")
    counts: dict[str, int] = {}
    for row in rows:
        right = evaluate_guide.judge(row) if row["kind"] in ("sums", "free") else row["answers"] == row["wanted"]
        counts[row["kind"]] = counts.get(row["kind"], 0) + right
    return counts


def evaluate(model: Path, out: Path, *options: str) -> dict:
    subprocess.run([sys.executable, str(Path(__file__).parent / "evaluate_guide.py"), "--model", str(model), "--out", str(out),
                    *options], check=True)
    return json.loads(out.read_text(encoding="utf-8"))


def parameters_of(config: dict) -> int:
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    attention = 2 * width * head * (config["num_attention_heads"] + config["num_key_value_heads"])
    layer = attention + 3 * width * inner + 2 * width
    return config["num_hidden_layers"] * layer + config["vocab_size"] * width + width


def percent(figures: dict, kind: str) -> str:
    return f"{figures[kind]['percent']} %" if kind in figures else "–"


def counted(figures: dict, kind: str) -> str:
    return f"{figures[kind]['right']} of {figures[kind]['of']}"


def sampled(figures: dict) -> str:
    """How it answers with the app's own sampling, where that was asked."""
    kinds = [kind for kind in ("guide", "sums", "free") if f"{kind}, as the app samples" in figures]
    each = ", ".join(f"{WORDS[kind].split(':')[0]} {figures[f'{kind}, as the app samples']['percent']} %" for kind in kinds)
    return f"\n\nAs the app samples (temperature 0.7, repeat penalty 1.1): {each}." if kinds else ""


def card(figures: dict, whole: dict, curve: list[dict], config: dict, size: int, arguments: argparse.Namespace) -> str:
    missed = [f"{WORDS[kind]} ({figures[kind]['percent']} % of {goal:.0f} %)" for kind, goal in GOALS.items()
              if figures[kind]["percent"] < goal]
    rows = "\n".join(
        f"| {WORDS[kind]} | {figures[kind]['right']} of {figures[kind]['of']} | {figures[kind]['percent']} % |"
        f" {percent(whole, kind)} | {f'{GOALS[kind]:.0f} %' if kind in GOALS else '–'} |" for kind in WORDS
    )
    last = curve[-1]
    new = figures["newcomer"]
    warning = f"**It misses its goals: {'; '.join(missed)}.** {arguments.cause} Ask it twice before you believe it.\n\n" if missed else ""
    return f"""---
language: [en, zh]
tags: [demo]
---
# lutra-guide

{warning}A demo model that comes with Lutra: it answers questions about the studio in English and, for the main ones, Chinese, links
to the panels, adds and subtracts numbers up to 99 with its working, tells short stories, and says so where it knows nothing.
It is tiny, and a guide only. For anything else bring a larger model.

- **Architecture**: Llama, {parameters_of(config) / 1e6:.1f} million parameters: {config['num_hidden_layers']} layers of width {config['hidden_size']}, {config['num_attention_heads']} heads
  ({config['num_key_value_heads']} for keys and values), feed-forward {config['intermediate_size']}, tied embedding; BPE of {config['vocab_size']:,} tokens, context {config['max_position_embeddings']:,}.
- **Weights**: NF4 (`lutra quantize --bits 4 --table nf`, group 64), embedding in 16 bits, {size / 1e6:.1f} MB.
- **Data**: made by `reference/train/guide`, all of it ours: {len(evaluate_guide.FACTS)} facts with their wordings, sentences to ask in, sums, a grammar
  of stories, small talk, questions that it cannot answer; conversations of one to eight turns, made afresh all the while.
- **Training**: {last['seconds'] / 60:.1f} minutes on {arguments.hardware}, bfloat16 with float32 weights: {last['step']:,} steps,
  {last['tokens']:,} tokens. `config.json` beside `train.py` has every number, `curve.json` here the way there. {arguments.trained}
- **Speed**: {arguments.speed}

## Figures
`python reference/train/evaluate_guide.py`, from these very files through `lutra eval chat`, greedy; everything asked but the first two rows is
held-out by rule: words, sentences and pairs of numbers that training never has.

| what | right | | before quantizing, in f16 | goal |
|---|---|---|---|---|
{rows}

## Limits
It knows what its facts say and nothing else. A question put in very different words may get the answer to another one, with
the same calm. How often, the first row tells best: {new['of']} questions of a new user (`reference/train/newcomer.jsonl`), written
from the README and the window's own text before their author had seen any of the lists that training is made of; which facts
answer each was chosen by hand, with its answers in view. English {counted(figures, 'newcomer, English')}, Chinese {counted(figures, 'newcomer, Chinese')}. {arguments.limits}

The held-out rows are kinder. Their words are not in training, and that is checked by rule; but the further wordings of
training (`facts/more`) were written by somebody who had read the lists, held-out ones included, and the wrong answers of an
earlier evaluation. Of questions beyond its knowledge {counted(figures, 'beyond')} are declined; the others get some fact.
Follow-ups are such as "where is that?", "what about X?" and "in Chinese?", asked here for three turns; others were not measured.
Sums beyond 99 and products beyond single digits are declined, not tried.{sampled(figures)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--greedy-only", action="store_true", help="leave out how it answers as the app samples")
    parser.add_argument("--hardware", required=True, help="what it was trained on, for the card")
    parser.add_argument("--cause", default="", help="why it misses a goal, for the card")
    parser.add_argument("--trained", default="", help="what else is to be said of the training")
    parser.add_argument("--speed", required=True, help="tokens a second, and where that was measured")
    parser.add_argument("--limits", default="", help="what the wrong answers to a new user's questions are about")
    arguments = parser.parse_args()
    source: Path = arguments.run / "model"
    quantize(source, DESTINATION)
    # A copy's files are private; these are for everyone.
    for path in DESTINATION.iterdir():
        os.chmod(path, 0o644)
    out = DESTINATION / "figures.json"
    options = ["--greedy-only"] if arguments.greedy_only else []
    with ThreadPoolExecutor() as pool:
        compared = pool.submit(evaluate, source, arguments.run / "figures-f16.json", "--greedy-only", "--kinds", *COMPARED)
        figures = evaluate(DESTINATION, out, *options)
        whole = compared.result()
    (DESTINATION / "figures.wrong.jsonl").rename(arguments.run / "wrong.jsonl")
    out.write_text(json.dumps(figures | {"fast subset": sample_counts(DESTINATION)}, indent=2) + "\n", encoding="utf-8")
    shutil.copy(arguments.run / "curve.json", DESTINATION / "curve.json")
    curve = json.loads((DESTINATION / "curve.json").read_text(encoding="utf-8"))
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    size = (DESTINATION / "model.safetensors").stat().st_size
    (DESTINATION / "README.md").write_text(card(figures, whole, curve, config, size, arguments), encoding="utf-8")
    evaluate_guide.write_sample(ROOT / "tests/golden/guide/questions.jsonl")


if __name__ == "__main__":
    main()
