"""Makes tests/golden/audio: tiny random Stable Audio checkpoints in the published layouts, with what the original libraries give.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers diffusers==0.42.1 safetensors numpy \
        einops scipy tqdm pillow torchsde torchdiffeq sentencepiece protobuf
    .venv/bin/pip install --no-deps stable-audio-tools==0.0.19 k-diffusion==0.1.1.post1 alias-free-torch
    .venv/bin/python reference/audio/make_golden.py

Folders:
  open-diffusers  StableAudioPipeline's layout; v objective, grouped heads in cross-attention, one DiT layer
  open-single     the same weights as stable-audio-tools names them, with model_config.json and t5-base/
  small-single    like Stable Audio Open Small: rf_denoiser, qk_norm, two DiT layers, only seconds_total

Every weight is a random number that f16 holds exactly, the beta of the DiT's norms too, which are zeros in published models.
Everything is stored as f16, except inv_freq and small-single's t5-base/ (f32), and every output is computed in f32 from exactly
those weights. The real feed-forward is four times as wide as the model; small-single asks for a factor of 1 through ff_kwargs,
for the sake of size. prompts.json has texts with their tokens, cut to 16 and without padding; input_ids is its first text, padded.

Who computes what (SAT = stable-audio-tools, KD = k-diffusion):
  text_states      transformers' T5EncoderModel with the mask, then padded rows times 0
  cross_states, global_states   SAT's NumberConditioner and get_conditioning_inputs: text, then seconds as tokens; seconds side by side
  velocity         SAT's DiffusionTransformer on (latents, timestep, cross, global)
  velocity_cfg     the same with cfg_scale 5: v0 + 5 (v - v0), where v0 has zeros for all of cross_states and the same global_states
  denoised_*       guidance 1 except where the name ends in _cfg (5)
    dpmpp-3m-sde, dpmpp-2m-sde   KD's functions (eta 1, s_noise 1, midpoint) with KD's VDenoiser, start sigmas[0] * latents,
                   step_noise[i] as the noise of step i (the last step takes none)
    v-ddim         SAT's sample(), eta 0, as many steps as the others, t = linspace(1, 0, n + 1)[:-1], start latents
    cosine-dpm     diffusers' transformer with CosineDPMSolverMultistepScheduler: scale_model_input and step as the pipeline calls
                   them, its sigmas replaced by ours, start latents * init_noise_sigma = sqrt(sigmas[0]^2 + 1) * latents,
                   step_noise[i] in place of its Brownian noise (the last step multiplies it by 0)
    pingpong, euler, dpmpp       SAT's sample_rf, which makes the grid itself (stored as sigmas); start latents; pingpong's
                   randn_like gives step_noise[i] in step i (the last step multiplies it by 0)
  decoded_audio    SAT's pretransform on `latents`: raw, neither clipped nor normalized
  encoded_mean, encoded_std     SAT's encoder on `audio`, halves of its channels; std = softplus(second half) + 1e-4
For the two open folders the script checks that diffusers' text, projection, transformer and VAE agree with the above.
"""

import json
import logging
import shutil
import sys
import tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import MagicMock, patch

import diffusers
import numpy as np
import sentencepiece
import torch
import transformers
from diffusers import AutoencoderOobleck, CosineDPMSolverMultistepScheduler, StableAudioDiTModel, StableAudioPipeline, StableAudioProjectionModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from safetensors.torch import load_file, save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import T5Config, T5EncoderModel, T5Tokenizer

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "audio"
LENGTH = 16
EMBEDDINGS = 120
EXTRA_IDS = 4
LATENT = 8
CORPUS = [
    "Warm rain on a tin roof", "A dog barking next to a waterfall", "128 BPM tech house drum loop", "Soft piano in a large hall",
    "Birds singing in the forest", "The sound of a hammer hitting a wooden surface", "Amen break 174 BPM", "Low quality.",
    "Otters playing in the river", "Thunder rolls, then wind and rain", "Glitchy bass design, 90 BPM", "A café at noon, people talking",
] * 4
PROMPTS = [
    "Warm rain on a tin roof", "", "128 BPM drum loop", "  two   spaces\tand tab ", "A café at noon", "A cafe\u0301", "ﬁne ＢＡＳＳ １７４",
    "no\u00a0break", "zero\u200bwidth", "水獭", "Thunder rolls, then wind and rain in the forest, birds singing", "a </s> b", "<extra_id_0> rain",
]


