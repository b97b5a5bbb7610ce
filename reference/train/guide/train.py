"""Trains the guide on the CPU until a given time, annealed to the end whatever the machine's speed.

    python train.py --out FOLDER --until 00:10        # again with the same folder: goes on from the last checkpoint

The model is a Llama (transformers' LlamaForCausalLM). Every number is in config.json. Conversations are made afresh
for every batch, so that no epoch repeats; only answers (with the mark that ends them) are in the loss. Depth grows once:
training begins with `first_layers`, and after `grow_at` of the time copies of them are put between, whose outputs begin at
zero, so that the function stays what it was (as Net2Net, Chen et al. 2016). Progress is time, not steps: the rate warms
up, then follows a cosine to zero at the end. Writes curve.json and, at the end, the folder `model` in float16.

Written with torch 2.13, transformers 5.23, tokenizers 0.23.
"""

import argparse
import copy
import json
import math
import random
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy, rms_norm
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

import sums
import talk
import tokenizer as bpe
from dialogues import ONLY_ENGLISH, SYSTEMS, Guide, Turn
from facts import read_facts
from wording import held_questions

HERE = Path(__file__).parent


def build(config: dict, layers: int, vocabulary: int, marks: dict[str, int]) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_hidden_layers=layers,
        num_attention_heads=config["heads"],
        num_key_value_heads=config["key_value_heads"],
        head_dim=config["head_dim"],
        max_position_embeddings=config["context"],
        rope_parameters={"rope_type": "default", "rope_theta": config["rope_theta"]},
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        initializer_range=0.02,
        bos_token_id=marks[bpe.BEGIN],
        eos_token_id=marks[bpe.END],
        pad_token_id=marks[bpe.END],
    ))


