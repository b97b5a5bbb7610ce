#include "lut/lut_matrix.h"

#include <algorithm>
#include <cmath>

namespace lutra::lut {

void LutMatrix::dequantize_row(std::int64_t row, std::span<float> target) const {
  const std::uint8_t* bytes = codes.data() + row * row_bytes();
  const unsigned mask = (1U << bits) - 1U;
  const auto code_at = [&](std::int64_t column) {
    const std::int64_t bit = column * bits;
    unsigned word = bytes[bit / 8];
    if (bit / 8 + 1 < row_bytes()) word |= static_cast<unsigned>(bytes[bit / 8 + 1]) << 8;
    return (word >> (bit % 8)) & mask;
  };
  const float* values = has_pairs() ? nullptr : table_of(row);
  for (std::int64_t column = 0; column < columns;) {
    std::int64_t end = 0;
    const float scale = scale_at(row, column, end);
    for (; column < end; ++column) {
      float weight = 0;
      if (has_pairs()) {
        const std::int64_t even = column - column % 2;
        const std::size_t pair = (static_cast<std::size_t>(code_at(even)) << bits) | code_at(even + 1);
        weight = pair_table[2 * pair + static_cast<std::size_t>(column % 2)];
      } else {
        weight = values[code_at(column)];
      }
      target[static_cast<std::size_t>(column)] = weight * scale;
    }
  }
}

core::Status check(const LutMatrix& matrix, const std::string& name) {
  const auto wrong = [&](const std::string& what) {
    return core::Error{"bad-file", "The weight \"" + name + "\" " + what + ".", "Get the file again.", name};
  };
  if (matrix.rows < 1 || matrix.columns < 1) return wrong("is empty");
  if (matrix.bits < 2 || matrix.bits > 4) return wrong("has " + std::to_string(matrix.bits) + " bits");
  if (matrix.group_size < 1) return wrong("has no group size");
  const auto count = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  const std::int64_t groups = matrix.groups_straddle_rows
                                  ? (matrix.rows * matrix.columns + matrix.group_size - 1) / matrix.group_size
                                  : matrix.rows * matrix.groups_per_row();
  if (matrix.codes.size() != count(matrix.rows * matrix.row_bytes())) return wrong("has the wrong number of codes");
  if (matrix.scales.size() != count(groups)) return wrong("has the wrong number of scales");
  if (matrix.has_pairs()) {
    if (matrix.pair_table.size() != count(std::int64_t{2} << (2 * matrix.bits)))
      return wrong("has a pair table of the wrong length");
    if (matrix.columns % 2 != 0) return wrong("has a pair table and an odd number of columns");
  }
  if (matrix.hadamard_size < 0 || (matrix.hadamard_size > 0 && matrix.columns % matrix.hadamard_size != 0) ||
      (matrix.hadamard_size & (matrix.hadamard_size - 1)) != 0) {
    return wrong("has a Hadamard size of " + std::to_string(matrix.hadamard_size));
  }
  if (!(matrix.has_pairs() && matrix.table.empty()) && matrix.table.size() != count(matrix.table_entries()) &&
      matrix.table.size() != count(matrix.rows * matrix.table_entries())) {
    return wrong("has a table of the wrong length");
  }
  const auto is_finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(matrix.scales.begin(), matrix.scales.end(), is_finite))
    return wrong("has a scale that is no number");
  if (!std::all_of(matrix.table.begin(), matrix.table.end(), is_finite))
    return wrong("has a table entry that is no number");
  if (!std::all_of(matrix.pair_table.begin(), matrix.pair_table.end(), is_finite))
    return wrong("has a pair table entry that is no number");
  return core::success();
}

}  // namespace lutra::lut