class Absent:
    """Stands in for modules that the libraries import at their top and that nothing here calls: files, plots, image metrics."""

    NAMES = ("torchaudio", "torchvision", "skimage", "jsonmerge", "dctorch", "cleanfid", "clip")

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self.NAMES else None

    def create_module(self, spec):
        return MagicMock(__path__=[], __name__=spec.name, __spec__=spec)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Absent())
import k_diffusion as K  # noqa: E402
from stable_audio_tools.inference.sampling import sample, sample_rf  # noqa: E402
from stable_audio_tools.models import autoencoders, diffusion  # noqa: E402, F401 (the factory imports them by and by)
from stable_audio_tools.models.factory import create_model_from_config  # noqa: E402

sys.meta_path.pop(0)
for stand_in in [name for name in sys.modules if name.split(".")[0] in Absent.NAMES]:
    del sys.modules[stand_in]


def make_tokenizer() -> Tokenizer:
    """A Unigram tokenizer in T5's form, its pieces and its table of normalization trained by sentencepiece."""
    rules = {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)} | {
        "\u00a0": " ", "\t": " ", "\n": " ", "\u3000": " ", "\u200b": " ", "ﬁ": "fi", "ﬂ": "fl", "e\u0301": "é", "a\u0300": "à", "…": "...", "²": "2",
    }
    with tempfile.TemporaryDirectory() as folder:
        table, prefix = Path(folder) / "rules.tsv", Path(folder) / "spiece"
        table.write_text("".join(
            " ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n" for source, target in sorted(rules.items())
        ))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_prefix=str(prefix), vocab_size=EMBEDDINGS - EXTRA_IDS - 6, model_type="unigram", pad_id=0,
            eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, normalization_rule_tsv=str(table), num_threads=1, minloglevel=2,
        )
        trained = sentencepiece_model_pb2.ModelProto.FromString(prefix.with_suffix(".model").read_bytes())
    pieces = [(piece.piece, piece.score) for piece in trained.pieces] + [(f"<extra_id_{i}>", 0.0) for i in reversed(range(EXTRA_IDS))]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(trained.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    special = ["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in reversed(range(EXTRA_IDS))]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, folder: Path, length: int, old: bool) -> None:
    """Writes the two files; old: with Metaspace's fields as t5-base's own file has them."""
    definition = json.loads(tokenizer.to_str())
    if old:
        old_form = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
        definition["pre_tokenizer"]["pretokenizers"][1] = definition["decoder"] = old_form
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(definition, ensure_ascii=False))
    config = {
        "additional_special_tokens": [f"<extra_id_{i}>" for i in range(EXTRA_IDS)], "clean_up_tokenization_spaces": True, "eos_token": "</s>",
        "extra_ids": EXTRA_IDS, "model_max_length": length, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer", "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def encode(folder: Path, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = T5Tokenizer.from_pretrained(folder, local_files_only=True)
    both = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
    return both["input_ids"], both["attention_mask"]


def audio_config(small: bool) -> dict:
    """model_config.json as the published ones are, with small numbers."""
    seconds = [] if small else [{"id": "seconds_start", "type": "number", "config": {"min_val": 0, "max_val": 512}}]
    seconds += [{"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 256 if small else 512}}]
    ids, width = [entry["id"] for entry in seconds], 32 if small else 64
    coder = {"c_mults": [1, 2, 4], "strides": [2, 4, 4], "use_snake": True}
    dit = {
        "io_channels": LATENT, "embed_dim": 128, "depth": 2 if small else 1, "num_heads": 2, "cond_token_dim": width,
        "global_cond_dim": width * len(ids), "transformer_type": "continuous_transformer",
    }
    dit |= {"attn_kwargs": {"qk_norm": "ln"}, "ff_kwargs": {"mult": 1}} if small else {"project_cond_tokens": False}
    objective = {"diffusion_objective": "rf_denoiser"} if small else {}
    return {
        "model_type": "diffusion_cond", "sample_size": 2048, "sample_rate": 44100, "audio_channels": 2,
        "model": {
            "pretransform": {
                "type": "autoencoder", "iterate_batch": not small, **({"model_half": True} if small else {}),
                "config": {
                    "encoder": {"type": "oobleck", "requires_grad": False, "config": {"in_channels": 2, "channels": 8 if small else 16, **coder, "latent_dim": 2 * LATENT}},
                    "decoder": {"type": "oobleck", "config": {"out_channels": 2, "channels": 8, **coder, "latent_dim": LATENT, "final_tanh": False}},
                    "bottleneck": {"type": "vae"}, "latent_dim": LATENT, "downsampling_ratio": 32, "io_channels": 2,
                },
            },
            "conditioning": {
                "configs": [{"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": LENGTH}}, *seconds],
                "cond_dim": width,
            },
            "diffusion": {
                **objective, "cross_attention_cond_ids": ["prompt", *ids], "global_cond_ids": ids, "type": "dit", "config": dit,
            },
            "io_channels": LATENT,
        },
        "training": {"use_ema": True, "demo": {"demo_every": 2000, "demo_steps": 250, "demo_cfg_scales": [3, 9]}},
    }


def make_model(config: dict) -> torch.nn.Module:
    """The model of stable-audio-tools, in f32 and without the text encoder, which is no part of its file."""
    config = json.loads(json.dumps(config))
    config["model"]["pretransform"].pop("model_half", None)
    del config["model"]["conditioning"]["configs"][0]
    return create_model_from_config(config).eval().requires_grad_(False)


def fill(module: torch.nn.Module) -> None:
    """Random values that f16 holds, of a size that keeps activations near 1."""
    for name, tensor in module.state_dict().items():
        noise, kind = torch.randn_like(tensor), name.split(".")[-1]
        if kind == "inv_freq":
            continue
        if kind in ("alpha", "bias", "beta") or (kind == "weight" and tensor.dim() == 1):
            value = noise * 0.3 + (1 if kind == "weight" else 0)
        elif kind == "gamma":
            value = 1 + noise * 0.3
        elif kind == "weight_g":
            continue
        elif kind == "weight_v":
            value = noise * 0.5
        elif kind == "weights" or "timestep_features" in name or "shared" in name:
            value = noise
        elif "relative_attention_bias" in name:
            value = noise * 0.5
        else:
            value = noise * (0.5 if "process_conv" in name else 1) / tensor[0].numel() ** 0.5
            if name.endswith("SelfAttention.q.weight"):
                value = value / 8 ** 0.5
        tensor.copy_(value)
    for name, part in module.named_modules():
        if hasattr(part, "weight_g"):
            gain = 1.0
            if isinstance(part, torch.nn.ConvTranspose1d):
                gain = (part.out_channels * part.stride[0] / part.in_channels) ** 0.5
            elif part.kernel_size[0] == 1 or part.kernel_size[0] == 7 and part.in_channels == part.out_channels:
                gain = 0.5
            part.weight_g.copy_(gain * (1 + 0.3 * torch.randn_like(part.weight_g)).abs())
    for name, tensor in module.state_dict().items():
        if not name.endswith("inv_freq"):
            tensor.copy_(tensor.half().float())


def scale_velocity(dit: torch.nn.Module, velocity: torch.Tensor) -> None:
    """Velocities get a deviation near 1, so that the samplers stay near 1 too."""
    last = dit.transformer.project_out.weight
    last.copy_((last / velocity.std()).half().float())


def scale_coder(coder: torch.nn.Module, latents: torch.Tensor, audio: torch.Tensor) -> None:
    """Decoded audio gets a peak near 1, encoded means a deviation near 1."""
    last = coder.decoder.layers[-2].weight_g
    last.copy_((last / coder.decode(latents).abs().max()).half().float())
    last = coder.encoder.layers[-1].weight_g
    last.copy_((last / coder.encoder(audio).std()).half().float())


def make_text(width: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=EMBEDDINGS, d_model=width, d_kv=8, d_ff=64, num_layers=2, num_heads=4, relative_attention_num_buckets=32,
        relative_attention_max_distance=128, layer_norm_epsilon=1e-6, feed_forward_proj="relu", n_positions=512,
    )
    text = T5EncoderModel._from_config(config, attn_implementation="eager").float().eval().requires_grad_(False)
    fill(text)
    return text


def renamed_dit(name: str) -> str:
    """stable-audio-tools' name in diffusers' words; q, k and v are still together."""
    for old, new in {
        "timestep_features.weight": "time_proj.weight", "to_timestep_embed": "timestep_proj", "to_cond_embed": "cross_attention_proj",
        "to_global_embed": "global_proj", "transformer.project_in": "proj_in", "transformer.project_out": "proj_out",
        "transformer.layers": "transformer_blocks", "pre_norm": "norm1", "cross_attend_norm": "norm2", "ff_norm": "norm3",
        "gamma": "weight", "beta": "bias", "self_attn": "attn1", "cross_attn": "attn2", "to_out": "to_out.0", "ff.ff": "ff.net",
    }.items():
        name = name.replace(old, new)
    return name


def renamed_coder(name: str, blocks: int = 3) -> str:
    side, _, first, *rest = name.split(".")
    if int(first) in (0, blocks + 2):
        return ".".join([side, "conv1" if first == "0" else "conv2", *rest])
    if int(first) == blocks + 1:
        return ".".join([side, "snake1", *rest])
    _, second, *rest = rest
    parts = ["res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"] if side == "encoder" else ["snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"]
    part = parts[int(second)]
    if part.startswith("res"):
        part += "." + ["snake1", "conv1", "snake2", "conv2"][int(rest[1])]
        rest = rest[2:]
    return ".".join([side, "block", str(int(first) - 1), part, *rest])


def make_diffusers(model: torch.nn.Module, config: dict, text: T5EncoderModel, tokenizer: T5Tokenizer) -> StableAudioPipeline:
    """The same weights in diffusers' classes."""
    transformer = StableAudioDiTModel(
        sample_size=64, in_channels=LATENT, out_channels=LATENT, num_layers=1, attention_head_dim=64, num_attention_heads=2,
        num_key_value_attention_heads=1, cross_attention_dim=64, cross_attention_input_dim=64, global_states_input_dim=128, time_proj_dim=256,
    )
    tensors = {}
    for name, tensor in model.model.model.state_dict().items():
        name = renamed_dit(name)
        if name.endswith("inv_freq"):
            continue
        for fused, parts in (("to_qkv", "qkv"), ("to_kv", "kv")):
            if fused in name:
                pieces = tensor.chunk(len(parts))
                tensors |= {name.replace(fused, f"to_{part}"): piece.clone() for part, piece in zip(parts, pieces, strict=True)}
                break
        else:
            tensors[name] = tensor[:, 0].clone() if name == "time_proj.weight" else tensor
    transformer.load_state_dict(tensors)

    coder = AutoencoderOobleck(
        encoder_hidden_size=16, downsampling_ratios=[2, 4, 4], channel_multiples=[1, 2, 4], decoder_channels=8, decoder_input_channels=LATENT,
    )
    tensors = model.pretransform.model.state_dict()
    coder.load_state_dict({
        renamed_coder(name): tensor[None, :, None] if name.endswith(("alpha", "beta")) else tensor for name, tensor in tensors.items()
    })

    projection = StableAudioProjectionModel(text_encoder_dim=64, conditioning_dim=64, min_value=0, max_value=512)
    projection.load_state_dict({
        name.replace("conditioners.seconds_start.embedder.embedding", "start_number_conditioner.time_positional_embedding")
        .replace("conditioners.seconds_total.embedder.embedding", "end_number_conditioner.time_positional_embedding"): tensor
        for name, tensor in model.conditioner.state_dict().items()
    })
    return StableAudioPipeline(
        vae=coder.eval(), text_encoder=text, projection_model=projection.eval(), tokenizer=tokenizer, transformer=transformer.eval(),
        scheduler=CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500),
    )


def near(one: torch.Tensor, other: torch.Tensor, limit: float, what: str) -> None:
    worst = (one - other).abs().max().item()
    print(f"  diffusers against stable-audio-tools, {what}: {worst:.2e}")
    assert one.shape == other.shape and worst < limit, what


def in_order(noises: torch.Tensor):
    left = iter(noises)
    return lambda *arguments, **options: next(left)


def run_v(model, cond: dict, inputs: dict, scale: float, names: list[str]) -> dict:
    network = lambda x, t: model(x, t, cond, cfg_scale=scale)  # noqa: E731
    sigmas, start, result = inputs["sigmas"], inputs["sigmas"][0] * inputs["latents"], {}
    for name in names:
        if name == "v-ddim":
            result[name] = sample(network, inputs["latents"], len(sigmas) - 1, 0.0)
        else:
            sampler = K.sampling.sample_dpmpp_3m_sde if name == "dpmpp-3m-sde" else K.sampling.sample_dpmpp_2m_sde
            result[name] = sampler(K.external.VDenoiser(network), start, sigmas, noise_sampler=in_order(inputs["step_noise"]), disable=True)
    return result


def run_cosine(pipeline: StableAudioPipeline, cross, shared, rotary, inputs: dict) -> torch.Tensor:
    scheduler, sigmas = pipeline.scheduler, inputs["sigmas"]
    scheduler.set_timesteps(len(sigmas) - 1)
    assert torch.allclose(scheduler.sigmas, sigmas, rtol=1e-5)
    scheduler.sigmas, scheduler.timesteps = sigmas, scheduler.precondition_noise(sigmas[:-1])
    scheduler.noise_sampler = in_order(inputs["step_noise"])
    x = inputs["latents"] * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        v = pipeline.transformer(scheduler.scale_model_input(x, t), t.unsqueeze(0), cross, shared, rotary, return_dict=False)[0]
        x = scheduler.step(v, t, x).prev_sample
    return x


def run_rf(model, cond: dict, inputs: dict, scale: float, names: list[str]) -> dict:
    network, result = lambda x, t: model(x, t, cond, cfg_scale=scale), {}
    for name in names:
        grid = []
        with patch.object(torch, "randn_like", in_order(inputs["step_noise"])):
            result[name] = sample_rf(network, inputs["latents"], steps=4, sampler_type=name, callback=lambda info: grid.append(float(info["t"])))
        assert np.allclose(grid + [0], inputs["sigmas"])
    return result


def check_diffusers(pipeline: StableAudioPipeline, inputs: dict, expected: dict) -> None:
    """That the pipeline is the same function; adds its own sampler's output."""
    prompt = pipeline.encode_prompt(PROMPTS[0], "cpu", False)
    near(prompt, expected["text_states"], 1e-6, "text_states")
    start, end = pipeline.encode_duration(inputs["seconds_start"].item(), inputs["seconds_total"].item(), "cpu", False, 1)
    cross, shared = torch.cat([prompt, start, end], dim=1), torch.cat([start, end], dim=2)
    near(cross, expected["cross_states"], 1e-6, "cross_states")
    near(shared[:, 0], expected["global_states"], 1e-6, "global_states")
    x, t = inputs["latents"], inputs["timestep"]
    rotary = get_1d_rotary_pos_embed(pipeline.rotary_embed_dim, x.shape[2] + 1, use_real=True, repeat_interleave_real=False)
    v, null = (pipeline.transformer(x, t, states, shared, rotary, return_dict=False)[0] for states in (cross, torch.zeros_like(cross)))
    near(v, expected["velocity"], 1e-5, "velocity")
    near(null + 5 * (v - null), expected["velocity_cfg"], 5e-5, "velocity_cfg")
    near(pipeline.vae.decode(x).sample, expected["decoded_audio"], 1e-5, "decoded_audio")
    posterior = pipeline.vae.encode(inputs["audio"]).latent_dist
    near(posterior.mean, expected["encoded_mean"], 1e-5, "encoded_mean")
    near(posterior.std, expected["encoded_std"], 1e-5, "encoded_std")
    expected["denoised_cosine-dpm"] = run_cosine(pipeline, cross, shared, rotary, inputs)


def write_text(text: T5EncoderModel, tokenizer: Tokenizer, folder: Path, dtype: torch.dtype) -> None:
    """t5-base's folder; the published file has a decoder too."""
    write_tokenizer(tokenizer, folder, 512, old=True)
    tensors = {name: tensor.to(dtype).clone() for name, tensor in text.state_dict().items() if "embed_tokens" not in name}
    tensors["decoder.final_layer_norm.weight"] = torch.ones(text.config.d_model, dtype=dtype)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    kept = {key: value for key, value in text.config.to_dict().items() if value is not None and not key.startswith("_")}
    kept |= {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}
    (folder / "config.json").write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def write_single(folder: Path, config: dict, model, text: T5EncoderModel, tokenizer: Tokenizer) -> None:
    (folder / "model_config.json").write_text(json.dumps(config, indent=4) + "\n")
    halves = {name: tensor if name.endswith("inv_freq") else tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    write_text(text, tokenizer, folder / "t5-base", torch.float32 if "small" in folder.name else torch.float16)


def write_diffusers(folder: Path, pipeline: StableAudioPipeline, tokenizer: Tokenizer) -> None:
    pipeline.save_pretrained(folder)
    shutil.rmtree(folder / "tokenizer")
    write_tokenizer(tokenizer, folder / "tokenizer", LENGTH, old=False)
    for path in folder.rglob("*.safetensors"):
        save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    for path in folder.rglob("config.json"):
        kept = {key: value for key, value in json.loads(path.read_text()).items() if key != "_name_or_path"}
        kept |= {"dtype": "float16"} if "dtype" in kept else {}
        path.write_text(json.dumps(kept, indent=2) + "\n")


def make_inputs(small: bool, folder: Path) -> dict:
    generator = torch.Generator().manual_seed(21 if small else 20)
    random = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    ids, mask = encode(folder, PROMPTS[:1])
    assert 3 < mask.sum() < LENGTH - 2, "no real padding"
    if small:
        # Where sample_rf calls the network: 5 points of logSNR from -6 to 2, the ends made 1 and 0.
        sigmas = torch.sigmoid(-torch.linspace(-6, 2, 5))
        sigmas[0], sigmas[-1] = 1, 0
    else:
        sigmas = K.sampling.get_sigmas_polyexponential(6, 0.3, 500, 1.0)
    time = torch.arange(640) / 640
    tones = torch.stack([torch.sin(2 * torch.pi * (20 * time + 30 * time**2)), torch.sin(2 * torch.pi * 55 * time)])
    inputs = {"input_ids": ids.int(), "attention_mask": mask.int()}
    if not small:
        inputs["seconds_start"] = torch.tensor([3.5])
    return inputs | {
        "seconds_total": torch.tensor([11.0 if small else 47.25]), "latents": random(1, LATENT, 40), "timestep": torch.tensor([0.62]),
        "sigmas": sigmas, "step_noise": random(len(sigmas) - 1, 1, LATENT, 40), "audio": (0.4 * tones + 0.1 * random(2, 640))[None],
    }


def main() -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    logging.disable(logging.WARNING)
    shutil.rmtree(TARGET, ignore_errors=True)
    tokenizer = make_tokenizer()
    for small in (False, True):
        torch.manual_seed(7 + small)
        config = audio_config(small)
        singles = TARGET / ("small-single" if small else "open-single")
        write_tokenizer(tokenizer, singles / "t5-base", 512, old=True)
        inputs = make_inputs(small, singles / "t5-base")
        text = make_text(config["model"]["conditioning"]["cond_dim"])
        model = make_model(config)
        fill(model)
        scale_coder(model.pretransform.model, inputs["latents"], inputs["audio"])

        mask = inputs["attention_mask"]
        states = text(inputs["input_ids"].long(), attention_mask=mask.long()).last_hidden_state * mask[:, :, None].float()
        seconds = {name: inputs[name].item() for name in model.conditioner.conditioners}
        cond = {"prompt": (states, mask.bool())} | model.conditioner([seconds], "cpu")
        expected = {"text_states": states}
        entering = model.get_conditioning_inputs(cond)
        expected |= {"cross_states": entering["cross_attn_cond"], "global_states": entering["global_cond"]}
        scale_velocity(model.model.model, model(inputs["latents"], inputs["timestep"], cond))
        expected["velocity"] = model(inputs["latents"], inputs["timestep"], cond)
        expected["velocity_cfg"] = model(inputs["latents"], inputs["timestep"], cond, cfg_scale=5.0)
        run, names = (run_rf, ["pingpong", "euler", "dpmpp"]) if small else (run_v, ["dpmpp-3m-sde", "dpmpp-2m-sde", "v-ddim"])
        expected |= {f"denoised_{name}": x for name, x in run(model, cond, inputs, 1.0, names).items()}
        expected |= {f"denoised_{name}_cfg": x for name, x in run(model, cond, inputs, 5.0, names[:1]).items()}
        expected["decoded_audio"] = model.pretransform.decode(inputs["latents"])
        mean, scale = model.pretransform.model.encode(inputs["audio"], skip_bottleneck=True).chunk(2, dim=1)
        expected |= {"encoded_mean": mean, "encoded_std": torch.nn.functional.softplus(scale) + 1e-4}

        write_single(singles, config, model, text, tokenizer)
        folders = [singles]
        if not small:
            folders.append(TARGET / "open-diffusers")
            write_tokenizer(tokenizer, folders[1] / "tokenizer", LENGTH, old=False)
            loaded = T5Tokenizer.from_pretrained(folders[1] / "tokenizer", local_files_only=True)
            pipeline = make_diffusers(model, config, text, loaded)
            check_diffusers(pipeline, inputs, expected)
            write_diffusers(folders[1], pipeline, tokenizer)
        for folder in folders:
            np.savez_compressed(folder / "inputs.npz", **{name: tensor.numpy() for name, tensor in inputs.items()})
            np.savez_compressed(folder / "expected.npz", **{name: tensor.float().numpy() for name, tensor in expected.items()})
            ids, masks = encode(folder / ("tokenizer" if folder.name.endswith("diffusers") else "t5-base"), PROMPTS)
            rows = [json.dumps({"text": text, "ids": row[: used.sum()].tolist()}) for text, row, used in zip(PROMPTS, ids, masks, strict=True)]
            (folder / "prompts.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            print(f"{folder.name}: {size / 1e6:.2f} MB")
        for name, tensor in (inputs | expected).items():
            values = tensor.float()
            assert values.isfinite().all(), name
            print(f"  {name:24} {list(values.shape)!s:18} peak {values.abs().max():9.4f}  rms {values.square().mean().sqrt():9.4f}")
    versions = f"stable-audio-tools 0.0.19, k-diffusion 0.1.1.post1, diffusers {diffusers.__version__}, transformers {transformers.__version__}"
    (TARGET / "README.md").write_text(f"Made by reference/audio/make_golden.py with {versions}, torch {torch.__version__.split('+')[0]}.\n")


if __name__ == "__main__":
    main()
