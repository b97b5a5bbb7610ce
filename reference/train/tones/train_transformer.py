"""Trains lutra-tones' text encoder, number conditioner and diffusion transformer (rectified flow); resumes from its checkpoint.

    PYTHONPATH=reference/train .venv/bin/python -m tones.train_transformer --work DIR --minutes 60

Needs the autoencoder that train_autoencoder leaves in DIR/coder.pt before its first step, and waits for it; train.py runs both.
Sounds are rendered and encoded all the while (pool.py), takes of held-out prompts are judged now and then (judge.py). The finished
model is DIR/lutra-tones, with the autoencoder's newest decoder, written now and then and at the end (export.py); noise_path.py
makes of it what is shipped.

Seen on the card (an H100 that three trainings shared): Muon's products in bfloat16 once ended in CUBLAS_STATUS_EXECUTION_FAILED
(muon.orthogonal), and ran through in float32. With sounds rendered every 40 steps rendering took up to 35 % of the time; now they
come a third as often.
"""

from __future__ import annotations

import itertools
import random
import time
import traceback

import torch
from torch import Tensor, nn

from muon import Muon

from .coder import LATENTS, Coder
from .common import BEGAN, CONFIG, Average, Keeper, Schedule, Stop, arguments
from .export import pack, write
from .judge import Judge
from .pool import SETTINGS, Batch, Feed, Pool, blank, make_chunk, padded
from .subbands import dense
from .text import TextEncoder
from .tokenizer import make_tokenizer
from .transformer import Seconds, Transformer


