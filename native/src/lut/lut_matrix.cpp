#include "lut/lut_matrix.h"

#include <algorithm>
#include <cmath>

namespace lutra::lut {

void LutMatrix::dequantize_row(std::int64_t row, std::span<float> target) const {
  const std::uint8_t* bytes = codes.data() + row * row_bytes();
  const float* values = table_of(row);
  const unsigned mask = (1U << bits) - 1U;
  for (std::int64_t column = 0; column < columns;) {
    std::int64_t end = 0;
    const float scale = scale_at(row, column, end);
    for (; column < end; ++column) {
      const std::int64_t bit = column * bits;
      unsigned word = bytes[bit / 8];
      if (bit / 8 + 1 < row_bytes()) word |= static_cast<unsigned>(bytes[bit / 8 + 1]) << 8;
      target[static_cast<std::size_t>(column)] = values[(word >> (bit % 8)) & mask] * scale;
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
  if (matrix.table.size() != count(matrix.table_entries()) &&
      matrix.table.size() != count(matrix.rows * matrix.table_entries())) {
    return wrong("has a table of the wrong length");
  }
  const auto is_finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(matrix.scales.begin(), matrix.scales.end(), is_finite))
    return wrong("has a scale that is no number");
  if (!std::all_of(matrix.table.begin(), matrix.table.end(), is_finite))
    return wrong("has a table entry that is no number");
  return core::success();
}

}  // namespace lutra::lut
