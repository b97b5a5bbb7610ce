#pragma once
#include <cstdint>
#include <vector>

#include "core/aligned_bytes.h"
#include "core/safetensors.h"
#include "core/threads.h"
#include "lut/lut_matrix.h"

namespace lutra::lut {

/// `exact`: table entries and activations in f32, sums in f32. `fast`: both in 8 bits (the table scaled to its largest
/// entry, activations by blocks of at most 64), products summed in 32 bits, blocks and groups in f32.
enum class Precision { exact, fast };

/// How a row of inputs is cut up for the kernels: groups as the weight has them, each filled with zeros to whole
/// blocks.
struct BlockLayout {
  std::int64_t columns = 0;
  std::int64_t group_size = 0;
  std::int64_t groups = 0;
  std::int64_t block = 64;  ///< 32 or 64 inputs with one activation scale
  std::int64_t blocks_per_group = 1;

  BlockLayout() = default;
  BlockLayout(std::int64_t n_columns, std::int64_t group);

  [[nodiscard]] std::int64_t blocks() const { return groups * blocks_per_group; }
  [[nodiscard]] std::int64_t padded() const { return blocks() * block; }
  /// Bytes of one token's activations. Fast: i8 (padded), f32 scale (blocks), i32 offset sum (blocks). Exact: f32
  /// (padded). A multiple of 64.
  [[nodiscard]] std::int64_t token_bytes(Precision precision) const;
  bool operator==(const BlockLayout&) const = default;
};

/// A weight re-laid for the kernels: 16 rows side by side, so that one register holds 4 inputs of each, and a scale
/// multiplies 16 rows at once. Per 16 rows: for each block, for each 32 inputs, `bits` times 64 bytes:
///   4 bits: byte vector j holds inputs 8j..8j+3 of each row in its low halves, 8j+4..8j+7 in its high ones
///   2 bits: byte vector j holds inputs 16j+4i.. at bits 2i
///   3 bits: two vectors as for 2 bits with the low bits, then one whose bit i is the high bit of inputs 4i..
///   8 bits: signed weights, vector i holds inputs 4i..
struct PackedMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  int bits = 4;  ///< 2, 3, 4: codes into a table; 8: signed weights
  BlockLayout layout;
  core::AlignedBytes codes;
  std::vector<std::uint16_t> half_scales;  ///< f16 (row blocks, groups, 16), or empty
  std::vector<float> scales;               ///< the same in f32 where f16 would round them
  bool has_row_tables = false;
  std::vector<float> table;             ///< (2^bits) or (rows to 16, 2^bits); of pairs (2^bits, 2^bits, 2)
  std::vector<std::int8_t> byte_table;  ///< the table / its scale, rounded
  std::vector<float> byte_scales;       ///< (16) for all rows, or (rows to 16)
  bool has_pairs = false;
  std::int64_t hadamard_size = 0;

  [[nodiscard]] std::int64_t row_blocks() const { return (rows + 15) / 16; }
  [[nodiscard]] std::int64_t row_block_bytes() const { return layout.padded() / 32 * 64 * bits; }
  [[nodiscard]] const std::uint8_t* codes_of(std::int64_t row_block) const {
    return codes.data() + row_block * row_block_bytes();
  }
  [[nodiscard]] std::size_t size_bytes() const {
    return codes.size() + half_scales.size() * 2 + (scales.size() + table.size() + byte_scales.size()) * 4;
  }
};

/// Re-lays a checked matrix. In fast mode scales are rounded to f16 where they fit (2e-4 of themselves at most).
PackedMatrix pack(const LutMatrix& matrix, Precision precision, core::ThreadPool& threads);

/// A weight (rows, columns) of f32, f16 or bf16 as 8-bit integers with an f16 scale per 32 inputs (Q8_0).
PackedMatrix pack_q8(const core::TensorView& weight, core::ThreadPool& threads);

}  // namespace lutra::lut
