#include "lut/packed_matrix.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/dtype.h"

namespace lutra::lut {
namespace {

constexpr std::int64_t lanes = 16;
constexpr std::int64_t run = 32;  // inputs that are packed together
constexpr std::int64_t vector_bytes = 64;
constexpr std::int64_t vectors = run / 4;
constexpr std::int64_t q8_group = 32;

std::int64_t round_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

/// One code per byte.
void unpack_codes(const std::uint8_t* packed, std::int64_t row_bytes, std::int64_t count, int bits,
                  std::uint8_t* codes) {
  std::int64_t i = 0;
  if (bits == 4) {
    for (; i + 2 <= count; i += 2) {
      codes[i] = packed[i / 2] & 15U;
      codes[i + 1] = packed[i / 2] >> 4;
    }
  } else if (bits == 2) {
    for (; i + 4 <= count; i += 4) {
      for (int j = 0; j < 4; ++j) codes[i + j] = packed[i / 4] >> (2 * j) & 3U;
    }
  } else {
    for (; i + 8 <= count; i += 8) {
      const std::uint8_t* bytes = packed + i / 8 * 3;
      const std::uint32_t word = bytes[0] | bytes[1] << 8 | bytes[2] << 16;
      for (int j = 0; j < 8; ++j) codes[i + j] = word >> (3 * j) & 7U;
    }
  }
  for (; i < count; ++i) {
    const std::int64_t bit = i * bits;
    unsigned word = packed[bit / 8];
    if (bit / 8 + 1 < row_bytes) word |= static_cast<unsigned>(packed[bit / 8 + 1]) << 8;
    codes[i] = static_cast<std::uint8_t>((word >> (bit % 8)) & ((1U << bits) - 1U));
  }
}

/// Eight vectors of one code per byte to `bits` vectors; the layout is told at PackedMatrix.
void combine(const std::uint8_t (&in)[vectors][vector_bytes], int bits, std::uint8_t* out) {
  const auto each = [&](std::int64_t vector, const auto& byte) {
    for (std::int64_t i = 0; i < vector_bytes; ++i) out[vector * vector_bytes + i] = static_cast<std::uint8_t>(byte(i));
  };
  switch (bits) {
    case 8:
      std::memcpy(out, in, sizeof(in));
      return;
    case 4:
      for (std::int64_t j = 0; j < 4; ++j)
        each(j, [&](std::int64_t i) { return in[2 * j][i] | in[2 * j + 1][i] << 4; });
      return;
    default:
      for (std::int64_t j = 0; j < 2; ++j) {
        each(j, [&](std::int64_t i) {
          const auto low = [&](std::int64_t k) { return (in[4 * j + k][i] & 3) << (2 * k); };
          return low(0) | low(1) | low(2) | low(3);
        });
      }
  }
  if (bits == 3) {
    each(2, [&](std::int64_t i) {
      int high = 0;
      for (int k = 0; k < vectors; ++k) high |= (in[k][i] >> 2) << k;
      return high;
    });
  }
}

/// Writes 16 rows of `(padded)` bytes each.
void lay(const std::uint8_t* rows, std::int64_t padded, int bits, std::uint8_t* target) {
  std::uint8_t in[vectors][vector_bytes];
  for (std::int64_t first = 0; first < padded; first += run) {
    for (std::int64_t row = 0; row < lanes; ++row) {
      const std::uint8_t* source = rows + row * padded + first;
      for (std::int64_t vector = 0; vector < vectors; ++vector)
        std::memcpy(in[vector] + 4 * row, source + 4 * vector, 4);
    }
    combine(in, bits, target + first / run * vector_bytes * bits);
  }
}

/// From a row's own places to places in blocks.
template <typename Value>
void spread(const BlockLayout& layout, const Value* row, Value* padded) {
  const std::int64_t step = layout.blocks_per_group * layout.block;
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const std::int64_t first = group * layout.group_size;
    const std::int64_t count = std::min(layout.group_size, layout.columns - first);
    std::copy(row + first, row + first + count, padded + group * step);
  }
}

bool fits_half(float value, bool exactly) {
  // Most scales come from f16: nothing in the lower bits, and an exponent that f16 has.
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t exponent = bits >> 23 & 0xFFU;
  if ((bits & 0x1FFFU) == 0 && exponent >= 113 && exponent <= 142) return true;
  const float back = core::f16_to_f32(core::f32_to_f16(value));
  if (exactly) return back == value;
  constexpr float least_relative_error = 1e-3F;  // subnormals lose more
  return std::isfinite(back) && std::abs(back - value) <= least_relative_error * std::abs(value);
}

/// Tables for the fast kernels.
void round_table(PackedMatrix& matrix) {
  constexpr float largest = 127;
  const std::size_t entries = matrix.has_row_tables ? std::size_t{1} << matrix.bits : matrix.table.size();
  matrix.byte_table.resize(matrix.table.size());
  for (std::size_t first = 0; first < matrix.table.size(); first += entries) {
    float most = 0;
    for (std::size_t i = first; i < first + entries; ++i) most = std::max(most, std::abs(matrix.table[i]));
    const float scale = most / largest;
    for (std::size_t i = first; i < first + entries; ++i) {
      matrix.byte_table[i] = static_cast<std::int8_t>(most > 0 ? std::lround(matrix.table[i] / scale) : 0);
    }
    if (matrix.has_row_tables)
      matrix.byte_scales.push_back(scale);
    else
      matrix.byte_scales.assign(lanes, scale);
  }
}

/// Signed bytes of a group, and their scale in f16.
std::uint16_t round_group(const float* values, std::uint8_t* target) {
  constexpr float largest = 127;
  // Magnitudes of floats are ordered as their bits are; whole numbers make this loop vector code.
  std::int32_t most_bits = 0;
  for (std::int64_t i = 0; i < q8_group; ++i) {
    const std::int32_t bits = std::bit_cast<std::int32_t>(values[i]) & 0x7FFFFFFF;
    most_bits = std::max(most_bits, bits);
  }
  const std::uint16_t stored = core::f32_to_f16(std::bit_cast<float>(most_bits) / largest);
  const float scale = core::f16_to_f32(stored);
  const float inverse = scale > 0 ? 1 / scale : 0;
  for (std::int64_t i = 0; i < q8_group; ++i) {
    // Adding 1.5 * 2^23 rounds to a whole number, ties to even, in the lowest bits.
    constexpr float magic = 12582912.0F;
    const float bounded = std::clamp(values[i] * inverse, -largest, largest);
    target[i] = static_cast<std::uint8_t>(std::bit_cast<std::int32_t>(bounded + magic) - 0x4B400000);
  }
  return stored;
}

}  // namespace

