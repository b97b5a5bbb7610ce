#include "lut_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace lutra::cuda {
namespace {

constexpr std::int32_t block = 64;  // rows and columns of a block
constexpr std::int32_t tile = 16;
constexpr std::int32_t steps = block / tile;  // k steps of a block, and its tiles
constexpr std::int32_t pairs_of_step = 4;     // A registers of a lane in mma.m16n8k16

core::Error unsupported(const std::string& what, const std::string& hint) {
  return {"unsupported", "The graphics processor cannot multiply this weight: " + what + ".", hint, {}};
}

std::uint16_t narrow(float value, Scalar type) {
  return type == Scalar::bf16 ? core::f32_to_bf16(value) : core::f32_to_f16(value);
}

std::int64_t round_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

/// A stored row's place in the matrices; null for the rows that fill the last block.
struct Source {
  const lut::LutMatrix* matrix = nullptr;
  std::int64_t row = 0;
};

std::vector<Source> sources(std::span<const lut::LutMatrix* const> matrices, bool is_gated, std::int64_t padded) {
  std::vector<Source> rows;
  if (is_gated) {
    constexpr std::int64_t half = tile / 2;
    for (std::int64_t first = 0; first < matrices[0]->rows; first += half) {
      for (const lut::LutMatrix* matrix : matrices) {
        for (std::int64_t row = first; row < first + half; ++row)
          rows.push_back(row < matrix->rows ? Source{matrix, row} : Source{});
      }
    }
  } else {
    for (const lut::LutMatrix* matrix : matrices) {
      for (std::int64_t row = 0; row < matrix->rows; ++row) rows.push_back({matrix, row});
    }
  }
  rows.resize(static_cast<std::size_t>(padded));
  return rows;
}

/// Columns from which on every scale of `matrix` holds for a whole number of 32, 64, 128 or 256; 0 for none.
std::int32_t scale_group_of(const lut::LutMatrix& matrix) {
  std::int64_t group = std::min(matrix.group_size, matrix.columns);
  if (matrix.groups_straddle_rows) {
    group = std::gcd(matrix.columns, matrix.group_size);
  } else if (matrix.group_size >= matrix.columns) {
    return 256;
  }
  for (const std::int32_t size : {256, 128, 64, 32}) {
    if (group % size == 0) return size;
  }
  return 0;
}

/// Codes of one row, zeros up to `padded`.
void unpack(const Source& source, std::vector<std::uint8_t>& codes) {
  std::fill(codes.begin(), codes.end(), std::uint8_t{0});
  if (source.matrix == nullptr) return;
  const lut::LutMatrix& matrix = *source.matrix;
  const std::uint8_t* bytes = matrix.codes.data() + source.row * matrix.row_bytes();
  const unsigned mask = (1U << matrix.bits) - 1U;
  for (std::int64_t column = 0; column < matrix.columns; ++column) {
    const std::int64_t bit = column * matrix.bits;
    unsigned word = bytes[bit / 8];
    if (bit / 8 + 1 < matrix.row_bytes()) word |= static_cast<unsigned>(bytes[bit / 8 + 1]) << 8;
    codes[static_cast<std::size_t>(column)] = static_cast<std::uint8_t>((word >> (bit % 8)) & mask);
  }
}

/// A tile's 16 pairs of codes of one lane as `bits` words (docs/cuda.md, "Codes").
void join(const std::uint32_t (&pairs)[steps * pairs_of_step], int bits, std::uint32_t* words) {
  if (bits == 3) {
    constexpr int whole = 5;  // pairs in a word; the sixteenth lies in the words' upper two bits
    for (int word = 0; word < bits; ++word) {
      words[word] = pairs[steps * pairs_of_step - 1] >> (2 * word) << 30;
      for (int i = 0; i < whole; ++i) words[word] |= pairs[word * whole + i] << (6 * i);
    }
    return;
  }
  const int of_word = 32 / (2 * bits);
  for (int word = 0; word < bits; ++word) {
    words[word] = 0;
    for (int i = 0; i < of_word; ++i) words[word] |= pairs[word * of_word + i] << (2 * bits * i);
  }
}

class Packer {
 public:
  Packer(const LutLayout& layout, std::vector<Source> rows) : layout_(layout), rows_(std::move(rows)) {}

