#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/aligned_bytes.h"
#include "core/result.h"
#include "core/threads.h"
#include "lut/lut_matrix.h"

namespace lutra::cuda {

enum class Scalar : std::uint8_t { f16, bf16, f32 };

/// `pairs`: one table of two neighbouring weights for all rows (made from a plain one, or HIGGS' own).
/// `rows`: a table per output row.
enum class Tables : std::uint8_t { pairs, rows };

/// What a packed weight is and where its parts begin within its bytes (256-byte aligned each).
///
/// codes: (row blocks of 64, column blocks of 64, `bits`, 32 lanes, 16 bytes). A lane's 16 `bits` bytes are its share
/// of
///   the sixteen 16 x 16 A fragments of mma.m16n8k16 that make up a block; see docs/cuda.md.
/// scales: f16 (row blocks, scale groups, 8 g, 4 tiles, 2): rows 16 tile + g and 16 tile + g + 8, each / output_scale.
/// tables: pairs: (2^(2 bits)) of two `activations` values, the even column's lower, indexed even | odd << bits.
///   rows: (row blocks, 4 tiles, 2^bits, 8 g) of two values, of rows 16 tile + g and 16 tile + g + 8.
struct LutLayout {
  std::int32_t rows = 0;             ///< outputs of the product; of a gated weight, half of what is stored
  std::int32_t stored_rows = 0;      ///< rows of weights
  std::int32_t columns = 0;          ///< inputs, a multiple of 8
  std::int32_t bits = 4;             ///< 2, 3 or 4
  std::int32_t scale_group = 64;     ///< columns of one stored scale: 32, 64, 128 or 256
  Scalar activations = Scalar::f16;  ///< f16 or bf16: what the table and the inputs of the tensor cores are
  Tables tables = Tables::pairs;
  bool is_gated = false;           ///< rows alternate in eights: gate, up; the product is silu(gate) * up
  float output_scale = 1;          ///< a power of two that the sums are multiplied by at the end
  std::int32_t hadamard_size = 0;  ///< inputs are transformed blockwise first; 0: not
  std::int64_t scales_offset = 0;  ///< bytes
  std::int64_t tables_offset = 0;
  std::int64_t size_bytes = 0;

  [[nodiscard]] std::int32_t row_blocks() const { return (stored_rows + 63) / 64; }
  [[nodiscard]] std::int32_t column_blocks() const { return (columns + 63) / 64; }
  [[nodiscard]] std::int32_t scale_groups() const { return (column_blocks() * 64 + scale_group - 1) / scale_group; }
  [[nodiscard]] std::int64_t block_bytes() const { return std::int64_t{512} * bits; }
};

/// A weight as the device holds it: upload `bytes` as they are, to a 256-byte aligned address.
struct LutImage {
  LutLayout layout;
  core::AlignedBytes bytes;
};

/// Re-lays checked matrices (lut::check), stacked one below the other (q, k, v in one product). All have the same
/// columns, bits, group size, Hadamard size and kind of table; where plain tables differ, each row gets its own.
/// Scales are rounded to f16, tables to `activations`. Fails with `unsupported` where the columns are no multiple of 8
/// or a group, after those over the flattened weight are cut at rows, is no multiple of 32.
core::Result<LutImage> pack(std::span<const lut::LutMatrix* const> matrices, Scalar activations,
                            core::ThreadPool& threads);

/// silu(gate x) * (up x) as one product. Both of the same shape; otherwise as `pack`.
core::Result<LutImage> pack_gated(const lut::LutMatrix& gate, const lut::LutMatrix& up, Scalar activations,
                                  core::ThreadPool& threads);

}  // namespace lutra::cuda