BlockLayout::BlockLayout(std::int64_t n_columns, std::int64_t group)
    : columns(n_columns), group_size(std::min(group, n_columns)) {
  groups = (columns + group_size - 1) / group_size;
  // A remainder that would fill less than half of a block is better off in a smaller one.
  block = group_size % 64 == 0 || group_size > 256 ? 64 : 32;
  blocks_per_group = (group_size + block - 1) / block;
}

std::int64_t BlockLayout::token_bytes(Precision precision) const {
  const std::int64_t bytes =
      precision == Precision::exact ? padded() * 4 : padded() + blocks() * static_cast<std::int64_t>(4 + 4);
  return round_up(bytes, 64);
}

PackedMatrix pack(const LutMatrix& matrix, Precision precision, core::ThreadPool& threads) {
  PackedMatrix packed;
  packed.rows = matrix.rows;
  packed.columns = matrix.columns;
  packed.bits = matrix.bits;
  // Groups over the flattened weight become smaller ones that stay within a row.
  const std::int64_t group =
      matrix.groups_straddle_rows ? std::gcd(matrix.columns, matrix.group_size) : matrix.group_size;
  packed.layout = BlockLayout(matrix.columns, group);
  packed.codes = core::AlignedBytes(static_cast<std::size_t>(packed.row_blocks() * packed.row_block_bytes()));
  packed.has_pairs = matrix.has_pairs();
  packed.has_row_tables = !packed.has_pairs && matrix.has_row_tables();
  packed.hadamard_size = matrix.hadamard_size;
  packed.table = packed.has_pairs ? matrix.pair_table : matrix.table;
  if (packed.has_row_tables)
    packed.table.resize(static_cast<std::size_t>(packed.row_blocks() * lanes * matrix.table_entries()));
  if (precision == Precision::fast) round_table(packed);

  const std::int64_t groups = packed.layout.groups;
  const bool is_half = std::all_of(matrix.scales.begin(), matrix.scales.end(),
                                   [&](float scale) { return fits_half(scale, precision == Precision::exact); });
  const auto n_scales = static_cast<std::size_t>(packed.row_blocks() * groups * lanes);
  if (is_half)
    packed.half_scales.resize(n_scales);
  else
    packed.scales.resize(n_scales);

  threads.for_each(static_cast<std::size_t>(packed.row_blocks()), 1, [&](std::size_t begin, std::size_t end) {
    const std::int64_t padded = packed.layout.padded();
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(matrix.columns));
    std::vector<std::uint8_t> rows(static_cast<std::size_t>(lanes * padded));
    for (auto block = static_cast<std::int64_t>(begin); block < static_cast<std::int64_t>(end); ++block) {
      std::fill(rows.begin(), rows.end(), 0);
      for (std::int64_t lane = 0; lane < std::min(lanes, matrix.rows - block * lanes); ++lane) {
        const std::int64_t row = block * lanes + lane;
        unpack_codes(matrix.codes.data() + row * matrix.row_bytes(), matrix.row_bytes(), matrix.columns, matrix.bits,
                     codes.data());
        spread(packed.layout, codes.data(), rows.data() + lane * padded);
        for (std::int64_t g = 0; g < groups; ++g) {
          std::int64_t ignored = 0;
          const float scale = matrix.scale_at(row, g * group, ignored);
          const auto at = static_cast<std::size_t>((block * groups + g) * lanes + lane);
          if (is_half)
            packed.half_scales[at] = core::f32_to_f16(scale);
          else
            packed.scales[at] = scale;
        }
      }
      lay(rows.data(), padded, matrix.bits, packed.codes.data() + block * packed.row_block_bytes());
    }
  });
  return packed;
}

