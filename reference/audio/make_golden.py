"""Makes tests/golden/audio: tiny random Stable Audio models in the layouts that people publish, with inputs and what
the original libraries make of them.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers diffusers==0.42.1 safetensors numpy
    .venv/bin/pip install einops einops-exts torchsde alias-free-torch torchdiffeq
    .venv/bin/pip install --no-deps stable-audio-tools==0.0.19 k-diffusion==0.1.1.post1
    .venv/bin/python reference/audio/make_golden.py

`open-diffusers`: diffusers' StableAudioDiTModel, AutoencoderOobleck and StableAudioProjectionModel, transformers' T5;
`open-single`: the same weights as stable-audio-tools' one file, its DiT checked to be the same function;
`small-single`: stable-audio-tools' DiT for rectified flow, stored in f16, outputs in f32 from the rounded weights.

Samplers: k-diffusion's dpmpp_3m_sde and dpmpp_2m_sde and stable-audio-tools' own for the rest, with the recorded noise
of each step instead of a random one. Starts: sigmas[0] * latents for the first two, sqrt(sigmas[0]^2 + 1) * latents
for diffusers' cosine solver, latents for the others.
"""

import importlib
import json
import math
import shutil
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from diffusers import AutoencoderOobleck, CosineDPMSolverMultistepScheduler, StableAudioDiTModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import T5Config, T5EncoderModel

# What stable-audio-tools imports for training and never calls here.
for unused in ("torchaudio", "torchaudio.transforms", "skimage", "skimage.transform", "clip", "dctorch",
               "dctorch.functional", "torchvision", "torchvision.transforms", "torchvision.transforms.functional",
               "kornia", "kornia.augmentation", "cleanfid", "cleanfid.inception_torchscript", "accelerate", "resize_right", "jsonmerge", "wandb"):
    try:
        importlib.import_module(unused)
    except ImportError:
        sys.modules[unused] = MagicMock()
from k_diffusion import external, sampling as k_sampling  # noqa: E402
from stable_audio_tools.inference import sampling  # noqa: E402
from stable_audio_tools.models.dit import DiffusionTransformer  # noqa: E402

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "audio"
WINDOW, FRAMES, PROMPT = 64, 40, 16
VAE = dict(encoder_hidden_size=16, downsampling_ratios=[2, 4, 4], channel_multiples=[1, 2, 4], decoder_channels=8,
           decoder_input_channels=8, audio_channels=2, sampling_rate=44100)
HOP = 32
torch.set_num_threads(1)


def randomize(module: torch.nn.Module, gain: float) -> None:
    """Nothing at its initial value: ones and zeros would hide a mistake."""
    for name, parameter in module.named_parameters():
        scale = gain / math.sqrt(max(1, parameter[0].numel())) if parameter.dim() > 1 else 0.2
        values = torch.randn_like(parameter) * scale
        if name.endswith(("gamma", "norm.weight", "norm1.weight", "norm2.weight", "norm3.weight", "norm_q.weight",
                          "norm_k.weight")) or "layer_norm" in name:
            values += 1
        if name.endswith("weight_g"):
            values = (0.6 + 0.3 * torch.rand_like(parameter)) * gain
        parameter.data = values


def make_tokenizer(folder: Path) -> None:
    words = ["▁a", "▁the", "▁dog", "▁bell", "▁rain", "▁slow", "▁drum", "▁of", "ing", "s"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)] + [(word, -3.0 - 0.1 * i) for i, word in enumerate(words)]
    pieces += [(one, -6.0) for one in "▁abcdefghijklmnopqrstuvwxyz.,"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "T5Tokenizer", "model_max_length": PROMPT, "pad_token": "<pad>", "eos_token": "</s>",
        "unk_token": "<unk>",
    })


def write_json(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


def make_t5() -> T5EncoderModel:
    config = T5Config(vocab_size=64, d_model=64, d_kv=8, d_ff=48, num_layers=2, num_heads=4, feed_forward_proj="relu")
    model = T5EncoderModel(config).float().eval()
    randomize(model, 1.0)
    model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data *= 4
    return model


def save_t5(model: T5EncoderModel, folder: Path) -> None:
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != "encoder.embed_tokens.weight"}
    save(tensors, folder / "model.safetensors")
    config = json.loads(model.config.to_json_string(use_diff=False))
    write_json(folder / "config.json", {key: value for key, value in config.items() if value is not None})


