"""Makes tests/golden/text: tiny random models in the layouts that people publish, with the logits that transformers gives.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers bitsandbytes safetensors numpy
    .venv/bin/python reference/text/make_golden.py

Logits are computed in f32 from the very weights that are stored (dequantized where they are quantized).
"""

import json
import shutil
from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as F
import numpy as np
import torch
import transformers
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "text"
COMMON = dict(
    vocab_size=160, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
)
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32, "rope_theta": 500000.0,
}
CASES = {
    "llama2-f32": (LlamaConfig(**COMMON), torch.float32, None),
    "llama32-bf16": (LlamaConfig(**COMMON, rope_parameters=LLAMA3, tie_word_embeddings=True), torch.bfloat16, None),
    "mistral-f16": (MistralConfig(**COMMON, head_dim=24, sliding_window=None), torch.float16, None),
    "qwen2-bf16": (Qwen2Config(**COMMON), torch.bfloat16, None),
    "qwen3-bf16": (Qwen3Config(**COMMON, head_dim=32), torch.bfloat16, None),
    "llama-bnb-nf4": (LlamaConfig(**COMMON, rope_parameters=LLAMA3), torch.bfloat16, "nf4"),
}


def quantized(weight: torch.Tensor, kind: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The tensors that bitsandbytes stores for a weight, and the weight that they stand for."""
    packed, state = F.quantize_4bit(weight.float(), blocksize=64, quant_type=kind, compress_statistics=True)
    stored = {"": packed} | {f".{key}": value for key, value in state.as_dict(packed=True).items()}
    absmax = (F.dequantize_blockwise(state.absmax, state.state2) + state.offset).float()
    back = _dequantize_4bit_compute(packed.reshape(-1), absmax, state.code, 64, state.shape, torch.float32)
    return stored, back


def main() -> None:
    for name, (config, dtype, kind) in CASES.items():
        torch.manual_seed(len(name))
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        for parameter in model.parameters():
            # Random norms and biases too: ones and zeros would hide a mistake.
            if parameter.dim() == 1:
                parameter.data = parameter.data + 0.3 * torch.randn_like(parameter)
            else:
                parameter.data = torch.randn_like(parameter) * 0.15
            parameter.data = parameter.data.to(dtype).float()
        tensors = {}
        for key, value in model.state_dict().items():
            if kind is not None and key.endswith("_proj.weight") and "layers.1.mlp.down" not in key:
                stored, back = quantized(value, kind)
                tensors |= {key + suffix: tensor.contiguous() for suffix, tensor in stored.items()}
                value.copy_(back)
            elif not (config.tie_word_embeddings and key == "lm_head.weight"):
                tensors[key] = value.to(dtype).contiguous()
        folder = TARGET / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        text = json.loads(config.to_json_string(use_diff=False))
        kept = {key: value for key, value in text.items() if value is not None}
        if kind is not None:
            kept["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind}
        (folder / "config.json").write_text(json.dumps(kept, indent=2) + "\n")
        tokens = torch.randint(0, 160, (1, 40), generator=torch.Generator().manual_seed(9))
        with torch.no_grad():
            logits = model(tokens).logits[0].numpy()
        np.savez_compressed(folder / "expected.npz", tokens=tokens[0].numpy().astype(np.int32), logits=logits)
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}, bitsandbytes {bnb.__version__}"
    (TARGET / "README.md").write_text(f"Made by reference/text/make_golden.py with {versions}.\n")


if __name__ == "__main__":
    main()