PackedMatrix pack_q8(const core::TensorView& weight, core::ThreadPool& threads) {
  constexpr std::int64_t group = q8_group;
  PackedMatrix packed;
  packed.rows = weight.shape[0];
  packed.columns = weight.shape[1];
  packed.bits = 8;
  packed.layout = BlockLayout(packed.columns, group);
  packed.codes = core::AlignedBytes(static_cast<std::size_t>(packed.row_blocks() * packed.row_block_bytes()));
  packed.byte_scales.assign(lanes, 1.0F);
  const std::int64_t groups = packed.layout.groups;
  packed.half_scales.resize(static_cast<std::size_t>(packed.row_blocks() * groups * lanes));
  const std::size_t row_bytes = static_cast<std::size_t>(packed.columns) * core::size_of(weight.dtype);
  threads.for_each(static_cast<std::size_t>(packed.row_blocks()), 1, [&](std::size_t begin, std::size_t end) {
    const std::int64_t padded = packed.layout.padded();
    std::vector<float> values(static_cast<std::size_t>(padded));
    std::vector<std::uint8_t> rows(static_cast<std::size_t>(lanes * padded));
    for (auto block = static_cast<std::int64_t>(begin); block < static_cast<std::int64_t>(end); ++block) {
      std::fill(rows.begin(), rows.end(), 0);
      for (std::int64_t lane = 0; lane < std::min(lanes, packed.rows - block * lanes); ++lane) {
        const auto row = static_cast<std::size_t>(block * lanes + lane);
        core::to_f32(weight.dtype, weight.bytes.subspan(row * row_bytes, row_bytes),
                     std::span(values).first(static_cast<std::size_t>(packed.columns)));
        for (std::int64_t g = 0; g < groups; ++g) {
          const std::uint16_t scale = round_group(values.data() + g * group, rows.data() + lane * padded + g * group);
          packed.half_scales[static_cast<std::size_t>((block * groups + g) * lanes + lane)] = scale;
        }
      }
      lay(rows.data(), padded, packed.bits, packed.codes.data() + block * packed.row_block_bytes());
    }
  });
  return packed;
}

}  // namespace lutra::lut
