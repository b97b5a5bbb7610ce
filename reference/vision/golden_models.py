"""The tiny checkpoints of tests/golden/vision, with the stages that the reference classes give for them."""

import json

import torch
from evlm import Evlm
from golden import GREEDY_TOKENS, first_clear, fresh, quantized_linears, randomize, write_arrays, write_json, write_model, write_stages
from mplugowl3 import MplugOwl3
from torch import Tensor
from transformers import MllamaConfig, MllamaForConditionalGeneration
from transformers.models.mllama.processing_mllama import convert_sparse_cross_attention_mask_to_dense, get_cross_attention_token_mask

VOCABULARY = 288
IMAGE = 280  # of mllama: the first row that the head lacks
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
SHORT = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def text_of(*parts: int | str, seed: int) -> Tensor:
    """(1, tokens): a number is so many random tokens below 256, "5*4" is the token 5 four times."""
    generator = torch.Generator().manual_seed(seed)
    ids = []
    for part in parts:
        if isinstance(part, int):
            ids += torch.randint(6, 256, (part,), generator=generator).tolist()
        else:
            token, count = (int(number) for number in part.split("*"))
            ids += [token] * count
    return torch.tensor([ids])


# --- mllama ---


def mllama_config(tile: int, taps: list[int], cross: list[int], kv_heads: int) -> dict:
    ratios = [[h, w] for h in range(1, 5) for w in range(1, 5) if h * w <= 4]
    return {
        "architectures": ["MllamaForConditionalGeneration"], "model_type": "mllama", "image_token_index": IMAGE,
        "vision_config": {
            "model_type": "mllama_vision_model", "hidden_size": 24, "attention_heads": 3, "num_hidden_layers": 4,
            "num_global_layers": 2, "intermediate_size": 40, "hidden_act": "gelu", "norm_eps": 1e-5, "image_size": tile,
            "patch_size": 7, "max_num_tiles": 4, "num_channels": 3, "intermediate_layers_indices": taps,
            "vision_output_dim": 24 * (1 + len(taps)), "supported_aspect_ratios": ratios,
        },
        "text_config": {
            "model_type": "mllama_text_model", "vocab_size": IMAGE, "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": kv_heads, "cross_attention_layers": cross,
            "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "rope_scaling": LLAMA3,
            "max_position_embeddings": 512, "tie_word_embeddings": False, "bos_token_id": 256, "eos_token_id": [257, 260],
            "pad_token_id": 258,
        },
    }  # fmt: skip


def published_name(name: str) -> str:
    """transformers' own name of a tensor as the checkpoints of 2024 spell it."""
    if name == "lm_head.weight":
        return "language_model.lm_head.weight"
    name = name.removeprefix("model.")
    return name.replace("language_model.", "language_model.model.", 1) if name.startswith("language_model.") else name


def cross_attention_mask(ids: Tensor, ratio_mask: Tensor) -> Tensor:
    """As the processor makes it: (1, tokens, pictures, tiles)"""
    sparse = [get_cross_attention_token_mask(ids[0].tolist(), IMAGE)]
    return torch.from_numpy(convert_sparse_cross_attention_mask_to_dense(sparse, [ratio_mask[0].sum(-1).tolist()], 4, ids.shape[1]))


def mllama_stages(model, given: dict[str, Tensor]) -> dict[str, Tensor]:
    ids = given["input_ids"]
    features = model.model.vision_model(**{name: given[name] for name in ("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask")}).last_hidden_state
    states = model.model.multi_modal_projector(features).reshape(-1, features.shape[-2], 32)
    logits = model(**given).logits
    model.generation_config.eos_token_id = None  # an early end would cut the comparison short
    tokens = model.generate(**given, max_new_tokens=GREEDY_TOKENS, do_sample=False, pad_token_id=258, output_logits=True, return_dict_in_generate=True)
    return {
        "vision_features": features, "cross_attention_states": states, "logits": logits,
        "greedy_tokens": tokens.sequences[:, ids.shape[1] :], "of_greedy": torch.stack(tokens.logits),
    }  # fmt: skip