class Tones(nn.Module):
    """Everything between a prompt and a velocity."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.text_encoder = TextEncoder(vocabulary)
        self.seconds = Seconds()
        self.transformer = Transformer()

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, seconds: Tensor, has_prompt: Tensor, valid: Tensor | None = None) -> Tensor:
        """x (n, LATENTS, frames), t (n), ids (n, tokens) with 0 behind their end, seconds (n), has_prompt (n) -> velocity like x."""
        text = self.text_encoder(ids, (ids != 0).float())
        length = self.seconds(seconds)
        cross = torch.cat([text, length[:, None]], 1) * has_prompt[:, None, None]
        return self.transformer(x, t, cross, length, valid)


@torch.no_grad()
def scale_latents(coder: Coder, scale: Tensor) -> None:
    """Changes the coder so that encoded means are divided by `scale`, and decoding undoes it."""
    last, first = coder.encoder.conv2, coder.decoder.conv1
    last.weight_g[:LATENTS] /= scale[:, None, None]
    last.bias[:LATENTS] /= scale
    weight = dense(first) * scale[None, :, None]
    first.weight_v.copy_(weight)
    first.weight_g.copy_(weight.flatten(1).norm(dim=1)[:, None, None])


def loss_of(model: Tones, clean: Tensor, valid: Tensor, ids: Tensor, seconds: Tensor, t: Tensor, noise: Tensor, has_prompt: Tensor) -> Tensor:
    at = t[:, None, None]
    v = model((1 - at) * clean + at * noise, t, ids, seconds, has_prompt, valid)
    return ((v - (noise - clean)).square().mean(1) * valid).sum() / valid.sum()


class Losses:
    """The loss of a batch, compiled where there is a GPU; a compiler that fails is done without."""

    def __init__(self, model: Tones, device: str):
        self.model, self.device = model, device
        self.run = torch.compile(loss_of, dynamic=False) if device == "cuda" else loss_of

    def learn(self, batch: Batch) -> Tensor:
        """Adds to the gradients. Times are even by the logarithm of signal to noise, as sampling goes: what the prompt decides is
        settled where noise is strong."""
        n = len(batch.clean)
        t = torch.sigmoid(torch.rand(n, device=self.device) * 10 - 3)
        has_prompt = (torch.rand(n, device=self.device) >= SETTINGS["no_prompt_share"]).float()
        noise = torch.randn_like(batch.clean)
        try:
            loss = self.run(self.model, *batch, t, noise, has_prompt)
            loss.backward()
        except Exception as problem:  # whatever a compiler throws
            if self.run is loss_of:
                raise
            print(f"The compiler failed, so it goes on without: {type(problem).__name__} {str(problem)[:600]}", flush=True)
            self.run = loss_of
            return self.learn(batch)
        return loss.detach()

    @torch.no_grad()
    def held_out(self, batch: Batch) -> Tensor:
        n = len(batch.clean)
        t, told = torch.linspace(0.05, 0.95, n, device=self.device), torch.ones(n, device=self.device)
        return loss_of(self.model, *batch, t, torch.randn_like(batch.clean), told)


def newest_coder(path, coder: Coder, device: str) -> None:
    coder.load_state_dict(torch.load(path, map_location=device, weights_only=True))


def attempt(action) -> None:
    """What fails beside the training is told and does not end it."""
    try:
        action()
    except Exception:
        traceback.print_exc()


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    device, stop, sizes = options.device, Stop(), SETTINGS[options.device]
    torch.manual_seed(CONFIG["seed"])
    tokenizer, coder = padded(make_tokenizer()), Coder().to(device).eval()
    keeper, coder_path = Keeper(options.work, "transformer"), options.work / "coder.pt"
    judge = Judge(tokenizer, sizes["judged"], CONFIG["seed"] + 5, options.work / "judged.jsonl", device)
    feed = Feed(sizes["sounds_at_once"], CONFIG["seed"] + 1 + int(time.time()) * keeper.path.exists())
    model = Tones(tokenizer.get_vocab_size()).to(device)
    losses = Losses(model, device)
    if device == "cuda":  # what the compiler needs, while the autoencoder is made
        print("transformer: compiling", flush=True)
        losses.learn(blank(sizes["batch"], device))
        model.zero_grad()
    print(f"transformer: {device}, waiting for the autoencoder after {time.monotonic() - BEGAN:.0f} s", flush=True)
    while not coder_path.exists() and not stop:
        time.sleep(0.2)
    newest_coder(coder_path, coder, device)
    pool, held_out = Pool(sizes["pool_sounds"], coder, device), Pool(sizes["held_out_sounds"], coder, device)
    while pool.filled < sizes["first_sounds"]:
        pool.put(feed.next(wait=True))
    rng = random.Random(CONFIG["seed"] + 3)
    while held_out.filled < sizes["held_out_sounds"]:
        held_out.put(make_chunk(rng, tokenizer, sizes["sounds_at_once"], held_out=True))
    saved = keeper.load(device)
    if saved is None:
        pool.rescale()
    else:
        pool.sides[:, : pool.filled] /= saved["scale"][:, None].half()
        pool.scale = saved["scale"]
    held_out.sides /= pool.scale[:, None].half()
    optimizer = Muon(model, lambda name: "layers" in name, SETTINGS["muon_rate"], SETTINGS["learning_rate"], decay=0.01)
    average, first, spent = Average([model], SETTINGS["ema"]), 0, 0.0
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average.values, average.steps, first, spent = saved["average"], saved["steps"], saved["steps"], saved["spent"]
    schedule, judged_at = Schedule(options.minutes, device, spent), time.monotonic()
    mean, waited, noted_step, noted_at = torch.zeros((), device=device), 0.0, first, time.monotonic()
    print(f"transformer: {sum(p.numel() for p in model.parameters())} parameters, {pool.filled} sounds, begins after {schedule.tick() * schedule.total:.0f} s", flush=True)

    def deliver() -> None:
        """With the mean of the weights; call between two swaps."""
        newest_coder(coder_path, coder, device)
        finished = Coder().to(device)
        finished.load_state_dict(coder.state_dict())
        scale_latents(finished, pool.scale)
        write(model, finished, tokenizer, options.work / "lutra-tones")
        keeper.write_curve()
        pack([options.work / "lutra-tones", *options.work.glob("*.json*")], options.out / "lutra-tones.tar")

    for step in itertools.count(first):
        if step % SETTINGS["steps_between_sounds"] == 0 and step > first:
            before = time.monotonic()
            chunk = feed.next(wait=False)
            if chunk is not None:
                pool.put(chunk)
            waited += time.monotonic() - before
        loss = losses.learn(pool.batch(sizes["batch"]))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(schedule.factor((step + 1) / SETTINGS["warm_up_steps"]))
        optimizer.zero_grad()
        average.update()
        mean.lerp_(loss, 0.02 if step > first else 1.0)
        ends = stop or schedule.spent >= schedule.total
        if step - first + 1 in (1, 10, 100):
            print(f"transformer: after {step - first + 1} steps {schedule.spent:.1f} s, loss {loss.item():.4f}", flush=True)
        if ends or keeper.is_worth_a_note():
            average.swap()
            figure = losses.held_out(held_out.batch(min(256, held_out.filled))).item()
            average.swap()
            seconds, made = time.monotonic() - noted_at, step + 1 - noted_step
            keeper.note(step=step, minutes=schedule.spent / 60, loss=mean.item(), held_out=figure, takes_a_second=made * sizes["batch"] / max(seconds, 1e-3),
                        rendering=waited / max(seconds, 1e-3), sounds=pool.seen)
            waited, noted_step, noted_at = 0.0, step + 1, time.monotonic()
        if ends or keeper.is_due():
            average.swap()
            attempt(deliver)
            average.swap()
            keeper.save({
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.values, "scale": pool.scale,
                "steps": step + 1, "spent": schedule.spent,
            })
        if ends or time.monotonic() - judged_at > sizes["seconds_between_judgements"]:
            average.swap()
            label = f"step {step} at {schedule.tick() * schedule.total:.0f} s"
            for guidance in (1.0, CONFIG["defaults"]["guidance"]):
                attempt(lambda: judge.ask(label, model, coder, pool.scale, guidance))
            average.swap()
            judged_at = time.monotonic()
        if ends:
            break
    feed.close()
    print(f"transformer: finished, {options.out}", flush=True)
    judge.close(20 if device == "cuda" else 200)


if __name__ == "__main__":
    main()
