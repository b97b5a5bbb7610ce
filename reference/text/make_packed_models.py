"""Adds to tests/golden/text: tiny random models in FLUTE's, HIGGS' and Lutra's own layout, with the logits that
transformers gives for the weights that they stand for.

    .venv/bin/python reference/text/make_packed_models.py      (after the set-up that make_golden.py tells)
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

sys.path.append(str(Path(__file__).parents[1] / "lut"))
from make_flute import hadamard, pack  # noqa: E402

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "text"
# name: bits, hidden size, layers, group size
CASES = {"flute-w4": (4, 128, 2, 32), "flute-w3": (3, 512, 1, 64), "higgs-w4": (4, 128, 2, 64), "lut-w2-rows": (2, 64, 2, 32)}
HADAMARD = 64


def stored_weight(name: str, key: str, bits: int, group: int, shape: tuple[int, int], rng: np.random.Generator):
    """The tensors of a weight in its layout, and the weight that they stand for."""
    rows, columns = shape
    prefix = key.removesuffix(".weight")
    codes = rng.integers(0, 2**bits, shape, dtype=np.uint8)
    scales = torch.from_numpy(rng.uniform(0.05, 0.25, (rows, columns // group))).half()
    wide = scales.float().numpy().repeat(group, axis=1)
    if name.startswith("lut"):
        table = torch.from_numpy(np.sort(rng.standard_normal((rows, 2**bits)), axis=1)).half()
        weight = np.take_along_axis(table.float().numpy(), codes.astype(int), axis=1) * wide
        packed = np.packbits(np.unpackbits(codes[..., None], axis=2, count=bits, bitorder="little").reshape(rows, -1), axis=1, bitorder="little")
        tensors = {".lut_codes": torch.from_numpy(packed), ".lut_scales": scales, ".lut_table": table}
        return {key + suffix: value for suffix, value in tensors.items()}, weight
    tensors = {f"{prefix}.weight": pack(codes, bits, 32), f"{prefix}.scales": scales}
    if name.startswith("flute"):
        table = torch.from_numpy(np.sort(rng.standard_normal(2**bits))).half()
        tensors[f"{prefix}.tables"] = table
        tensors[f"{prefix}.tables2"] = torch.full((2**bits, 2**bits, 1), float("nan"))
        return tensors, table.float().numpy()[codes] * wide
    grid = torch.from_numpy(rng.standard_normal((2 ** (2 * bits), 2))).half()
    tensors[f"{prefix}.tables"] = torch.arange(2**bits).half()
    tensors[f"{prefix}.tables2"] = grid.reshape(2**bits, 2**bits, 2).contiguous()
    values = grid.float().numpy()[codes[:, 0::2].astype(int) << bits | codes[:, 1::2]].reshape(shape) * wide
    # y = W (H x) = (W H) x
    return tensors, (values.reshape(rows, -1, HADAMARD) @ hadamard(HADAMARD)).reshape(shape)


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.half().float()


def attend_in_f16(module, query, key, value, attention_mask, scaling, **_):
    """Attention (heads as keys) whose queries, keys, values and shares are rounded to f16, and whose sums are f32."""
    n = query.shape[2]
    scores = rounded(query * scaling) @ rounded(key).transpose(2, 3)
    scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
    shares = torch.exp(scores - scores.amax(-1, keepdim=True))
    mixed = rounded(shares) @ rounded(value) / shares.sum(-1, keepdim=True)
    return mixed.transpose(1, 2), None


def in_f16(model):
    """The model with what products and attention take rounded to f16, as on a graphics card. FLUTE's random weights
    spread a token's scores by 15 nats: every rounding there is another mix of values, and their logits are off by up to
    8e-3 of their range whoever computes them in f16."""
    ALL_ATTENTION_FUNCTIONS.register("f16", attend_in_f16)
    model.set_attn_implementation("f16")
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]),))
    return model


def main() -> None:
    for name, (bits, hidden, layers, group) in CASES.items():
        torch.manual_seed(len(name))
        rng = np.random.default_rng(len(name))
        heads = hidden // 32
        config = LlamaConfig(
            vocab_size=160, hidden_size=hidden, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            num_key_value_heads=heads, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
        )
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        tensors = {}
        for key, value in model.state_dict().items():
            if key.endswith("_proj.weight"):
                stored, weight = stored_weight(name, key, bits, group, tuple(value.shape), rng)
                tensors |= stored
                value.copy_(torch.from_numpy(weight) * 1.0)
            else:
                value.copy_((value + 0.3 * torch.randn_like(value) if value.dim() == 1 else torch.randn_like(value)).half().float())
                tensors[key] = value.half().contiguous()
        folder = TARGET / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
        kept = {key: value for key, value in json.loads(config.to_json_string(use_diff=False)).items() if value is not None}
        if name.startswith("flute"):
            (folder / "flute_config.json").write_text(json.dumps({"num_sms": 108, "num_bits": bits, "group_size": group}) + "\n")
        elif name.startswith("higgs"):
            kept["quantization_config"] = {"quant_method": "higgs", "bits": bits, "p": 2, "group_size": group, "hadamard_size": HADAMARD, "modules_to_not_convert": ["lm_head"]}
        else:
            kept["quantization_config"] = {"quant_method": "lut", "bits": bits, "group_size": group, "table": "learned", "version": 1}
        (folder / "config.json").write_text(json.dumps(kept, indent=2) + "\n")
        tokens = torch.randint(0, 160, (1, 40), generator=torch.Generator().manual_seed(9))
        with torch.no_grad():
            logits = model(tokens).logits[0].numpy()
        arrays = {"tokens": tokens[0].numpy().astype(np.int32), "logits": logits}
        if name.startswith("flute"):
            with torch.no_grad():
                arrays["f16_logits"] = in_f16(model)(tokens).logits[0].numpy()
        np.savez_compressed(folder / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