@torch.no_grad()
def make_mllama(name: str, dtype: torch.dtype, ratios: list[tuple[int, int]], ids: Tensor, *, new_names=False, is_masked=True, quantize=None, **shape) -> None:
    config = mllama_config(**shape)
    all_ratios = config["vision_config"]["supported_aspect_ratios"]
    ratio_ids = torch.tensor([[all_ratios.index(list(ratio)) + 1 for ratio in ratios]])
    ratio_mask = torch.stack([(torch.arange(4) < h * w).long() for h, w in ratios])[None]
    tile = shape["tile"]
    pixels = torch.randn(1, len(ratios), 4, 3, tile, tile, generator=torch.Generator().manual_seed(4))
    pixels = (pixels * ratio_mask[..., None, None, None]).mul(32).round().div(32)
    given = {"input_ids": ids, "pixel_values": pixels, "aspect_ratio_ids": ratio_ids, "aspect_ratio_mask": ratio_mask}
    if is_masked:
        given["cross_attention_mask"] = cross_attention_mask(ids, ratio_mask)

    def make(seed: int):
        model = MllamaForConditionalGeneration._from_config(MllamaConfig(**json.loads(json.dumps(config))), attn_implementation="eager").float().eval()
        randomize(model, seed, dtype)
        stored = {key: value.to(dtype) for key, value in model.state_dict().items()}
        if quantize is not None:
            stored, meant = quantized_linears(stored, quantize, lambda key: key.endswith(("_proj.weight", "fc1.weight", "fc2.weight")))
            model.load_state_dict(meant, strict=False)
        stages = mllama_stages(model, given)
        return stages.pop("of_greedy"), stages, stored

    _, stages, stored = first_clear(make)
    config["torch_dtype"] = SHORT[dtype]
    if quantize is not None:
        config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    if new_names:
        theta = config["text_config"].pop("rope_theta")
        config["text_config"]["rope_parameters"] = config["text_config"].pop("rope_scaling") | {"rope_theta": theta}
    folder = fresh(name)
    write_model(folder, config, stored if new_names else {published_name(key): value for key, value in stored.items()})
    write_arrays(folder / "inputs.npz", **given)
    write_stages(folder / "expected.npz", stages)


# --- EVLM ---


def evlm_config(text: dict, vision: dict, cross: dict) -> dict:
    return {
        "media_token_id": 5,
        "vision_config": {
            "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 3, "num_attention_heads": 3, "image_size": 28,
            "patch_size": 7, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "norm_position": "pre", "tapped_layers": [1, 2, 3],
        } | vision,
        "cross_attention_config": {
            "num_attention_heads": 2, "attention_width": 16, "media_tokens": 3, "zero_vectors": 1, "intermediate_size": 24,
            "hidden_act": "gelu", "num_experts": 0,
        } | cross,
        "text_config": {
            "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 512,
            "bos_token_id": 256, "eos_token_id": 260,
        } | text,
    }  # fmt: skip


@torch.no_grad()
def make_evlm(name: str, dtype: torch.dtype, ids: Tensor, *, text=None, vision=None, cross=None, quantize=None) -> None:
    config = evlm_config(text or {}, vision or {}, cross or {})
    size = config["vision_config"]["image_size"]
    height, width = (size, size) if isinstance(size, int) else size
    count = int((ids == 5).sum()) // config["cross_attention_config"]["media_tokens"]
    pixels = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(4)).mul(32).round().div(32)

    def make(seed: int):
        model = Evlm(config, attention="eager").eval()
        randomize(model, seed, dtype)
        stored = {key: value.to(dtype) for key, value in model.tensors().items()}
        if quantize is not None:
            stored, meant = quantized_linears(stored, quantize, lambda key: key.startswith("language_model.") and key.endswith("_proj.weight"))
            model.load_state_dict(meant, strict=False)
        features = torch.stack(model.vision_model(pixels), 1)
        states = torch.stack([cross.visual_norm(features[:, tap]) for cross, tap in zip(model.cross_attention_layers, model.tap_of_layer)], 1)
        tokens = model.generate(ids, pixels, GREEDY_TOKENS)
        whole = model(torch.cat([ids, tokens], 1), pixels).logits
        stages = {"vision_features": features, "cross_attention_states": states, "logits": whole[:, : ids.shape[1]], "greedy_tokens": tokens}
        return whole[:, ids.shape[1] - 1 : -1], stages, stored

    _, stages, stored = first_clear(make)
    if quantize == "nf4":
        config["text_config"]["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    elif quantize == "lut":
        config["text_config"]["quantization_config"] = {"quant_method": "lut", "bits": 4, "group_size": 32, "table": "learned", "version": 1}
    folder = fresh(name)
    write_model(folder, {"architectures": ["EvlmForConditionalGeneration"], "model_type": "evlm"} | config, stored)
    write_arrays(folder / "inputs.npz", input_ids=ids, pixel_values=pixels)
    write_stages(folder / "expected.npz", stages)


# --- mPLUG-Owl3 ---


@torch.no_grad()
def make_mplugowl3(name: str, kind: str, dtype: torch.dtype, ids: Tensor, *, image_size: int, tied=False, quantize=None) -> None:
    image = 262
    config = {
        "architectures": ["mPLUGOwl3Model"], "model_type": "mplugowl3", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0, "vocab_size": VOCABULARY, "max_position_embeddings": 512, "hyper_layers": [1, 3],
        "tie_word_embeddings": tied, "use_sliding_window": False, "sliding_window": 131072, "max_window_layers": 28,
        "bos_token_id": 257, "eos_token_id": 259, "torch_dtype": SHORT[dtype],
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 3,
            "num_attention_heads": 3, "image_size": image_size, "patch_size": 7,
        },
    }  # fmt: skip
    starts = (ids[0] == image).nonzero()[:, 0]
    pixels = torch.randn(len(starts), 3, image_size, image_size, generator=torch.Generator().manual_seed(4)).mul(32).round().div(32)

    def make(seed: int):
        model = MplugOwl3(config, kind).eval()
        randomize(model, seed, dtype)
        stored = {key: value.to(dtype) for key, value in model.tensors().items()}
        if quantize is not None:
            stored, meant = quantized_linears(stored, quantize, lambda key: key.startswith("language_model.") and key.endswith("_proj.weight"))
            model.load_state_dict(meant, strict=False)
        features, states = model.look(pixels)
        tokens = model.generate(ids[0], states, starts, GREEDY_TOKENS)
        whole = model.logits(torch.cat([ids[0], tokens]), states, starts)
        length = ids.shape[1]
        stages = {"vision_features": features, "cross_attention_states": states, "logits": whole[None, :length], "greedy_tokens": tokens[None]}
        return whole[length - 1 : -1], stages, stored

    _, stages, stored = first_clear(make)
    if quantize == "nf4":
        config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    elif quantize == "lut":
        config["quantization_config"] = {"quant_method": "lut", "bits": 4, "group_size": 32, "table": "learned", "version": 1}
    folder = fresh(name)
    write_model(folder, config, stored)
    # The config does not name the picture's token: the tokenizer's files do.
    write_json(folder / "added_tokens.json", {"<|image|>": image})
    write_arrays(folder / "inputs.npz", input_ids=ids, pixel_values=pixels, media_offset=starts[None])
    write_stages(folder / "expected.npz", stages)


