#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/safetensors.h"

namespace lutra::lut {

/// A weight (rows, columns) that stays quantized: w = table[code] * scale[group], or two neighbours at a time:
/// (w, w') = pair_table[code][code'] * scale[group].
struct LutMatrix {
  std::int64_t rows = 0;     ///< outputs
  std::int64_t columns = 0;  ///< inputs, filled up to a multiple of `hadamard_size` where that is not 0
  int bits = 4;              ///< 2, 3 or 4
  std::int64_t group_size = 64;
  /// Groups run over the flattened weight and may begin and end within a row (bitsandbytes); false: anew in each row.
  bool groups_straddle_rows = false;
  std::vector<std::uint8_t> codes;  ///< (rows, row_bytes), little-endian along a row, rows begin at bytes
  std::vector<float> scales;        ///< (rows, groups of a row), or one per group of the flattened weight
  std::vector<float> table;         ///< (2^bits), or (rows, 2^bits); may be empty where there is a pair table
  /// (2^bits, 2^bits, 2): [code of even column][code of odd column] -> two weights; empty for plain tables
  std::vector<float> pair_table = {};
  std::int64_t hadamard_size = 0;  ///< activations are transformed blockwise first (lut/hadamard.h); 0: not

  [[nodiscard]] std::int64_t row_bytes() const { return (columns * bits + 7) / 8; }
  [[nodiscard]] std::int64_t groups_per_row() const { return (columns + group_size - 1) / group_size; }
  [[nodiscard]] int table_entries() const { return 1 << bits; }
  [[nodiscard]] bool has_row_tables() const { return table.size() > static_cast<std::size_t>(table_entries()); }
  [[nodiscard]] bool has_pairs() const { return !pair_table.empty(); }
  [[nodiscard]] const float* table_of(std::int64_t row) const {
    return table.data() + (has_row_tables() ? row * table_entries() : 0);
  }
  /// The scale at a place, and the column where the next one begins.
  [[nodiscard]] float scale_at(std::int64_t row, std::int64_t column, std::int64_t& group_end) const {
    const std::int64_t flat = groups_straddle_rows ? row * columns + column : column;
    const std::int64_t group = flat / group_size;
    const std::int64_t end = column + (group + 1) * group_size - flat;
    group_end = end < columns ? end : columns;
    return scales[static_cast<std::size_t>(groups_straddle_rows ? group : row * groups_per_row() + group)];
  }
  [[nodiscard]] std::size_t size_bytes() const {
    return codes.size() + (scales.size() + table.size() + pair_table.size()) * sizeof(float);
  }
  /// All weights of a row, widened. `target.size() == columns`.
  void dequantize_row(std::int64_t row, std::span<float> target) const;
};

/// Fails with `bad-file` that names the weight: sizes that do not match, NaN or infinite scales or table entries.
core::Status check(const LutMatrix& matrix, const std::string& name);

}  // namespace lutra::lut