def single_vae(vae: AutoencoderOobleck) -> dict[str, torch.Tensor]:
    """diffusers' autoencoder by stable-audio-tools' names."""
    n = len(VAE["downsampling_ratios"])
    inner = {"snake1": "0", "conv1": "1", "snake2": "2", "conv2": "3"}
    result = {}
    for name, tensor in vae.state_dict().items():
        half, part, *rest = name.split(".")
        if part == "block":
            index, module, *rest = rest
            place = {"decoder": {"snake1": "0", "conv_t1": "1", "res_unit1": "2", "res_unit2": "3", "res_unit3": "4"},
                     "encoder": {"res_unit1": "0", "res_unit2": "1", "res_unit3": "2", "snake1": "3", "conv1": "4"}}
            own = f"layers.{int(index) + 1}.layers.{place[half][module]}"
            if module.startswith("res_unit"):
                own += f".layers.{inner[rest[0]]}"
                rest = rest[1:]
        else:
            own = "layers." + {"conv1": "0", "snake1": str(n + 1), "conv2": str(n + 2)}[part]
        key = f"pretransform.model.{half}.{own}.{rest[-1]}"
        result[key] = tensor.reshape(-1) if rest[-1] in ("alpha", "beta") else tensor
    return result


def single_dit(dit: StableAudioDiTModel) -> dict[str, torch.Tensor]:
    """diffusers' transformer by stable-audio-tools' names."""
    old = dit.state_dict()
    new = {"timestep_features.weight": old["time_proj.weight"].reshape(-1, 1)}
    for ours, theirs in (("timestep_proj", "to_timestep_embed"), ("global_proj", "to_global_embed"),
                         ("cross_attention_proj", "to_cond_embed"), ("proj_in", "transformer.project_in"),
                         ("proj_out", "transformer.project_out"), ("preprocess_conv", "preprocess_conv"),
                         ("postprocess_conv", "postprocess_conv")):
        new |= {theirs + name.removeprefix(ours): value for name, value in old.items() if name.startswith(ours + ".")}
    for i in range(dit.config.num_layers):
        a, b = f"transformer_blocks.{i}.", f"transformer.layers.{i}."
        for ours, theirs in (("norm1", "pre_norm"), ("norm2", "cross_attend_norm"), ("norm3", "ff_norm")):
            new[f"{b}{theirs}.gamma"] = old[f"{a}{ours}.weight"]
            new[f"{b}{theirs}.beta"] = old[f"{a}{ours}.bias"]
        new[f"{b}self_attn.to_qkv.weight"] = torch.cat([old[f"{a}attn1.to_{x}.weight"] for x in "qkv"])
        new[f"{b}self_attn.to_out.weight"] = old[f"{a}attn1.to_out.0.weight"]
        new[f"{b}cross_attn.to_q.weight"] = old[f"{a}attn2.to_q.weight"]
        new[f"{b}cross_attn.to_kv.weight"] = torch.cat([old[f"{a}attn2.to_{x}.weight"] for x in "kv"])
        new[f"{b}cross_attn.to_out.weight"] = old[f"{a}attn2.to_out.0.weight"]
        for x in ("0.proj", "2"):
            new[f"{b}ff.ff.{x}.weight"] = old[f"{a}ff.net.{x}.weight"]
            new[f"{b}ff.ff.{x}.bias"] = old[f"{a}ff.net.{x}.bias"]
    return new


