"""Makes tests/golden/lut: weights as bitsandbytes writes them, with what it reads back from them.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 bitsandbytes safetensors numpy
    .venv/bin/python reference/lut/make_golden.py

The versions that made the committed files stand in tests/golden/lut/README.md, which this script writes too.
"""

from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as F
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from safetensors.torch import save_file

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "lut"

# name: rows, columns, kind, block size, double-quantized, how the bytes are dressed
CASES = {
    "nf4": (24, 128, "nf4", 64, False, torch.uint8),
    "nf4_double": (40, 192, "nf4", 64, True, torch.uint8),
    "fp4": (16, 64, "fp4", 64, False, torch.uint8),
    "fp4_double": (16, 128, "fp4", 128, True, torch.uint8),
    "straddling": (10, 96, "nf4", 64, False, torch.uint8),
    "odd_columns": (6, 50, "nf4", 64, True, torch.uint8),
    "as_bf16": (8, 64, "nf4", 64, False, torch.bfloat16),
    "block_32": (8, 64, "nf4", 32, False, torch.uint8),
    "block_4096": (64, 128, "nf4", 4096, True, torch.uint8),
}


def read_back(packed: torch.Tensor, state: F.QuantState) -> torch.Tensor:
    """By bitsandbytes' generic code: its own kernel for CPUs (0.50.2) reads blocks that straddle rows wrongly, which
    shows as twice the error against the weight that was quantized."""
    absmax = state.absmax
    if state.nested:
        absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset
    return _dequantize_4bit_compute(
        packed.view(torch.uint8).reshape(-1), absmax.float(), state.code, state.blocksize, state.shape, torch.float32
    )


def main() -> None:
    torch.manual_seed(3)
    TARGET.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    expected: dict[str, np.ndarray] = {}
    for name, (rows, columns, kind, block, double, storage) in CASES.items():
        weight = torch.randn(rows, columns) * 0.05
        packed, state = F.quantize_4bit(
            weight, blocksize=block, quant_type=kind, compress_statistics=double, quant_storage=storage
        )
        tensors[f"{name}.weight"] = packed
        for key, value in state.as_dict(packed=True).items():
            tensors[f"{name}.weight.{key}"] = value
        expected[name] = read_back(packed, state).numpy()
        assert np.abs(expected[name] - weight.numpy()).max() < 0.04, name
    tensors["dense.weight"] = torch.randn(4, 4).to(torch.bfloat16)
    save_file({key: value.contiguous() for key, value in tensors.items()}, TARGET / "bitsandbytes.safetensors")
    np.savez_compressed(TARGET / "dequantized.npz", **expected)
    (TARGET / "README.md").write_text(
        f"Made by reference/lut/make_golden.py with bitsandbytes {bnb.__version__}, torch {torch.__version__}.\n"
    )


if __name__ == "__main__":
    main()
