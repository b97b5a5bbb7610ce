"""Trains lutra-tones' text encoder, number conditioners and diffusion transformer (v objective); resumes from its checkpoint.

    PYTHONPATH=reference/train .venv/bin/python -m tones.train_transformer --work DIR --minutes 14

Needs the autoencoder that train_autoencoder left in DIR/lutra-tones/vae. First its latents are scaled to mean 0 and
deviation 1 per channel, by changing its outermost convolutions; then a pool of sounds is rendered and encoded; then the
transformer learns. Sounds of nearly one length make a batch, cut to that length, as Lutra makes them. DIR/lutra-tones is a
whole diffusers folder at the end, in f16.
"""

from __future__ import annotations

import itertools
import json
import math
import random

import torch
from diffusers import AutoencoderOobleck, StableAudioDiTModel, StableAudioProjectionModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from transformers import T5Config, T5EncoderModel

from .common import CONFIG, Average, Keeper, Schedule, arguments
from .prompts import prompt_of
from .sounds import RATE, Renderer, random_sound
from .tokenizer import make_tokenizer, write_tokenizer

SETTINGS, TEXT = CONFIG["train_transformer"], CONFIG["text_encoder"]
HOP = math.prod(CONFIG["autoencoder"]["downsampling_ratios"])
FRAMES, BUCKET = CONFIG["sample_frames"], 8
LATENTS = CONFIG["autoencoder"]["decoder_input_channels"]