  void codes(std::uint8_t* bytes, core::ThreadPool& threads) const {
    const auto padded = static_cast<std::size_t>(layout_.column_blocks()) * block;
    threads.for_each(static_cast<std::size_t>(layout_.row_blocks()), 1, [&](std::size_t begin, std::size_t end) {
      std::vector<std::vector<std::uint8_t>> unpacked(block, std::vector<std::uint8_t>(padded));
      const std::int64_t row_block_bytes = layout_.column_blocks() * layout_.block_bytes();
      for (std::size_t row_block = begin; row_block < end; ++row_block) {
        for (std::size_t row = 0; row < block; ++row) unpack(rows_[row_block * block + row], unpacked[row]);
        std::uint8_t* target = bytes + static_cast<std::int64_t>(row_block) * row_block_bytes;
        for (std::int32_t column_block = 0; column_block < layout_.column_blocks(); ++column_block) {
          code_block(unpacked, column_block, target);
          target += layout_.block_bytes();
        }
      }
    });
  }

  void scales(std::uint8_t* bytes) const {
    std::size_t at = 0;
    for (std::int32_t row_block = 0; row_block < layout_.row_blocks(); ++row_block) {
      for (std::int32_t group = 0; group < layout_.scale_groups(); ++group) {
        for (std::int32_t i = 0; i < block; ++i, at += 2) {
          const std::int32_t row = row_block * block + i / 2 % steps * tile + i % 2 * (tile / 2) + i / (2 * steps);
          const Source& source = rows_[static_cast<std::size_t>(row)];
          const std::int64_t column = std::int64_t{group} * layout_.scale_group;
          std::int64_t end = 0;
          const float scale = source.matrix == nullptr || column >= layout_.columns
                                  ? 0.0F
                                  : source.matrix->scale_at(source.row, column, end);
          const std::uint16_t half = core::f32_to_f16(scale / layout_.output_scale);
          std::memcpy(bytes + at, &half, 2);
        }
      }
    }
  }

  void row_tables(std::uint8_t* bytes) const {
    std::size_t at = 0;
    for (std::size_t first = 0; first < rows_.size(); first += tile) {
      for (std::size_t entry = 0; entry < std::size_t{1} << layout_.bits; ++entry) {
        for (std::size_t g = 0; g < tile / 2; ++g) {
          for (const std::size_t row : {first + g, first + g + tile / 2}) {
            const Source& source = rows_[row];
            const float value = source.matrix == nullptr ? 0.0F : source.matrix->table_of(source.row)[entry];
            const std::uint16_t half = narrow(value, layout_.activations);
            std::memcpy(bytes + at, &half, 2);
            at += 2;
          }
        }
      }
    }
  }

 private:
  void code_block(const std::vector<std::vector<std::uint8_t>>& rows, std::int32_t column_block,
                  std::uint8_t* target) const {
    const int bits = layout_.bits;
    for (std::size_t lane = 0; lane < 32; ++lane) {
      std::uint32_t words[16];  // (tile, bits), flat
      for (std::size_t i = 0; i < steps; ++i) {
        std::uint32_t pairs[steps * pairs_of_step];
        for (std::size_t p = 0; p < std::size(pairs); ++p) {
          const std::size_t row = i * tile + lane / 4 + p % 2 * 8;
          const std::size_t column = static_cast<std::size_t>(column_block) * block + p / pairs_of_step * tile +
                                     lane % 4 * 2 + p % pairs_of_step / 2 * 8;
          pairs[p] = rows[row][column] | static_cast<std::uint32_t>(rows[row][column + 1]) << bits;
        }
        join(pairs, bits, words + i * static_cast<std::size_t>(bits));
      }
      for (std::size_t word = 0; word < 4 * static_cast<std::size_t>(bits); ++word)
        std::memcpy(target + word / 4 * 512 + lane * 16 + word % 4 * 4, words + word, 4);
    }
  }

