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

/// Registers 0 to 3 of the A fragment at `step` of a tile. `table` is the same for the whole warp: of the tile where
/// rows have their own. `own` is 4 times the lane: put in by "or", together with the mask.
template <int bits, Tables tables>
__device__ inline void decode(std::uint32_t (&a)[4], const std::uint32_t (&words)[bits], int step,
                              const unsigned char* table, std::uint32_t own) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t offset = pair_offset<bits>(words, step * 4 + i);
    if constexpr (tables == Tables::pairs) {
      a[i] = look_up(table, offset | own);
    } else {
      constexpr std::uint32_t mask = ((1U << bits) - 1U) * copy_stride;
      a[i] =
          join_halves(look_up(table, (offset & mask) | own), look_up(table, (offset >> bits & mask) | own), i % 2 == 1);
    }
  }
}

/// Copies the table of pairs, or the tables of `count` row blocks from `first_row_block` on, once for every lane.
/// Callers wait for the block before and after.
template <int bits, Tables tables>
__device__ inline void spread_tables(unsigned char* target, const std::uint32_t* source, int first_row_block, int count,
                                     int row_blocks) {
  constexpr int lane_quads = 8;
  constexpr int words = table_words(bits, tables == Tables::rows);
  const int items = (tables == Tables::rows ? count : 1) * words * lane_quads;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += static_cast<int>(blockDim.x)) {
    const int word = item / lane_quads;
    uint4 copies;
    if constexpr (tables == Tables::pairs) {
      const std::uint32_t value = source[word];
      copies = {value, value, value, value};
    } else {
      // A quad of lanes has one g; the global table is (row blocks, tiles, entries, 8 g).
      const int row_block = first_row_block + word / words;
      const std::int64_t at = (std::int64_t{row_block} * words + word % words) * lane_quads + item % lane_quads;
      const std::uint32_t value = row_block < row_blocks ? source[at] : 0U;
      copies = {value, value, value, value};
    }
    *reinterpret_cast<uint4*>(target + word * copy_stride + item % lane_quads * 16) = copies;
  }
}

}  // namespace lutra::cuda::product
