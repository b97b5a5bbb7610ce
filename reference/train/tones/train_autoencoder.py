"""Makes lutra-tones' Oobleck autoencoder (subbands.py) and trains its decoder on rendered sounds; resumes from its checkpoint.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 safetensors numpy scipy tokenizers
    PYTHONPATH=reference/train .venv/bin/python -m tones.train_autoencoder --work DIR --minutes 35

The encoder is done before the first step, so train_transformer may begin while this goes on; the decoder is usable too (distance
1.46, SI-SDR 5.1 dB on 24 held-out pieces). Loss: spectra of several window lengths (magnitudes and their logarithms), two lengths a
step, and the samples themselves, all relative to each sound's own level, so that soft ones count. Latents get a little noise, as
those of the transformer will have.
"""

from __future__ import annotations

import itertools
import random

import torch

from .coder import HOP, Coder
from .common import CONFIG, Average, Keeper, Schedule, Stop, arguments, store
from .sounds import RATE, Renderer, random_sound
from .subbands import Analysis, start

SETTINGS = CONFIG["train_autoencoder"]


def spectral_distance(made: torch.Tensor, wanted: torch.Tensor, windows: list[int]) -> torch.Tensor:
    """Mean over window lengths of |A - B| / |B| (Frobenius, of each channel) and of the mean difference of log magnitudes.
    made, wanted: (n, 2, samples)."""
    total = made.new_zeros(())
    a, b = made.float().flatten(0, 1), wanted.float().flatten(0, 1)
    for size in windows:
        window = torch.hann_window(size, device=made.device)
        spectra = [torch.stft(x, size, size // 4, window=window, return_complex=True).abs() * (256 / size) ** 0.5 for x in (a, b)]
        norms = [torch.linalg.vector_norm(x, dim=(1, 2)) for x in (spectra[0] - spectra[1], spectra[1])]
        logs = [torch.log(x + 0.02) for x in spectra]
        total = total + (norms[0] / (norms[1] + 0.01 * spectra[0][0].numel() ** 0.5)).mean() + (logs[0] - logs[1]).abs().mean()
    return total / len(windows)


def sample_distance(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """|a - b| / |b| of each channel, which silence does not make infinite."""
    away, size = (torch.linalg.vector_norm(x, dim=2) for x in (made - wanted, wanted))
    return (away / (size + 0.001 * wanted.shape[2] ** 0.5)).mean()


def signal_to_distortion(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Scale-invariant, dB, of each sound."""
    a, b = made.flatten(1).float(), wanted.flatten(1).float()
    target = (a * b).sum(1, keepdim=True) / (b * b).sum(1, keepdim=True).clamp(min=1e-8) * b
    return 10 * torch.log10(target.square().sum(1).clamp(min=1e-8) / (a - target).square().sum(1).clamp(min=1e-8))


class Crops:
    """Random pieces of rendered sounds, one of each from its very beginning; rendered sounds serve several times."""

    def __init__(self, frames: int, device: str, seed: int, uses: int = 6):
        self.samples, self.length = SETTINGS["sound_frames"] * HOP, frames * HOP
        self.device, self.renderer, self.rng, self.uses = device, Renderer(self.samples, device), random.Random(seed), uses
        self.pieces, self.at = torch.zeros(0, 2, self.length, device=device), 0

    def _refill(self) -> None:
        """Of silence there is little to learn."""
        sounds = [random_sound(self.rng, self.samples / RATE) for _ in range(48)]
        starts = []
        for sound in sounds:
            last = max(0, min(self.samples, int(sound.seconds * RATE)) - self.length // 2)
            starts.append([0] + [self.rng.randint(0, min(last, self.samples - self.length)) for _ in range(self.uses - 1)])
        first = torch.tensor(starts, device=self.device).flatten()
        of_sound = torch.arange(len(sounds), device=self.device).repeat_interleave(self.uses)
        windows = self.renderer(sounds).unfold(2, self.length, 1)  # a view: every start there could be
        pieces = windows[of_sound, :, first]
        is_kept = (pieces.abs().amax((1, 2)) > 0.003) | (torch.rand(len(pieces), device=self.device) < 0.1)
        pieces = pieces[is_kept]
        pieces = pieces[torch.randperm(len(pieces), device=self.device)]
        self.pieces, self.at = torch.cat([self.pieces[self.at :], pieces]), 0

    def next(self, batch: int) -> torch.Tensor:
        while len(self.pieces) - self.at < batch:
            self._refill()
        self.at += batch
        return self.pieces[self.at - batch : self.at]


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    device, stop, sizes = options.device, Stop(), SETTINGS[options.device]
    torch.manual_seed(CONFIG["seed"])
    model = Coder().to(device)
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=SETTINGS["learning_rate"], betas=(0.9, 0.99), weight_decay=1e-3, foreach=True)
    keeper, coder_path, first, spent = Keeper(options.work, "autoencoder"), options.work / "coder.pt", 0, 0.0
    if (saved := keeper.load(device)) is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, spent = saved["steps"], saved["spent"]
    else:
        start(model, SETTINGS["start_sounds"], SETTINGS["sound_frames"], CONFIG["seed"], device)
        store(model.state_dict(), coder_path)
    schedule = Schedule(options.minutes, device, spent)
    print(f"autoencoder: {sum(p.numel() for p in model.parameters())} parameters, begins after {schedule.tick() * schedule.total:.0f} s", flush=True)
    average = Average([model.decoder], SETTINGS["ema"])
    if saved is not None:
        average.values, average.steps = saved["average"], saved["steps"]
    rng, analyse = random.Random(CONFIG["seed"] + first), Analysis(model)
    crops = Crops(sizes["crop_frames"], device, CONFIG["seed"] + first)
    held_out = Crops(6, device, CONFIG["seed"] - 1, uses=2).next(24)
    for step in itertools.count(first):
        factor = schedule.factor((step + 1) / SETTINGS["warm_up_steps"])
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS["learning_rate"] * factor
        audio = crops.next(sizes["batch"])
        latents = analyse(audio)
        latents = latents + SETTINGS["noise"] * latents.std((0, 2), keepdim=True) * torch.randn_like(latents)
        made = model.decode(latents)
        loss = spectral_distance(made, audio, rng.sample(SETTINGS["stft_windows"], 2))
        loss = loss + SETTINGS["sample_weight"] * sample_distance(made, audio)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.decoder.parameters(), 1.0)
        optimizer.step()
        average.update()
        ends = stop or schedule.spent >= schedule.total
        if step == first or ends or keeper.is_worth_a_note(30):
            average.swap()
            with torch.no_grad():
                again = model.decode(analyse(held_out))
                keeper.note(
                    step=step, minutes=schedule.spent / 60, loss=loss.item(),
                    held_out=spectral_distance(again, held_out, SETTINGS["stft_windows"]).item(),
                    si_sdr=signal_to_distortion(again, held_out).median().item(),
                )
            average.swap()
        if ends or keeper.is_due(60):
            average.swap()
            store(model.state_dict(), coder_path)
            average.swap()
            keeper.save({
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.values,
                "steps": step + 1, "spent": schedule.spent,
            })
        if ends:
            break
    print("autoencoder: finished", flush=True)


if __name__ == "__main__":
    main()