def single_config(dit: dict, conditioners: list[str], extra: dict) -> dict:
    side = {"c_mults": [1, 2, 4], "strides": VAE["downsampling_ratios"], "use_snake": True}
    numbers = [{"id": name, "type": "number", "config": {"min_val": 0, "max_val": 512 if len(conditioners) > 1 else 256}}
               for name in conditioners]
    return {
        "model_type": "diffusion_cond", "sample_size": WINDOW * HOP, "sample_rate": 44100, "audio_channels": 2,
        "model": {
            "pretransform": {"type": "autoencoder", "iterate_batch": True, "config": {
                "encoder": {"type": "oobleck", "config": {"in_channels": 2, "channels": 16, "latent_dim": 16, **side}},
                "decoder": {"type": "oobleck", "config": {"out_channels": 2, "channels": 8, "latent_dim": 8, "final_tanh": False, **side}},
                "bottleneck": {"type": "vae"}, "latent_dim": 8, "downsampling_ratio": HOP, "io_channels": 2}},
            "conditioning": {"cond_dim": 64, "configs": [
                {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": PROMPT}}, *numbers]},
            "diffusion": {"cross_attention_cond_ids": ["prompt", *conditioners], "global_cond_ids": conditioners,
                          "type": "dit", **extra, "config": dit},
            "io_channels": 8,
        },
    }


def number_names(projection: StableAudioProjectionModel, which: dict[str, str]) -> dict[str, torch.Tensor]:
    state = projection.state_dict()
    return {
        f"conditioner.conditioners.{name}.embedder.embedding.{part}": state[f"{side}_number_conditioner.time_positional_embedding.{part}"]
        for name, side in which.items() for part in ("0.weights", "1.weight", "1.bias")
    }


class Recorded:
    """A noise sampler that hands out what was recorded, one after the other."""

    def __init__(self, noise: torch.Tensor):
        self.noise, self.at = noise, 0

    def __call__(self, *_: object) -> torch.Tensor:
        self.at += 1
        return self.noise[self.at - 1]


def make_inputs(generator: torch.Generator, sigmas: torch.Tensor, numbers: dict[str, float]) -> dict[str, torch.Tensor]:
    ids = torch.zeros(1, PROMPT, dtype=torch.int32)
    ids[0, :9] = torch.tensor([5, 9, 12, 20, 33, 7, 14, 25, 1])
    return {
        "input_ids": ids, "attention_mask": (torch.arange(PROMPT)[None] < 9).to(torch.int32),
        **{name: torch.tensor([value]) for name, value in numbers.items()},
        "latents": torch.randn(1, 8, FRAMES, generator=generator), "timestep": torch.tensor([0.37]), "sigmas": sigmas,
        "step_noise": torch.randn(len(sigmas) - 1, 1, 8, FRAMES, generator=generator),
        "audio": torch.randn(1, 2, 20 * HOP, generator=generator) * 0.3,
    }


def write_arrays(folder: Path, inputs: dict, expected: dict) -> None:
    for name, arrays in (("inputs", inputs), ("expected", expected)):
        values = {key: np.asarray(value.detach().numpy()) for key, value in arrays.items()}
        for key, value in values.items():
            assert np.isfinite(value).all(), key
            print(f"{folder.name} {name}.{key}: {value.shape} rms {np.sqrt((value.astype(np.float64) ** 2).mean()):.3f}")
        np.savez_compressed(folder / f"{name}.npz", **values)


def autoencoder_stages(vae: AutoencoderOobleck, inputs: dict) -> dict:
    encoded = vae.encode(inputs["audio"]).latent_dist
    return {"decoded_audio": vae.decode(inputs["latents"]).sample, "encoded_mean": encoded.mean, "encoded_std": encoded.std}


def guided(model, cross: torch.Tensor, scale: float):
    def velocity(x, t):
        there, nothing = model(x, t, cross), model(x, t, torch.zeros_like(cross))
        return nothing + scale * (there - nothing)
    return velocity


def make_open(t5: T5EncoderModel) -> None:
    generator = torch.Generator().manual_seed(3)
    dit = StableAudioDiTModel(
        sample_size=WINDOW, in_channels=8, num_layers=2, attention_head_dim=64, num_attention_heads=2,
        num_key_value_attention_heads=1, out_channels=8, cross_attention_dim=64, time_proj_dim=256,
        global_states_input_dim=128, cross_attention_input_dim=64).float().eval()
    randomize(dit, 1.0)
    vae = AutoencoderOobleck(**VAE).float().eval()
    randomize(vae, 1.2)
    projection = StableAudioProjectionModel(text_encoder_dim=64, conditioning_dim=64, min_value=0, max_value=512).eval()
    randomize(projection, 1.0)

    folder = TARGET / "open-diffusers"
    save_t5(t5, folder / "text_encoder")
    make_tokenizer(folder / "tokenizer")
    for part, module in (("transformer", dit), ("vae", vae), ("projection_model", projection)):
        save(module.state_dict(), folder / part / "diffusion_pytorch_model.safetensors")
        write_json(folder / part / "config.json", {"_class_name": type(module).__name__, **{
            key: value for key, value in module.config.items() if not key.startswith("_")}})
    scheduler = CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500, sigma_data=1.0,
                                                  sigma_schedule="exponential", prediction_type="v_prediction")
    write_json(folder / "scheduler" / "scheduler_config.json", {
        "_class_name": type(scheduler).__name__, **{k: v for k, v in scheduler.config.items() if not k.startswith("_")}})
    write_json(folder / "model_index.json", {
        "_class_name": "StableAudioPipeline", "projection_model": ["stable_audio", "StableAudioProjectionModel"],
        "scheduler": ["diffusers", "CosineDPMSolverMultistepScheduler"], "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"], "transformer": ["diffusers", "StableAudioDiTModel"],
        "vae": ["diffusers", "AutoencoderOobleck"]})

    single = TARGET / "open-single"
    save_t5(t5, single / "t5-base")
    make_tokenizer(single / "t5-base")
    names = single_dit(dit)
    numbers = {"seconds_start": "start", "seconds_total": "end"}
    save({f"model.model.{name}": value for name, value in names.items()} | single_vae(vae)
         | number_names(projection, numbers), single / "model.safetensors")
    settings = dict(io_channels=8, embed_dim=128, depth=2, num_heads=2, cond_token_dim=64, global_cond_dim=128,
                    project_cond_tokens=False, transformer_type="continuous_transformer")
    config = single_config(settings, list(numbers), {})
    write_json(single / "model_config.json", config)

    sigmas = torch.cat([k_sampling.get_sigmas_polyexponential(6, 0.3, 500.0, 1.0)])
    inputs = make_inputs(generator, sigmas, {"seconds_start": 2.0, "seconds_total": 21.5})
    text = t5(input_ids=inputs["input_ids"].long(), attention_mask=inputs["attention_mask"].long()).last_hidden_state
    text = text * inputs["attention_mask"][..., None]
    projected = projection(text_hidden_states=text, start_seconds=inputs["seconds_start"], end_seconds=inputs["seconds_total"])
    cross = torch.cat([text, projected.seconds_start_hidden_states, projected.seconds_end_hidden_states], dim=1)
    global_states = torch.cat([projected.seconds_start_hidden_states, projected.seconds_end_hidden_states], dim=2)[:, 0]

    rotary = get_1d_rotary_pos_embed(32, FRAMES + 1, use_real=True, repeat_interleave_real=False)

    def predict(x, t, states):
        return dit(x, t.reshape(-1), rotary_embedding=rotary, encoder_hidden_states=states, global_hidden_states=global_states[:, None],
                   return_dict=False)[0]

    # The single file is the same function.
    other = DiffusionTransformer(**settings).eval()
    missing = other.load_state_dict(names, strict=False)
    assert not missing.unexpected_keys, missing
    theirs = other._forward(inputs["latents"], inputs["timestep"], cross_attn_cond=cross, global_embed=global_states)
    ours = predict(inputs["latents"], inputs["timestep"], cross)
    assert (theirs - ours).abs().max() < 1e-5, (theirs - ours).abs().max()
    print("stable-audio-tools' transformer is the same function:", missing.missing_keys)

    velocity = lambda x, t: predict(x, t, cross)  # noqa: E731
    expected = {"text_states": text, "cross_states": cross, "global_states": global_states,
                "velocity": velocity(inputs["latents"], inputs["timestep"]),
                "velocity_cfg": guided(predict, cross, 5.0)(inputs["latents"], inputs["timestep"])}
    start = inputs["latents"] * sigmas[0]
    for name, sampler, model in (
        ("dpmpp-3m-sde", k_sampling.sample_dpmpp_3m_sde, velocity),
        ("dpmpp-2m-sde", k_sampling.sample_dpmpp_2m_sde, velocity),
        ("dpmpp-3m-sde_cfg", k_sampling.sample_dpmpp_3m_sde, guided(predict, cross, 5.0)),
    ):
        denoiser = external.VDenoiser(model)
        expected[f"denoised_{name}"] = sampler(denoiser, start, sigmas, noise_sampler=Recorded(inputs["step_noise"]), disable=True)
    expected["denoised_v-ddim"] = sampling.sample(velocity, inputs["latents"], 6, 0)

    scheduler.set_timesteps(6)
    assert torch.allclose(scheduler.sigmas, sigmas, rtol=1e-5), (scheduler.sigmas, sigmas)
    scheduler.noise_sampler = Recorded(inputs["step_noise"])
    x = inputs["latents"] * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        prediction = velocity(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(prediction, t, x).prev_sample
    expected["denoised_cosine-dpm"] = x
    expected |= autoencoder_stages(vae, inputs)
    write_arrays(folder, inputs, expected)
    for name in ("inputs.npz", "expected.npz"):
        shutil.copy(folder / name, single / name)


def make_small(t5: T5EncoderModel) -> None:
    generator = torch.Generator().manual_seed(4)
    settings = dict(io_channels=8, embed_dim=128, depth=2, num_heads=2, cond_token_dim=64, global_cond_dim=64,
                    transformer_type="continuous_transformer", attn_kwargs={"qk_norm": "ln"})
    dit = DiffusionTransformer(**settings, diffusion_objective="rf_denoiser").float().eval()
    randomize(dit, 1.0)
    vae = AutoencoderOobleck(**VAE).float().eval()
    randomize(vae, 1.2)
    projection = StableAudioProjectionModel(text_encoder_dim=64, conditioning_dim=64, min_value=0, max_value=256).eval()
    randomize(projection, 1.0)
    for module in (dit, vae, projection):
        for value in module.state_dict().values():
            value.copy_(value.half().float())

    folder = TARGET / "small-single"
    save_t5(t5, folder / "t5-base")
    make_tokenizer(folder / "t5-base")
    tensors = {f"model.model.{name}": value for name, value in dit.state_dict().items()}
    tensors |= single_vae(vae) | number_names(projection, {"seconds_total": "end"})
    save({name: value.half() for name, value in tensors.items()}, folder / "model.safetensors")
    write_json(folder / "model_config.json", single_config(settings, ["seconds_total"], {"diffusion_objective": "rf_denoiser"}))

    log_snr = torch.linspace(-6, 2, 5)
    times = torch.sigmoid(-log_snr)
    times[0], times[-1] = 1, 0
    inputs = make_inputs(generator, times, {"seconds_total": 7.25})
    text = t5(input_ids=inputs["input_ids"].long(), attention_mask=inputs["attention_mask"].long()).last_hidden_state
    text = text * inputs["attention_mask"][..., None]
    number = projection.end_number_conditioner(inputs["seconds_total"])
    cross = torch.cat([text, number.reshape(1, 1, -1)], dim=1)
    global_states = number.reshape(1, -1)

    def predict(x, t, states):
        return dit._forward(x, t, cross_attn_cond=states, global_embed=global_states)

    velocity = lambda x, t: predict(x, t, cross)  # noqa: E731
    expected = {"text_states": text, "cross_states": cross, "global_states": global_states,
                "velocity": velocity(inputs["latents"], inputs["timestep"]),
                "velocity_cfg": guided(predict, cross, 5.0)(inputs["latents"], inputs["timestep"])}
    for name, sampler, model in (
        ("euler", sampling.sample_discrete_euler, velocity), ("dpmpp", sampling.sample_flow_dpmpp, velocity),
        ("pingpong", sampling.sample_flow_pingpong, velocity),
        ("pingpong_cfg", sampling.sample_flow_pingpong, guided(predict, cross, 5.0)),
    ):
        recorded = Recorded(inputs["step_noise"])
        random, torch.randn_like = torch.randn_like, recorded
        expected[f"denoised_{name}"] = sampler(model, inputs["latents"], sigmas=times)
        torch.randn_like = random
    expected |= autoencoder_stages(vae, inputs)
    write_arrays(folder, inputs, expected)


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    torch.manual_seed(11)
    with torch.no_grad():
        t5 = make_t5()
        make_open(t5)
        make_small(t5)


if __name__ == "__main__":
    main()
