"""Trains lutra-tones' Oobleck autoencoder on rendered sounds; resumes from its checkpoint.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 diffusers==0.42.1 transformers safetensors numpy scipy tokenizers
    PYTHONPATH=reference/train .venv/bin/python -m tones.train_autoencoder --work DIR --minutes 12

Loss: spectra of several window lengths, of left, right, their sum and difference (magnitudes and their logarithms), the
samples themselves, and the usual Kullback-Leibler term. Every hundred steps it tells the loss on sounds kept apart.
"""

from __future__ import annotations

import itertools
import random

import torch
from diffusers import AutoencoderOobleck

from .common import CONFIG, Average, Keeper, Schedule, arguments
from .sounds import RATE, Renderer, random_sound

SETTINGS = CONFIG["train_autoencoder"]


def views(audio: torch.Tensor) -> torch.Tensor:
    """(n, 2, samples) -> (4 n, samples): left, right, middle, side."""
    left, right = audio[:, 0], audio[:, 1]
    return torch.cat([left, right, (left + right) / 2, (left - right) / 2])


def spectral_distance(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean over window lengths of |A - B| / |B| (Frobenius) and the mean difference of log magnitudes."""
    total = made.new_zeros(())
    a, b = views(made.float()), views(wanted.float())
    for size in SETTINGS["stft_windows"]:
        window = torch.hann_window(size, device=made.device)
        spectra = [torch.stft(x, size, size // 4, window=window, return_complex=True).abs() for x in (a, b)]
        difference = torch.linalg.vector_norm(spectra[0] - spectra[1]) / torch.linalg.vector_norm(spectra[1]).clamp(min=1e-4)
        logs = [torch.log(x * (256 / size) ** 0.5 + 1e-3) for x in spectra]
        total = total + difference + (logs[0] - logs[1]).abs().mean()
    return total / len(SETTINGS["stft_windows"])


def signal_to_distortion(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Scale-invariant, dB, of each sound."""
    a, b = made.flatten(1).float(), wanted.flatten(1).float()
    target = (a * b).sum(1, keepdim=True) / (b * b).sum(1, keepdim=True).clamp(min=1e-8) * b
    return 10 * torch.log10(target.square().sum(1).clamp(min=1e-8) / (a - target).square().sum(1).clamp(min=1e-8))


class Crops:
    """Random pieces of rendered sounds; a batch of whole sounds serves several times."""

    def __init__(self, device: str, seed: int, uses: int = 6):
        self.samples = CONFIG["sample_frames"] * 1024
        self.renderer, self.rng, self.uses = Renderer(self.samples, device), random.Random(seed), uses
        self.length = SETTINGS["crop_frames"] * 1024
        self.pieces: list[torch.Tensor] = []

    def next(self, batch: int) -> torch.Tensor:
        while len(self.pieces) < batch:
            sounds = [random_sound(self.rng, self.samples / RATE) for _ in range(max(8, batch * 4 // self.uses))]
            for sound, audio in zip(sounds, self.renderer(sounds)):
                last = max(0, min(self.samples, int(sound.seconds * RATE)) - self.length // 2)
                self.pieces += [audio[:, s : s + self.length] for s in (self.rng.randint(0, min(last, self.samples - self.length)) for _ in range(self.uses))]
            self.rng.shuffle(self.pieces)
        taken, self.pieces = self.pieces[:batch], self.pieces[batch:]
        return torch.stack(taken)


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    torch.manual_seed(CONFIG["seed"])
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    model = AutoencoderOobleck(**CONFIG["autoencoder"])
    if options.start:
        model = AutoencoderOobleck.from_pretrained(options.start / "vae", torch_dtype=torch.float32)
    model.to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS["learning_rate"], betas=(0.8, 0.99), weight_decay=1e-3)
    average, keeper, first, spent = Average([model], SETTINGS["ema"]), Keeper(options.work, "autoencoder"), 0, 0.0
    if (saved := keeper.load(options.device)) is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average.values, average.steps = saved["average"], saved["steps"]
        first, spent = saved["steps"], saved["spent"]
    crops = Crops(options.device, CONFIG["seed"] + first)
    held_out = Crops(options.device, CONFIG["seed"] - 1, uses=1).next(16)
    schedule = Schedule(options.minutes, spent)
    for step in itertools.count(first):
        factor = schedule.factor()
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS["learning_rate"] * factor
        audio = crops.next(SETTINGS["batch"])
        latents = model.encode(audio).latent_dist
        made = model.decode(latents.sample()).sample
        loss = (
            spectral_distance(made, audio)
            + SETTINGS["waveform_weight"] * (made - audio).abs().mean()
            + SETTINGS["kl_weight"] * latents.kl().mean()
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update()
        ends = schedule.tick() >= 1
        if step % 100 == 0 or ends:
            average.swap()
            with torch.no_grad():
                again = model.decode(model.encode(held_out).latent_dist.mode()).sample
                keeper.note(
                    step=step, minutes=schedule.spent / 60, loss=loss.item(), held_out=spectral_distance(again, held_out).item(),
                    si_sdr=signal_to_distortion(again, held_out).median().item(), kl=latents.kl().mean().item(),
                )
            average.swap()
        if ends or keeper.is_due():
            keeper.save({
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.values,
                "steps": step + 1, "spent": schedule.spent,
            })
        if ends:
            break
    average.swap()
    model.half().save_pretrained(options.work / "lutra-tones" / "vae")


if __name__ == "__main__":
    main()
