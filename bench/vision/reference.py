"""Times transformers' mllama on a folder of bench/vision.ts; called by it. Prints one line of JSON, in seconds.

    reference.py FOLDER TOKENS THREADS clock|cpu
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import MllamaConfig, MllamaForConditionalGeneration

folder, tokens, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def now() -> float:
    return time.process_time() / threads if sys.argv[4] == "cpu" else time.perf_counter()


torch.set_num_threads(threads)
ROUNDS = 2
config = MllamaConfig(**json.loads((folder / "config.json").read_text()))
with torch.device("meta"):
    model = MllamaForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()


def own_name(name: str) -> str:
    if name == "language_model.lm_head.weight":
        return "lm_head.weight"
    return "model." + name.replace("language_model.model.", "language_model.")


weights = {own_name(name): value.float() for name, value in load_file(folder / "model.safetensors").items()}
model.load_state_dict(weights, strict=True, assign=True)
model.model.language_model.rotary_emb = type(model.model.language_model.rotary_emb)(config=config.text_config)
del weights

vision = config.vision_config
tiles = vision.max_num_tiles
pixels = torch.randn(1, 1, tiles, 3, vision.image_size, vision.image_size)
ratio = vision.supported_aspect_ratios.index([2, 2] if tiles == 4 else [1, 1]) + 1
given = dict(pixel_values=pixels, aspect_ratio_ids=torch.tensor([[ratio]]), aspect_ratio_mask=torch.ones(1, 1, tiles, dtype=torch.long))
ids = torch.cat([torch.tensor([config.image_token_index]), torch.arange(300, 300 + tokens - 1)])[None]
cross = [model.model.language_model.layers[layer] for layer in config.text_config.cross_attention_layers]
spent = [0.0]
for layer in cross:
    layer.register_forward_pre_hook(lambda *_: spent.__setitem__(0, spent[0] - now()))
    layer.register_forward_hook(lambda *_: spent.__setitem__(0, spent[0] + now()))


with torch.inference_mode():
    towers, layers = [], []
    for _ in range(ROUNDS):
        begun = now()
        features = model.model.vision_model(**given).last_hidden_state
        towers.append(now() - begun)
        begun = now()
        states = model.model.multi_modal_projector(features).reshape(-1, features.shape[-2], config.text_config.hidden_size)
        projector = now() - begun
        mask = torch.ones(1, tokens, 1, tiles, dtype=torch.long)
        spent[0] = 0.0
        model(input_ids=ids, cross_attention_states=states, cross_attention_mask=mask, use_cache=False, logits_to_keep=1)
        layers.append(projector + spent[0])
print(json.dumps({"tower": statistics.median(towers), "crossLayers": statistics.median(layers)}))
