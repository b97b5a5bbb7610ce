"""Makes tests/golden/core: what the original libraries write and how they round.

    python3 -m venv .venv && .venv/bin/pip install numpy ml_dtypes safetensors
    .venv/bin/python reference/core/make_golden.py

The versions that made the committed files stand in tests/golden/core/README.md, which this script writes too.
"""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save_file

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "core"


def interesting_floats() -> np.ndarray:
    """f32 values around every edge of f16 and bf16, and random bit patterns without NaN."""
    random = np.random.default_rng(7)
    bits = random.integers(0, 2**32, size=4000, dtype=np.uint32)
    halves = np.arange(0, 2**16, 37, dtype=np.uint16).view(np.float16).astype(np.float32)
    edges = np.array([0.0, -0.0, 65504, 65519.99, 65520, 1e-8, 5.96e-8, 2.98e-8, 6.1e-5, 3.4e38, np.inf, -np.inf])
    # Exactly between two f16 values: ties go to the even one.
    between = (halves[:-1] + halves[1:]) / 2
    values = np.concatenate([bits.view(np.float32), halves, between, edges.astype(np.float32)])
    return values[~np.isnan(values)].astype(np.float32)


def write_conversions() -> None:
    values = interesting_floats()
    np.savez(
        TARGET / "conversions.npz",
        f32=values,
        f16_bits=values.astype(np.float16).view(np.uint16),
        bf16_bits=values.astype(ml_dtypes.bfloat16).view(np.uint16),
        f16_widened=np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32),
        f8_e4m3_widened=np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32).view(np.uint32),
        f8_e5m2_widened=np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e5m2).astype(np.float32).view(np.uint32),
    )


def write_arrays() -> None:
    """One array per element type, in both orders, stored and deflated."""
    arrays = {
        name: np.arange(24).reshape(2, 3, 4).astype(dtype)
        for name, dtype in [
            ("b1", "?"), ("u1", "u1"), ("i1", "i1"), ("u2", "u2"), ("i2", "i2"), ("u4", "u4"), ("i4", "i4"),
            ("u8", "u8"), ("i8", "i8"), ("f2", "f2"), ("f4", "f4"), ("f8", "f8"),
        ]
    }
    arrays["scalar"] = np.array(2.5, dtype="f4")
    arrays["empty"] = np.zeros((0, 5), dtype="f4")
    arrays["fortran"] = np.asfortranarray(arrays["f4"])
    np.savez(TARGET / "stored.npz", **arrays)
    np.savez_compressed(TARGET / "deflated.npz", **arrays, noise=np.random.default_rng(1).normal(size=3000).astype("f4"))


def write_safetensors() -> None:
    tensors = {
        "half": np.linspace(-2, 2, 12).astype(np.float16).reshape(3, 4),
        "brain": np.linspace(-2, 2, 12).astype(ml_dtypes.bfloat16).reshape(3, 4),
        "single": np.linspace(-2, 2, 12).astype(np.float32).reshape(3, 4),
        "eight": np.linspace(-2, 2, 12).astype(ml_dtypes.float8_e4m3fn).reshape(3, 4),
        "whole": np.arange(-6, 6, dtype=np.int64).reshape(3, 4),
        "none": np.zeros((0, 7), dtype=np.float32),
        "one": np.array(3.25, dtype=np.float32),
        "名前": np.array([1, 0, 1], dtype=bool),
    }
    save_file(tensors, TARGET / "types.safetensors", metadata={"format": "np", "说明": "水獭"})
    shards = {f"model-{i:05d}-of-00002.safetensors": {f"layer.{i}.weight": np.full((4, 4), i, np.float32)} for i in (1, 2)}
    for name, content in shards.items():
        save_file(content, TARGET / "sharded" / name)
    index = {
        "metadata": {"total_size": 128},
        "weight_map": {tensor: name for name, content in shards.items() for tensor in content},
    }
    (TARGET / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def main() -> None:
    (TARGET / "sharded").mkdir(parents=True, exist_ok=True)
    write_conversions()
    write_arrays()
    write_safetensors()
    assert struct.calcsize("f") == 4
    versions = f"numpy {np.__version__}, ml_dtypes {ml_dtypes.__version__}, safetensors {safetensors.__version__}"
    (TARGET / "README.md").write_text(f"Made by reference/core/make_golden.py with {versions}.\n")


if __name__ == "__main__":
    main()
