"""Makes tests/golden/lut/{flute,higgs}.safetensors and {flute,higgs}_dequantized.npz: weights packed as FLUTE packs them,
with what they stand for.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 safetensors==0.8.0 numpy==2.3.5
    .venv/bin/python reference/lut/make_flute.py

Each code is placed by its own row n and column k, from the description of the packing: which 16-bit word, which bit.
The versions that made the files stand in each file's metadata.
"""

from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file

TARGET = Path(__file__).parents[2] / "tests" / "golden" / "lut"
VERSIONS = {
    "made_by": "reference/lut/make_flute.py",
    "torch": torch.__version__,
    "numpy": np.__version__,
    "safetensors": safetensors.__version__,
}

# name: bits, TileP, rows, columns, group size, type of scales and table
FLUTE = {
    "w4_t32": (4, 32, 256, 32, 16, torch.float16),
    "w4_t64": (4, 64, 256, 16, 8, torch.bfloat16),
    "w3_t32": (3, 32, 1024, 16, 8, torch.float16),
    "w3_bf16": (3, 32, 512, 8, 4, torch.bfloat16),
    "w2_t32": (2, 32, 512, 16, 16, torch.bfloat16),
    "w2_t64": (2, 64, 1024, 16, 8, torch.float16),
}
# name: bits, p, TileP, rows, columns before they are filled up, group size, Hadamard size, tables2 dressed as F32
HIGGS = {
    "pair4": (4, 2, 32, 128, 28, 8, 16, False),
    "pair3": (3, 2, 32, 512, 16, 8, 8, True),
    "pair2": (2, 2, 64, 512, 16, 16, 16, False),
    "scalar4": (4, 1, 64, 256, 16, 16, 16, False),
}


