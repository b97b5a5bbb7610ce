"""The pictures of tests/golden/vision with what processors make of them, and what makes the tiny checkpoints complete:
tokenizers, chat templates and preprocessor_config.json."""


import numpy as np
import pictures
from golden import TARGET, fresh, write_arrays, write_json
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]
MLLAMA = {
    "image_processor_type": "MllamaImageProcessor", "do_convert_rgb": True, "do_resize": True, "do_rescale": True,
    "do_normalize": True, "do_pad": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "max_image_tiles": 4,
    "resample": 2, "rescale_factor": 1 / 255, "size": {"height": 28, "width": 28},
}  # fmt: skip
STRETCH = {"image_processor_type": "EvlmImageProcessor", "size": {"height": 28, "width": 28}, "resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_STD}
PAD = {"image_processor_type": "EvlmImageProcessor", "size": {"height": 28, "width": 42}, "resample": 2, "fit": "pad", "image_mean": HALF, "image_std": [0.5, 0.25, 0.2]}
SIGLIP = {
    "image_processor_type": "SiglipImageProcessor", "do_resize": True, "do_rescale": True, "do_normalize": True, "resample": 3,
    "size": {"height": 42, "width": 42}, "image_mean": HALF, "image_std": HALF, "rescale_factor": 1 / 255,
}  # fmt: skip
CLIP = {
    "image_processor_type": "CLIPImageProcessor", "do_resize": True, "do_center_crop": True, "do_rescale": True, "do_normalize": True,
    "resample": 3, "size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}, "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD, "rescale_factor": 1 / 255,
}  # fmt: skip
OWL = {"image_processor_type": "mPLUGOwl3ImageProcessor", "image_size": 28}
# (height, width): plain, smaller than a tile, long ones either way, a tile and a bit, one pixel, exact, a line.
SIZES = [(97, 61), (20, 23), (150, 18), (18, 151), (28, 29), (1, 1), (56, 56), (3, 250)]
SMALL = SIZES[:2]
LLAMA_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|start_header_id|>", "<|eot_id|>", "<|end_header_id|>"]
LLAMA_TEMPLATE = (
    "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{%- if m['content'] is string %}{{- m['content'] }}{%- else %}{%- for part in m['content'] %}"
    "{%- if part['type'] == 'image' %}{{- '<|image|>' }}{%- elif part['type'] == 'text' %}{{- part['text'] }}{%- endif %}"
    "{%- endfor %}{%- endif %}{{- '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
QWEN_TOKENS = [
    "<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|start_cut|>", "<|end_cut|>", "<|image|>",
    "<|start_video_frame|>", "<|end_video_frame|>",
]  # fmt: skip
QWEN_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\n<|im_end|>' }}{%- endif %}"
    "{%- for m in messages %}{{- ('\n' if not loop.first or m['role'] != 'system' else '') + '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '\n<|im_start|>assistant\n' }}{%- endif %}"
)


def scene(height: int, width: int, seed: int) -> np.ndarray:
    """uint8 (height, width, 3): waves, an edge and some noise, so that a filter has something to do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 3 + y / 7), np.cos(x / 5 - y / 2), np.sin((x + y) / 11)], -1) * 60 + 128
    waves[(x > width // 2) & (y > height // 3)] = [250, 20, 128]
    return np.clip(waves + rng.integers(-12, 12, (height, width, 1)) // 4 * 4, 0, 255).astype(np.uint8)


def processed(config: dict, picture: Image.Image) -> dict[str, np.ndarray]:
    kind = config["image_processor_type"]
    arguments = {key: value for key, value in config.items() if key != "image_processor_type"}
    if kind == "MllamaImageProcessor":
        made = MllamaImageProcessorPil(**arguments)(picture, return_tensors="np")
        return {name: made[name] for name in ("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask")}
    if kind == "SiglipImageProcessor":
        return {"pixel_values": SiglipImageProcessorPil(**arguments)(picture, return_tensors="np")["pixel_values"]}
    if kind == "CLIPImageProcessor":
        return {"pixel_values": CLIPImageProcessorPil(**arguments)(picture, return_tensors="np")["pixel_values"]}
    if kind == "EvlmImageProcessor":
        return {"pixel_values": pictures.evlm(picture, config)[None]}
    return {"pixel_values": pictures.mplugowl3(picture, config["image_size"], cut=True)}


def make_pictures() -> None:
    folder = fresh("pictures")
    scenes = {size: scene(*size, seed) for seed, size in enumerate(SIZES)}
    Image.fromarray(scenes[SIZES[0]]).save(folder / "scene.png", optimize=True)
    write_arrays(folder / "rgb.npz", **{f"{height}x{width}": rgb for (height, width), rgb in scenes.items()})
    cases = {"mllama": (MLLAMA, SIZES), "evlm-stretch": (STRETCH, SMALL), "evlm-pad": (PAD, SIZES[1:]), "siglip": (SIGLIP, SMALL), "clip": (CLIP, SMALL), "mplugowl3": (OWL, SIZES[:6])}
    for name, (config, sizes) in cases.items():
        write_json(folder / f"{name}.json", config)
        arrays = {}
        for height, width in sizes:
            made = processed(config, Image.fromarray(scenes[height, width]))
            arrays |= {f"{height}x{width}/{part}": value for part, value in made.items()}
        write_arrays(folder / f"{name}.npz", **arrays)


def tokenizer(first: list[str]) -> Tokenizer:
    """Bytes, and special tokens from 256 on."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in first])
    return made


def complete(name: str, special: list[str], template: str, config: dict, bos: str | None, eos: str) -> None:
    folder = TARGET / name
    (folder / "added_tokens.json").unlink(missing_ok=True)
    tokenizer(special).save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos, "clean_up_tokenization_spaces": False,
        "chat_template": template,
    })  # fmt: skip
    write_json(folder / "preprocessor_config.json", config)


def make_all() -> None:
    make_pictures()
    # <|image|> of mllama is the row that follows those of the head, 280.
    reserved = [f"<|reserved_special_token_{at}|>" for at in range(280 - 256 - len(LLAMA_TOKENS))]
    complete("mllama-f32", [*LLAMA_TOKENS, *reserved, "<|image|>"], LLAMA_TEMPLATE, MLLAMA, "<|begin_of_text|>", "<|eot_id|>")
    # EVLM's media token is 5 there: a letter of the alphabet that no text of ASCII has.
    complete("evlm-dense", LLAMA_TOKENS, LLAMA_TEMPLATE.replace("<|image|>", ""), STRETCH, "<|begin_of_text|>", "<|eot_id|>")
    for name in ("mplugowl3-gated", "mplugowl3-joint"):
        complete(name, QWEN_TOKENS, QWEN_TEMPLATE, OWL | {"image_size": 28 if name.endswith("gated") else 30}, None, "<|im_end|>")