  const LutLayout& layout_;
  std::vector<Source> rows_;
};

core::Result<LutImage> pack_all(std::span<const lut::LutMatrix* const> matrices, Scalar activations, bool is_gated,
                                core::ThreadPool& threads) {
  const lut::LutMatrix& first = *matrices[0];
  LutLayout layout;
  layout.bits = first.bits;
  layout.activations = activations;
  layout.is_gated = is_gated;
  layout.columns = static_cast<std::int32_t>(first.columns);
  layout.hadamard_size = static_cast<std::int32_t>(first.hadamard_size);
  layout.scale_group = 256;
  if (first.columns % 8 != 0) {
    return unsupported("it has " + std::to_string(first.columns) + " inputs, which is no multiple of 8",
                       "Run the model on the processor.");
  }
  std::int64_t stored = 0;
  bool has_row_tables = false;
  float largest = 0;
  for (const lut::LutMatrix* matrix : matrices) {
    if (matrix->columns != first.columns || matrix->bits != first.bits || matrix->has_pairs() != first.has_pairs() ||
        matrix->hadamard_size != first.hadamard_size || (first.has_pairs() && matrix->pair_table != first.pair_table) ||
        (is_gated && matrix->rows != first.rows)) {
      return unsupported("its parts are of different kinds", "Pack them one by one.");
    }
    const std::int32_t group = scale_group_of(*matrix);
    if (group == 0) {
      return unsupported("its groups of " + std::to_string(matrix->group_size) + " are no multiples of 32 in a row",
                         "Quantize it again with a group size of 32, 64, 128 or 256, or run it on the processor.");
    }
    layout.scale_group = std::min(layout.scale_group, group);
    if (!first.has_pairs()) has_row_tables |= matrix->has_row_tables() || matrix->table != first.table;
    stored += is_gated ? round_up(matrix->rows, tile / 2) : matrix->rows;
    layout.rows += is_gated && matrix != &first ? 0 : static_cast<std::int32_t>(matrix->rows);
    for (const float scale : matrix->scales) largest = std::max(largest, std::abs(scale));
  }
  layout.stored_rows = static_cast<std::int32_t>(stored);
  layout.tables = has_row_tables ? Tables::rows : Tables::pairs;
  // The largest scale comes to lie in [1, 2): small ones stay normal numbers of f16 as long as can be.
  if (largest > 0) layout.output_scale = std::ldexp(1.0F, std::ilogb(largest));

  const std::int64_t entries = std::int64_t{1} << layout.bits;
  const std::int64_t tables_bytes =
      has_row_tables ? std::int64_t{layout.row_blocks()} * block * entries * 2 : entries * entries * 4;
  layout.scales_offset =
      round_up(std::int64_t{layout.row_blocks()} * layout.column_blocks() * layout.block_bytes(), 256);
  layout.tables_offset =
      layout.scales_offset + round_up(std::int64_t{layout.row_blocks()} * layout.scale_groups() * block * 2, 256);
  layout.size_bytes = layout.tables_offset + round_up(tables_bytes, 256);

  LutImage image{layout, core::AlignedBytes::zeroed(static_cast<std::size_t>(layout.size_bytes))};
  const Packer packer(image.layout, sources(matrices, is_gated, std::int64_t{layout.row_blocks()} * block));
  packer.codes(image.bytes.data(), threads);
  packer.scales(image.bytes.data() + layout.scales_offset);
  std::uint8_t* tables = image.bytes.data() + layout.tables_offset;
  if (has_row_tables) {
    packer.row_tables(tables);
  } else {
    for (std::int64_t pair = 0; pair < entries * entries; ++pair) {
      const std::int64_t even = pair % entries;
      const std::int64_t odd = pair / entries;
      for (std::int64_t i = 0; i < 2; ++i) {
        const float value = first.has_pairs()
                                ? first.pair_table[static_cast<std::size_t>((even * entries + odd) * 2 + i)]
                                : first.table[static_cast<std::size_t>(i == 0 ? even : odd)];
        const std::uint16_t half = narrow(value, activations);
        std::memcpy(tables + pair * 4 + i * 2, &half, 2);
      }
    }
  }
  return image;
}

}  // namespace

core::Result<LutImage> pack(std::span<const lut::LutMatrix* const> matrices, Scalar activations,
                            core::ThreadPool& threads) {
  return pack_all(matrices, activations, false, threads);
}

core::Result<LutImage> pack_gated(const lut::LutMatrix& gate, const lut::LutMatrix& up, Scalar activations,
                                  core::ThreadPool& threads) {
  const lut::LutMatrix* both[] = {&gate, &up};
  return pack_all(both, activations, true, threads);
}

}  // namespace lutra::cuda