def place(bits: int, tile: int, n: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, ...]:
    """Where the code of (n, k) lies in its unit: a 16-bit word (bits 2 and 4), as (row, column, lowest bit); or, for 3
    bits, in a run of 96 bits made of three 32-bit words, as (unit's row, word, lowest bit, slot)."""
    parts = 16 // bits if bits != 3 else 16
    chunk, inside = n // (parts * tile), n % (parts * tile)
    part, lane = inside // tile, inside % tile
    unit = chunk * tile + lane
    if bits == 3:
        # Slots 0 to 14 fill the words in turn, five each; of a pair of columns the odd one lies lower.
        return unit, part % 3, 6 * (part // 3) + 3 * (k % 2 == 0), part
    upper = part >= parts // 2  # that half of the rows goes into the odd column's word
    field = 2 * (part % (parts // 2)) + (k % 2 == 0)
    return unit, k - k % 2 + upper, field * bits, part


def pack(codes: np.ndarray, bits: int, tile: int) -> torch.Tensor:
    """codes (rows, columns) -> I16 (rows bits / 16, columns)"""
    rows, columns = codes.shape
    n, k = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    words = np.zeros((rows * bits // 16, columns), dtype=np.uint16)
    value = codes.astype(np.uint32)
    if bits != 3:
        row, column, bit, _ = place(bits, tile, n, k)
        np.bitwise_or.at(words, (row, column), (value << bit.astype(np.uint32)).astype(np.uint16))
        return torch.from_numpy(words.view(np.int16))
    unit, word, bit, slot = place(bits, tile, n, k)
    triple = np.zeros((rows // 16, columns // 2, 3), dtype=np.uint32)
    plain = slot < 15
    np.bitwise_or.at(
        triple, (unit[plain], k[plain] // 2, word[plain]), value[plain] << bit[plain].astype(np.uint32)
    )
    # The last pair of each unit: two bits on top of each word, the first word's lowest.
    last = ~plain
    pair = np.zeros((rows // 16, columns // 2), dtype=np.uint32)
    np.bitwise_or.at(pair, (unit[last], k[last] // 2), value[last] << np.where(k[last] % 2 == 0, 3, 0).astype(np.uint32))
    for i in range(3):
        triple[:, :, i] |= (pair >> np.uint32(2 * i) & np.uint32(3)) << np.uint32(30)
    # (units, pairs of columns, 3) 32-bit words -> three streams of units, 16 bits of each in either column
    streams = triple.view(np.uint16).reshape(rows // 16, columns // 2, 3, 2).transpose(2, 0, 1, 3)
    streams = streams.reshape(3, rows // 16, columns)
    words[: rows // 16] = streams[0]
    # The second and third stream take turns, a tile each.
    rest = streams[1:].reshape(2, -1, tile, columns).transpose(1, 0, 2, 3)
    words[rows // 16 :] = rest.reshape(-1, columns)
    return torch.from_numpy(words.view(np.int16))


def codes_of(rng: np.random.Generator, rows: int, columns: int, bits: int) -> np.ndarray:
    return rng.integers(0, 2**bits, (rows, columns), dtype=np.uint8)


def hadamard(size: int) -> np.ndarray:
    """Sylvester's, normalised."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / np.sqrt(size)


def make_flute(rng: np.random.Generator) -> None:
    tensors, expected = {}, {}
    for name, (bits, tile, rows, columns, group, dtype) in FLUTE.items():
        codes = codes_of(rng, rows, columns, bits)
        table = torch.from_numpy(np.sort(rng.uniform(-1, 1, 2**bits))).to(dtype)
        scales = torch.from_numpy(rng.uniform(0.01, 0.1, (rows, columns // group))).to(dtype)
        tensors[f"{name}.weight"] = pack(codes, bits, tile)
        tensors[f"{name}.scales"] = scales
        tensors[f"{name}.tables"] = table
        # FLUTE writes pairs here, which converters have been seen to spoil; no reader of ours may depend on them.
        tensors[f"{name}.tables2"] = torch.full((2**bits, 2**bits, 1), float("nan"))
        wide = scales.float().numpy().repeat(group, axis=1)
        expected[name] = table.float().numpy()[codes] * wide
    save_file(tensors, TARGET / "flute.safetensors", metadata=VERSIONS)
    np.savez_compressed(TARGET / "flute_dequantized.npz", **expected)


def make_higgs(rng: np.random.Generator) -> None:
    """The npz holds the weights as they are stored (`name`), and for inputs `name.x` of the unfilled length what the
    layer gives, `name.y`, in 64-bit arithmetic."""
    tensors, expected = {}, {}
    for name, (bits, p, tile, rows, columns, group, size, dressed) in HIGGS.items():
        filled = -(-columns // size) * size
        codes = codes_of(rng, rows, filled, bits)
        scales = torch.from_numpy(rng.uniform(0.01, 0.1, (rows, filled // group))).half()
        tensors[f"{name}.weight"] = pack(codes, bits, tile)
        tensors[f"{name}.scales"] = scales
        if p == 2:
            grid = torch.from_numpy(rng.standard_normal((2 ** (2 * bits), 2))).half()
            index = codes[:, 0::2].astype(int) << bits | codes[:, 1::2]
            values = grid.float().numpy()[index].reshape(rows, filled)
            pairs = grid.reshape(2**bits, 2**bits, 2).contiguous()
            tensors[f"{name}.tables"] = torch.arange(2**bits).half()
            tensors[f"{name}.tables2"] = pairs.view(torch.float32) if dressed else pairs
        else:
            table = torch.from_numpy(np.sort(rng.standard_normal(2**bits))).half()
            values = table.float().numpy()[codes]
            tensors[f"{name}.tables"] = table
            tensors[f"{name}.tables2"] = torch.zeros((2**bits, 2**bits, 2)).half()
        weight = values * scales.float().numpy().repeat(group, axis=1)
        x = rng.standard_normal(columns)
        transformed = (np.pad(x, (0, filled - columns)).reshape(-1, size) @ hadamard(size)).reshape(-1)
        expected[name] = weight
        expected[f"{name}.x"] = x.astype(np.float32)
        expected[f"{name}.y"] = (weight.astype(np.float64) @ transformed).astype(np.float32)
    save_file(tensors, TARGET / "higgs.safetensors", metadata=VERSIONS)
    np.savez_compressed(TARGET / "higgs_dequantized.npz", **expected)


if __name__ == "__main__":
    TARGET.mkdir(parents=True, exist_ok=True)
    make_flute(np.random.default_rng(11))
    make_higgs(np.random.default_rng(12))