def grow(model: LlamaForCausalLM, config: dict, vocabulary: int, marks: dict[str, int]) -> tuple[LlamaForCausalLM, dict]:
    """The model with all its layers, and for each of its old parameters' names the name that it now has."""
    old = model.model.layers
    grown = build(config, config["layers"], vocabulary, marks)
    # Old layer i goes to place[i]; each new layer is a copy of the old one before it.
    place = [i * config["layers"] // len(old) for i in range(len(old))]
    names: dict[str, str] = {}
    with torch.no_grad():
        for at in range(config["layers"]):
            source = max(i for i in range(len(old)) if place[i] <= at)
            grown.model.layers[at].load_state_dict(old[source].state_dict())
            if at not in place:
                grown.model.layers[at].self_attn.o_proj.weight.zero_()
                grown.model.layers[at].mlp.down_proj.weight.zero_()
        grown.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
        grown.model.norm.load_state_dict(model.model.norm.state_dict())
    for name, _ in model.named_parameters():
        parts = name.split(".")
        if "layers" in parts:
            number = parts.index("layers") + 1
            parts[number] = str(place[int(parts[number])])
        names[name] = ".".join(parts)
    return grown, names


#: A conversation as tokens, what is to be said after each, and which fixed answer begins after each; -100: nothing.
Row = tuple[list[int], list[int], list[int]]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Batches:
    """Packs conversations of similar length."""

    def __init__(self, config: dict, tokenizer: Tokenizer, rng: random.Random):
        self.config, self.tokenizer, self.rng = config, tokenizer, rng
        self.guide = Guide(read_facts())
        self.mark = {mark: tokenizer.token_to_id(mark) for mark in bpe.MARKS}
        self.number = {answer: at for at, answer in enumerate(fixed_answers(self.guide))}
        self.waiting: list[Batch] = []

    def encode(self, turns: list[Turn], system: str | None = None, last_tokens: int | None = None) -> Row:
        """`last_tokens`: so many of the last answer, where it is a fixed one; the rest of it is left out."""
        tokens, targets, numbers = [self.mark[bpe.BEGIN]], [], []

        def put(mark: str, text: str, learned: bool, most: int | None = None) -> None:
            body = [*self.tokenizer.encode(text).ids, self.mark[bpe.END]][:most]
            tokens.extend([self.mark[mark], *body])
            numbers.extend([-100, self.number.get(text, -100) if learned else -100, *([-100] * (len(body) - 1))])
            # A target stands where the token before it is read: the role's mark is never one, its text and end may be.
            targets.extend([-100, *(body if learned else [-100] * len(body))])

        if system is not None:
            put(bpe.SYSTEM, system, False)
        for at, (asked, answer) in enumerate(turns, 1):
            put(bpe.USER, asked, False)
            put(bpe.ASSISTANT, answer, True, last_tokens if at == len(turns) and answer in self.number else None)
        return tokens[:-1], targets, numbers

    def collate(self, rows: list[Row]) -> Batch:
        longest = max(len(tokens) for tokens, _, _ in rows)
        tokens = torch.full((len(rows), longest), self.mark[bpe.END])
        targets = torch.full((len(rows), longest), -100)
        numbers = torch.full((len(rows), longest), -100)
        for at, (row, aims, answers) in enumerate(rows):
            tokens[at, : len(row)] = torch.tensor(row)
            targets[at, : len(aims)] = torch.tensor(aims)
            numbers[at, : len(answers)] = torch.tensor(answers)
        return tokens, targets, numbers

    def next(self) -> Batch:
        if not self.waiting:
            rows = []
            for _ in range(self.config["pool_conversations"]):
                system = self.rng.choice(SYSTEMS) if self.rng.random() < self.config["system_prompt_share"] else None
                is_cut = self.rng.random() < self.config["cut_share"]
                turns = self.guide.conversation(self.rng)
                rows.append(self.encode(turns, system, self.config["cut_tokens"] if is_cut else None))
            rows.sort(key=lambda row: len(row[0]))
            batch: list[Row] = []
            for row in rows:
                if batch and len(row[0]) * (len(batch) + 1) > self.config["batch_tokens"]:
                    self.waiting.append(self.collate(batch))
                    batch = []
                batch.append(row)
            self.waiting.append(self.collate(batch))
            self.rng.shuffle(self.waiting)
        return self.waiting.pop()


def fixed_answers(guide: Guide) -> list[str]:
    """All answers that are always the same, in a fixed order."""
    facts = [text for f in guide.facts for text in (f.answer, f.answer_zh, f.where, f.where_zh) if text]
    said = [answer for _, answer in [*talk.TALK, *talk.TALK_ZH]]
    return list(dict.fromkeys([*facts, *said, talk.REFUSAL, talk.REFUSAL_ZH, ONLY_ENGLISH, sums.TOO_LARGE, sums.TOO_LARGE_ZH]))


def choosing_layer(model: LlamaForCausalLM) -> int:
    """After so many layers the answer as a whole is chosen."""
    return len(model.model.layers) * 2 // 3


def losses(model: LlamaForCausalLM, chooser: torch.nn.Linear, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the answers' tokens; and of choosing the answer as a whole where it begins. The second is asked of the residual
    stream two thirds up, so that the layers above can read the choice from every later token. Its head is not kept."""
    tokens, targets, numbers = batch
    out = model.model(input_ids=tokens, use_cache=False, output_hidden_states=True)
    learned, chosen = targets != -100, numbers != -100
    told = cross_entropy(model.lm_head(out.last_hidden_state[learned]), targets[learned])
    middle = out.hidden_states[choosing_layer(model)][chosen]
    choice = cross_entropy(chooser(rms_norm(middle, middle.shape[-1:])), numbers[chosen]) if len(middle) else told.new_zeros(())
    return told, choice


def first_choices(model: LlamaForCausalLM, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """For each of the answers' tokens whether it would have been chosen."""
    learned = targets != -100
    logits = model.lm_head(model.model(input_ids=tokens, use_cache=False).last_hidden_state[learned])
    return logits.argmax(-1) == targets[learned]


class Questions:
    """Questions alone, each with the number of its fixed answer: what a choice costs without saying it."""

    def __init__(self, batches: Batches, count: int):
        self.batches, self.count = batches, count

    def next(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens (n, longest), where each question's answer would begin (n), and which answer that is (n)."""
        guide, rng, mark = self.batches.guide, self.batches.rng, self.batches.mark
        rows, numbers = [], []
        while len(rows) < self.count:
            draw = rng.random()
            if draw < 0.85:
                _, (asked, answer), _ = guide.fact_turn(rng)
            else:
                asked, answer = (talk.sample if draw < 0.92 else talk.beyond)(rng)
            words = self.batches.tokenizer.encode(asked).ids
            rows.append([mark[bpe.BEGIN], mark[bpe.USER], *words, mark[bpe.END], mark[bpe.ASSISTANT]])
            numbers.append(self.batches.number[answer])
        tokens = torch.full((self.count, max(map(len, rows))), mark[bpe.END])
        for at, row in enumerate(rows):
            tokens[at, : len(row)] = torch.tensor(row)
        return tokens, torch.tensor([len(row) - 1 for row in rows]), torch.tensor(numbers)


def lower_part(model: LlamaForCausalLM) -> LlamaModel:
    """The layers below the place where answers are chosen, shared with the model."""
    count = choosing_layer(model)
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = 0
    lower = LlamaModel(config)
    lower.embed_tokens, lower.layers, lower.norm = model.model.embed_tokens, model.model.layers[:count], torch.nn.Identity()
    lower.config.num_hidden_layers = count
    return lower


def question_loss(lower: LlamaModel, chooser: torch.nn.Linear, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    tokens, ends, numbers = batch
    middle = lower(input_ids=tokens, use_cache=False).last_hidden_state[torch.arange(len(tokens)), ends]
    return cross_entropy(chooser(rms_norm(middle, middle.shape[-1:])), numbers)


def held_out(batches: Batches) -> dict[str, list[Row]]:
    """A small sample for the curve; the figures of the card come from evaluate_guide.py."""
    rng = random.Random(1)
    guide = [(asked, fact.answer_zh if any("一" <= c <= "鿿" for c in asked) else fact.answer)
             for fact in batches.guide.facts for _, asked in held_questions(fact)]
    pairs = []
    while len(pairs) < 40:
        operation = rng.choice(["+", "-"])
        a, b = rng.randrange(100), rng.randrange(100)
        if sums.is_held(a, b, operation):
            pairs.append((f"What is {a} {operation} {b}?", sums.work(a, b, operation)))
    beyond = [(asked, talk.REFUSAL) for asked in talk.HELD_BEYOND]
    return {
        "guide": [batches.encode([turn]) for turn in rng.sample(guide, 100)],
        "sums": [batches.encode([turn]) for turn in pairs],
        "beyond": [batches.encode([turn]) for turn in beyond],
    }


@torch.no_grad()
def measure(model: LlamaForCausalLM, batches: Batches, held: dict) -> dict[str, float]:
    """Per kind the share of answers whose every token is the model's first choice: what greedy decoding would give."""
    model.eval()
    found: dict[str, float] = {}
    for kind, rows in held.items():
        right = 0
        for at in range(0, len(rows), 20):
            tokens, targets, _ = batches.collate(rows[at : at + 20])
            hits = first_choices(model, tokens, targets)
            for part in hits.split((targets != -100).sum(1).tolist()):
                right += bool(part.all())
        found[kind] = round(right / len(rows), 4)
    model.train()
    return found


def optimizer_of(model: LlamaForCausalLM, chooser: torch.nn.Linear, config: dict) -> torch.optim.AdamW:
    matrices = [*(p for p in model.parameters() if p.dim() > 1), *chooser.parameters()]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": config["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=tuple(config["adam_betas"]), fused=True)


def end_time(text: str) -> float:
    """Today's or tomorrow's HH:MM, whichever comes next, as seconds since the epoch."""
    hour, minute = map(int, text.split(":"))
    end = datetime.now().replace(hour=hour, minute=minute, second=0)
    return (end if end > datetime.now() else end + timedelta(days=1)).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--until", required=True, help="HH:MM")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a run whose tokenizer and weights this one begins with")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = json.loads((HERE / "config.json").read_text(encoding="utf-8"))
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config["seed"])

    tokenizer_file = out / "model" / "tokenizer.json"
    if arguments.start and not tokenizer_file.exists():
        shutil.copytree(arguments.start / "model", out / "model")
    if not tokenizer_file.exists():
        bpe.save(bpe.train(config["vocabulary"], config["seed"]), out / "model")
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    vocabulary = tokenizer.get_vocab_size()
    checkpoint = out / "checkpoint.pt"
    state = torch.load(checkpoint, weights_only=False) if checkpoint.exists() else None
    batches = Batches(config, tokenizer, random.Random(config["seed"] + (state["step"] if state else 0)))
    held = held_out(batches)
    model = build(config, state["layers"] if state else config["first_layers"], vocabulary, batches.mark)
    chooser = torch.nn.Linear(config["hidden_size"], len(batches.number), bias=False)
    optimizer = optimizer_of(model, chooser, config)
    step, before, curve, seen = 0, 0.0, [], 0
    if arguments.start and not state:
        first = torch.load(arguments.start / "checkpoint.pt", weights_only=False)
        model.load_state_dict(first["model"])
        if "chooser" in first:
            chooser.load_state_dict(first["chooser"])
    if state:
        model.load_state_dict(state["model"])
        chooser.load_state_dict(state["chooser"])
        optimizer.load_state_dict(state["optimizer"])
        step, before, curve, seen = state["step"], state["seconds"], state["curve"], state["tokens"]

    questions, lower = Questions(batches, config["batch_questions"]), lower_part(model)
    start, end = time.time(), end_time(arguments.until)
    whole = before + end - start
    smoothed, last_save, last_measure = None, start, start
    while (progress := (before + time.time() - start) / whole) < 1:
        if len(model.model.layers) < config["layers"] and progress >= config["grow_at"]:
            grown, names = grow(model, config, vocabulary, batches.mark)
            kept = {names[name]: optimizer.state[p] for name, p in model.named_parameters()}
            kept_choice = optimizer.state[chooser.weight]
            model, optimizer = grown, optimizer_of(grown, chooser, config)
            optimizer.state[chooser.weight] = kept_choice
            lower = lower_part(model)
            for name, p in model.named_parameters():
                if name in kept:
                    optimizer.state[p] = copy.copy(kept[name])
        rate = config["learning_rate"] * min(1, (step + 1) / config["warmup_steps"]) * (1 + math.cos(math.pi * progress)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        # Saying an answer costs five times as much as choosing one, and is learned sooner.
        if step % config["answers_every"] == 0:
            batch = batches.next()
            loss, choice = losses(model, chooser, batch)
            (loss + config["choice_weight"] * choice).backward()
            seen += batch[0].numel()
        asked = questions.next()
        alone = question_loss(lower, chooser, asked)
        alone.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config["clip_norm"])
        optimizer.step()
        step, seen = step + 1, seen + asked[0].numel()
        new = torch.tensor([loss.item(), alone.item()])
        smoothed = new if smoothed is None else torch.lerp(smoothed, new, 0.03)
        now = time.time()
        if now - last_measure > config["measure_seconds"] or step % 25 == 0:
            entry = {"step": step, "seconds": round(before + now - start), "tokens": seen, "layers": len(model.model.layers),
                     "rate": round(rate, 6), "loss": round(smoothed[0].item(), 4), "choice": round(smoothed[1].item(), 4)}
            if now - last_measure > config["measure_seconds"]:
                entry |= measure(model, batches, held)
                last_measure = now
            curve.append(entry)
            print(json.dumps(entry), flush=True)
            (out / "curve.json").write_text(json.dumps(curve, indent=0) + "\n", encoding="utf-8")
        if now - last_save > 240:
            torch.save({"model": model.state_dict(), "chooser": chooser.state_dict(), "optimizer": optimizer.state_dict(), "layers": len(model.model.layers),
                        "step": step, "seconds": before + now - start, "tokens": seen, "curve": curve}, out / "partial.pt")
            (out / "partial.pt").replace(checkpoint)
            last_save = now

    final = {"step": step, "seconds": round(whole), "tokens": seen, **measure(model, batches, held)}
    curve.append(final)
    print(json.dumps(final), flush=True)
    (out / "curve.json").write_text(json.dumps(curve, indent=0) + "\n", encoding="utf-8")
    model.to(torch.float16).save_pretrained(out / "model")


if __name__ == "__main__":
    main()