def make_all() -> None:
    f32, bf16, f16 = torch.float32, torch.bfloat16, torch.float16
    one = text_of("256*1", 4, f"{IMAGE}*1", 9, seed=1)
    make_mllama("mllama-f32", f32, [(2, 2)], one, tile=28, taps=[0, 3], cross=[1, 3], kv_heads=2)
    # Text between pictures, two that share what is seen, and tiles that are not there.
    several = text_of("256*1", f"{IMAGE}*1", 4, f"{IMAGE}*2", 4, seed=2)
    make_mllama("mllama-bf16", bf16, [(1, 3), (1, 1), (2, 1)], several, tile=28, taps=[1, 2, 3], cross=[2, 3], kv_heads=1)
    make_mllama("mllama-resaved", f16, [(3, 1)], one, tile=21, taps=[2], cross=[2], kv_heads=4, new_names=True, is_masked=False)
    make_mllama("mllama-nf4", bf16, [(1, 2)], one, tile=28, taps=[0, 3], cross=[1, 3], kv_heads=2, quantize="nf4")

    three = text_of("256*1", 3, "5*3", 8, seed=3)
    make_evlm("evlm-dense", f32, three)
    experts = dict(num_experts=6, num_experts_per_token=2, expert_width=8, shared_expert_width=12, normalize_top_k=True)
    clip = text_of("256*1", "5*6", 4, "5*3", 4, "5*6", 3, seed=4)
    make_evlm("evlm-mixture", bf16, clip, vision={"norm_position": "post", "tapped_layers": [0, 1, 3]}, cross=experts | {"zero_vectors": 2})
    make_evlm(
        "evlm-qwen2", f16, text_of(6, "5*2", 5, "5*4", 3, seed=5),
        text={"model_type": "qwen2", "num_hidden_layers": 2, "tie_word_embeddings": True},
        vision={"image_size": [28, 42], "tapped_layers": [2], "hidden_act": "quick_gelu"},
        cross=experts | {"zero_vectors": 0, "media_tokens": 2, "normalize_top_k": False, "hidden_act": "silu", "num_attention_heads": 4},
    )  # fmt: skip
    make_evlm("evlm-lut", f16, three, quantize="lut", text={"num_hidden_layers": 2})
    make_evlm("evlm-nf4", bf16, three, quantize="nf4", text={"num_hidden_layers": 2}, cross=experts)

    pictures = text_of("257*1", 3, "262*1", 5, "262*2", 4, seed=6)
    video = text_of("257*1", 2, "263*1", "262*4", "264*1", 5, seed=7)
    make_mplugowl3("mplugowl3-gated", "gated", bf16, pictures, image_size=28)
    make_mplugowl3("mplugowl3-joint", "joint", bf16, video, image_size=30, tied=True)
    make_mplugowl3("mplugowl3-joint-lut", "joint", f16, pictures, image_size=28, quantize="lut")
    make_mplugowl3("mplugowl3-gated-nf4", "gated", f16, video, image_size=28, quantize="nf4")
