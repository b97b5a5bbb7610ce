#pragma once
#include "lut/primitives.cuh"
#include "lut/shapes.h"

// From codes to A fragments of mma.m16n8k16. The table lies in shared memory once for every lane, a lane's words 128
// bytes apart: all words of lane i are in bank i, so that no two lanes ever meet in one.

namespace lutra::cuda::product {

template <int bits, Tables tables>
constexpr int table_bytes = table_words(bits, tables == Tables::rows) * copy_stride;

/// The place of pair `p` of a tile within a lane's table of pairs; `p` is known when compiled.
template <int bits>
__device__ inline std::uint32_t pair_offset(const std::uint32_t (&words)[bits], int p) {
  constexpr int width = 2 * bits;
  constexpr std::uint32_t mask = ((1U << width) - 1U) * copy_stride;
  constexpr int of_word = 32 / width;
  if (bits == 3 && p == 15) {
    return (words[0] >> 23 & 0x180U) | (words[1 % bits] >> 21 & 0x600U) | (words[2 % bits] >> 19 & 0x1800U);
  }
  const std::uint32_t word = words[p / of_word];
  const int shift = p % of_word * width - 7;
  return (shift < 0 ? word << -shift : word >> shift) & mask;
}

/// Tables of pairs of fewer than 4 bits begin at multiples of their size: then a place within is put in by "or",
/// together with the mask. Pairs of 4 bits are bytes, which are taken and multiplied in one instruction each.
template <int bits, Tables tables>
constexpr int table_alignment = tables == Tables::pairs && bits < 4 ? table_bytes<bits, tables> : 16;

/// The first place from `shared` on that has this alignment.
template <int alignment>
__device__ inline unsigned char* aligned(unsigned char* shared) {
  return shared + (alignment - address_in_shared(shared) % alignment) % alignment;
}

/// Where a lane's own words begin: of a table of pairs, or, where rows have tables of their own, within any of them.
template <Tables tables>
__device__ inline std::uint32_t own_words(const unsigned char* table, int lane) {
  const auto within = static_cast<std::uint32_t>(lane) * 4;
  return tables == Tables::pairs ? address_in_shared(table) + within : within;
}

/// Registers 0 to 3 of the A fragment at `step` of a tile. `table` is the same for the whole warp, and of the tile
/// where rows have their own; `own` is what `own_words` gives.
template <int bits, Tables tables>
__device__ inline void decode(std::uint32_t (&a)[4], const std::uint32_t (&words)[bits], int step,
                              const unsigned char* table, std::uint32_t own) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int pair = step * 4 + i;
    if constexpr (tables == Tables::rows) {
      constexpr std::uint32_t mask = ((1U << bits) - 1U) * copy_stride;
      const std::uint32_t offset = pair_offset<bits>(words, pair);
      const std::uint32_t base = address_in_shared(table);
      a[i] = join_halves(look_up(base + ((offset & mask) | own)), look_up(base + ((offset >> bits & mask) | own)),
                         i % 2 == 1);
    } else if constexpr (bits == 4) {
      a[i] = look_up(take_byte(words[pair / 4], pair % 4) * copy_stride + own);
    } else {
      a[i] = look_up(pair_offset<bits>(words, pair) | own);
    }
  }
}

/// One thread's part in copying a table of pairs once for every lane: it asks early for what it will write later.
template <int bits, int threads>
class PairTable {
 public:
  /// `source` is null where there is no such table.
  __device__ explicit PairTable(const std::uint32_t* source) {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int item = static_cast<int>(threadIdx.x) + i * threads;
      values_[i] = source != nullptr && item < items ? source[item / lane_quads] : 0U;
    }
  }
  __device__ void write(unsigned char* target) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int item = static_cast<int>(threadIdx.x) + i * threads;
      const std::uint32_t value = values_[i];
      if (item < items) *reinterpret_cast<uint4*>(target + item * 16) = {value, value, value, value};
    }
  }

 private:
  static constexpr int lane_quads = copy_stride / 16;
  static constexpr int items = table_words(bits, false) * lane_quads;
  static constexpr int count = (items + threads - 1) / threads;
  std::uint32_t values_[count];
};

/// Copies the tables of `count` row blocks from `first_row_block` on, once for every lane. Callers wait for the block
/// before and after.
template <int bits>
__device__ inline void spread_row_tables(unsigned char* target, const std::uint32_t* source, int first_row_block,
                                         int count, int row_blocks) {
  constexpr int lane_quads = copy_stride / 16;
  constexpr int words = table_words(bits, true);
  const int items = count * words * lane_quads;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += static_cast<int>(blockDim.x)) {
    // A quad of lanes has one g; the global table is (row blocks, tiles, entries, 8 g).
    const int word = item / lane_quads;
    const int row_block = first_row_block + word / words;
    const std::int64_t at = (std::int64_t{row_block} * words + word % words) * lane_quads + item % lane_quads;
    const std::uint32_t value = row_block < row_blocks ? source[at] : 0U;
    *reinterpret_cast<uint4*>(target + word * copy_stride + item % lane_quads * 16) = {value, value, value, value};
  }
}

}  // namespace lutra::cuda::product