class Sounds(torch.nn.Module):
    """Everything between a prompt and a velocity, in the original classes."""

    def __init__(self) -> None:
        super().__init__()
        width = TEXT["d_model"]
        shape = CONFIG["transformer"]
        self.text_encoder = T5EncoderModel(T5Config(
            vocab_size=TEXT["vocab_size"], layer_norm_epsilon=1e-6, dropout_rate=0.0, pad_token_id=0, eos_token_id=1,
            **{key: value for key, value in TEXT.items() if key not in ("prompt_tokens", "vocab_size")},
        ))
        self.projection_model = StableAudioProjectionModel(text_encoder_dim=width, conditioning_dim=width, **CONFIG["seconds"])
        self.transformer = StableAudioDiTModel(
            sample_size=FRAMES, in_channels=LATENTS, out_channels=LATENTS, cross_attention_dim=shape["num_key_value_attention_heads"] * 64,
            cross_attention_input_dim=width, global_states_input_dim=2 * width, **shape,
        )

    def forward(self, x, t, ids, mask, seconds, has_prompt):
        """x (n, channels, frames), t (n), ids and mask (n, tokens), seconds (n), has_prompt (n) -> velocity like x."""
        text = self.text_encoder(ids, attention_mask=mask).last_hidden_state * mask[..., None]
        numbers = self.projection_model(text, torch.zeros_like(seconds)[:, None], seconds[:, None])
        start, end = numbers.seconds_start_hidden_states, numbers.seconds_end_hidden_states
        cross = torch.cat([numbers.text_hidden_states, start, end], 1) * has_prompt[:, None, None]
        rotary = get_1d_rotary_pos_embed(CONFIG["transformer"]["attention_head_dim"] // 2, x.shape[2] + 1, use_real=True, repeat_interleave_real=False)
        rotary = tuple(part.to(x.device) for part in rotary)
        return self.transformer(x, t, cross, torch.cat([start, end], 2), rotary, return_dict=False)[0]


def dense(convolution: torch.nn.Module) -> torch.Tensor:
    """Of a convolution with old-style weight norm."""
    v, g = convolution.weight_v, convolution.weight_g
    return g * v / v.flatten(1).norm(dim=1)[:, None, None]


@torch.no_grad()
def unit_latents(coder: AutoencoderOobleck, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Changes the coder so that encoded means have mean 0 and deviation 1, and decoding undoes it."""
    last, first, n = coder.encoder.conv2, coder.decoder.conv1, len(mean)
    last.weight_g[:n] /= deviation[:, None, None]
    last.bias[:n] = (last.bias[:n] - mean) / deviation
    weight = dense(first)
    # At the borders zeros are padded to the latents, which now stand for the mean instead of 0: a difference of no consequence.
    first.bias += (weight * mean[None, :, None]).sum((1, 2))
    weight = weight * deviation[None, :, None]
    first.weight_v.copy_(weight)
    first.weight_g.copy_(weight.flatten(1).norm(dim=1)[:, None, None])


@torch.no_grad()
def encode(coder: AutoencoderOobleck, renderer: Renderer, sounds: list, batch: int = 16) -> torch.Tensor:
    """(n, channels, frames), f16."""
    parts = [coder.encode(renderer(sounds[at : at + batch])).latent_dist.mode().half() for at in range(0, len(sounds), batch)]
    return torch.cat(parts)


class Pool:
    """Encoded sounds with several wordings each, in buckets of nearly one length."""

    def __init__(self, coder: AutoencoderOobleck, tokenizer, device: str, size: int, seed: int, held_out: bool = False):
        rng = random.Random(seed)
        longest = FRAMES * HOP / RATE
        sounds = [random_sound(rng, longest) for _ in range(size)]
        self.latents = encode(coder, Renderer(FRAMES * HOP, device), sounds)
        tokenizer.enable_padding(length=TEXT["prompt_tokens"])
        tokenizer.enable_truncation(TEXT["prompt_tokens"])
        wordings = 1 if held_out else 4
        encodings = tokenizer.encode_batch([prompt_of(sound, rng, held_out) for sound in sounds for _ in range(wordings)])
        shape = (size, wordings, TEXT["prompt_tokens"])
        self.ids = torch.tensor([e.ids for e in encodings], device=device).reshape(shape)
        self.mask = torch.tensor([e.attention_mask for e in encodings], device=device).reshape(shape)
        self.seconds = torch.tensor([sound.seconds for sound in sounds], device=device)
        self.buckets: dict[int, torch.Tensor] = {}
        frames = torch.ceil(self.seconds * RATE / HOP / BUCKET).long().clamp(max=FRAMES // BUCKET) * BUCKET
        for length in frames.unique().tolist():
            self.buckets[length] = (frames == length).nonzero()[:, 0]
        self.rng, self.device = rng, device

    def batch(self, size: int) -> tuple[torch.Tensor, ...]:
        lengths = list(self.buckets)
        length = self.rng.choices(lengths, [len(self.buckets[key]) for key in lengths])[0]
        rows = self.buckets[length][torch.randint(len(self.buckets[length]), (size,), device=self.device)]
        wording = torch.randint(self.ids.shape[1], (size,), device=self.device)
        cut = FRAMES if self.rng.random() < 0.15 else length
        return self.latents[rows, :, :cut].float(), self.ids[rows, wording], self.mask[rows, wording], self.seconds[rows]


def loss_of(model: Sounds, batch: tuple[torch.Tensor, ...], t: torch.Tensor, has_prompt: torch.Tensor) -> torch.Tensor:
    x, ids, mask, seconds = batch
    noise = torch.randn_like(x)
    alpha, sigma = torch.cos(t * torch.pi / 2)[:, None, None], torch.sin(t * torch.pi / 2)[:, None, None]
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.device.type == "cuda"):
        v = model(alpha * x + sigma * noise, t, ids, mask, seconds, has_prompt)
    return (v.float() - (alpha * noise - sigma * x)).square().mean()


def write(model: Sounds, coder: AutoencoderOobleck, tokenizer, folder) -> None:
    """A diffusers folder, f16."""
    for name, part in (("vae", coder), ("text_encoder", model.text_encoder), ("projection_model", model.projection_model), ("transformer", model.transformer)):
        part.half().save_pretrained(folder / name)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({
        "_class_name": "CosineDPMSolverMultistepScheduler", "prediction_type": "v_prediction", "sigma_data": 1.0, "sigma_max": 500,
        "sigma_min": 0.3, "sigma_schedule": "exponential", "solver_order": 2, "solver_type": "midpoint", "final_sigmas_type": "zero",
    }, indent=2) + "\n")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    write_tokenizer(tokenizer, folder / "tokenizer")
    parts = {
        "projection_model": ["stable_audio", "StableAudioProjectionModel"], "scheduler": ["diffusers", "CosineDPMSolverMultistepScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"], "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "StableAudioDiTModel"], "vae": ["diffusers", "AutoencoderOobleck"],
    }
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableAudioPipeline", **parts}, indent=2) + "\n")


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    device, folder = options.device, options.work / "lutra-tones"
    torch.manual_seed(CONFIG["seed"])
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    coder = AutoencoderOobleck.from_pretrained((options.start or folder) / "vae", torch_dtype=torch.float32).to(device).eval()
    tokenizer = make_tokenizer()
    size = SETTINGS["pool_sounds"]
    model, keeper = Sounds().to(device), Keeper(options.work, "transformer")
    saved = keeper.load(device)
    if saved is not None:
        coder.load_state_dict(saved["coder"])
    elif options.start:
        for name in ("text_encoder", "projection_model", "transformer"):
            part = getattr(model, name)
            part.load_state_dict(type(part).from_pretrained(options.start / name, torch_dtype=torch.float32).state_dict())
    else:
        some = encode(coder, Renderer(FRAMES * HOP, device), [random_sound(random.Random(at), FRAMES * HOP / RATE) for at in range(min(size, 2048))])
        some = some.float().transpose(0, 1).flatten(1)
        unit_latents(coder, some.mean(1), some.std(1).clamp(min=1e-3))
    pool = Pool(coder, tokenizer, device, size, CONFIG["seed"] + 1)
    held_out = Pool(coder, tokenizer, device, min(size, 1024), CONFIG["seed"] + 2, held_out=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS["learning_rate"], betas=(0.9, 0.95), weight_decay=0.01)
    average, first, spent = Average([model], SETTINGS["ema"]), 0, 0.0
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average.values, average.steps, first, spent = saved["average"], saved["steps"], saved["steps"], saved["spent"]
    schedule = Schedule(options.minutes, spent)
    for step in itertools.count(first):
        factor = schedule.factor()
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS["learning_rate"] * factor
        n = SETTINGS["batch"]
        # Logistic-normal times: most of what is heard is settled at middling noise; a fifth is uniform so that no time is forgotten.
        t = torch.where(torch.rand(n, device=device) < 0.2, torch.rand(n, device=device), torch.sigmoid(torch.randn(n, device=device) * 1.1 + 0.3))
        has_prompt = (torch.rand(n, device=device) >= SETTINGS["no_prompt_share"]).float()
        loss = loss_of(model, pool.batch(n), t, has_prompt)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update()
        ends = schedule.tick() >= 1
        if step % 200 == 0 or ends:
            average.swap()
            with torch.no_grad():
                grid = torch.linspace(0.02, 0.98, n, device=device)
                figure = loss_of(model, held_out.batch(n), grid, torch.ones(n, device=device)).item()
            average.swap()
            keeper.note(step=step, minutes=schedule.spent / 60, loss=loss.item(), held_out=figure)
        if ends or keeper.is_due():
            keeper.save({
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.values, "coder": coder.state_dict(),
                "steps": step + 1, "spent": schedule.spent,
            })
        if ends:
            break
    average.swap()
    write(model, coder, tokenizer, folder)


if __name__ == "__main__":
    main()
