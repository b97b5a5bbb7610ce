#pragma once
#include "lut/arguments.cuh"
#include "lut/decode.cuh"
#include "lut/group_product.cuh"

// What the kernels for many tokens have in common.

namespace lutra::cuda::product {

struct ManyArguments {
  Weight weight;
  Inputs in;  // f16 or bf16 as they stand
  Outputs out;
  Exchange exchange;
  std::int32_t row_tiles = 1;
  std::int32_t token_tiles = 1;
  std::int32_t splits = 1;        // of the columns
  std::int32_t split_blocks = 0;  // column blocks of a split; the last may have fewer
};

/// Work of a block: row tiles first, so that blocks that run together share inputs.
struct TilePlace {
  int row_tile, token_tile, split, first_block, blocks, index;

  __device__ TilePlace(const ManyArguments& a, int at) {
    row_tile = at % a.row_tiles;
    token_tile = at / a.row_tiles % a.token_tiles;
    split = at / a.row_tiles / a.token_tiles;
    first_block = split * a.split_blocks;
    blocks = min(a.split_blocks, a.weight.column_blocks - first_block);
    index = at % (a.row_tiles * a.token_tiles);
  }
};

/// Where a lane finds its part of one tile in a row of blocks of the weight.
template <int bits>
struct TileRow {
  const uint4* codes = nullptr;  // null where there is no such row
  const std::uint32_t* scales = nullptr;
  int scale_shift = 0;

  TileRow() = default;
  __device__ TileRow(const Weight& weight, int row_block, int tile, int lane) {
    if (row_block >= weight.row_blocks) return;
    // Four bits of a tile are one quad of words; of others the words lie across quads.
    codes = weight.codes + std::int64_t{row_block} * weight.column_blocks * (bits * 32) + (bits == 4 ? tile * 32 : 0) +
            lane;
    scales = reinterpret_cast<const std::uint32_t*>(weight.scales) +
             std::int64_t{row_block} * weight.scale_groups * 32 + lane / 4 * 4 + tile;
    scale_shift = weight.scale_shift;
  }
};

/// Codes and scales of a lane for one tile of a block of the weight.
template <int bits>
struct TileCodes {
  std::uint32_t words[bits];
  // f16 of rows g and g + 8, for either half of the columns; the second only where they differ
  std::uint32_t scales[2];

  __device__ void load(const TileRow<bits>& row, int column_block, int tile) {
    if (row.codes == nullptr) {
#pragma unroll
      for (int i = 0; i < bits; ++i) words[i] = 0;
      scales[0] = scales[1] = 0;
      return;
    }
    const uint4* const source = row.codes + column_block * (bits * 32);
    if constexpr (bits == 4) {
      const uint4 all = *source;
      words[0] = all.x;
      words[1] = all.y;
      words[2 % bits] = all.z;
      words[3 % bits] = all.w;
    } else {
#pragma unroll
      for (int i = 0; i < bits; ++i) {
        const int at = tile * bits + i;
        words[i] = reinterpret_cast<const std::uint32_t*>(source + at / 4 * 32)[at % 4];
      }
    }
    if (row.scale_shift == 0) {
      scales[0] = row.scales[column_block * 64];
      scales[1] = row.scales[column_block * 64 + 32];
    } else {
      scales[0] = row.scales[(column_block >> (row.scale_shift - 1)) * 32];
    }
  }

  /// The A fragment at `step`, scaled. `has_halves`: the halves of the columns have scales of their own.
  template <Scalar type, Tables tables>
  __device__ void weigh(std::uint32_t (&a)[4], int step, const unsigned char* table, std::uint32_t own,
                        bool has_halves) const {
    decode<bits, tables>(a, words, step, table, own);
    const std::uint32_t both = step < block_tiles / 2 || !has_halves ? scales[0] : scales[1];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      std::uint32_t scale = join_halves(both, both, row == 1);
      if constexpr (type == Scalar::bf16) {
        const std::uint32_t narrowed = narrow_bf16(widen_f16(static_cast<std::uint16_t>(scale)));
        scale = narrowed | narrowed << 16;
      }
      a[row] = multiply_pairs<type>(a[row], scale);
      a[row + 2] = multiply_pairs<type>(a[row + 2], scale);
    }
  }
};

/// Copies inputs of `count` tokens into the ring, 64 columns at a time, swizzled; zeros where there are none. A thread
/// takes the same 16 bytes of every 32nd token.
template <int count>
class StageCopy {
 public:
  __device__ StageCopy(const Inputs& in, int columns, int first_token, int first_block) {
    const int token = static_cast<int>(threadIdx.x) / pieces;
    const int piece = static_cast<int>(threadIdx.x) % pieces;
    target_ = swizzled(token, piece);
    source_ = static_cast<const std::uint16_t*>(in.x) + (first_token + token) * in.stride + first_block * block_side +
              piece * 8;
    stride_ = in.stride * apart;
    there_ = max(0, min(each, (in.tokens - first_token - token + apart - 1) / apart));
    // Blocks of columns in which the thread's piece is there.
    blocks_ = (columns - first_block * block_side - piece * 8 + block_side - 1) / block_side;
    is_whole_ = first_token + count <= in.tokens && (columns - first_block * block_side) % block_side == 0;
  }

  __device__ void begin(int block, unsigned char* stage) const {
    const std::uint16_t* source = source_ + block * block_side;
    unsigned char* const target = stage + target_;
    if (is_whole_) {
#pragma unroll
      for (int i = 0; i < each; ++i) copy_later(target + i * apart * 128, source + i * stride_);
      return;
    }
    const int there = block < blocks_ ? there_ : 0;
#pragma unroll
    for (int i = 0; i < each; ++i) copy_later(target + i * apart * 128, source + i * stride_, i < there);
  }

 private:
  static constexpr int pieces = 8;
  static constexpr int apart = many_threads / pieces;
  static constexpr int each = count / apart;
  const std::uint16_t* source_;
  std::int64_t stride_;
  int there_, blocks_, target_;
  bool is_whole_;  // the same for all threads: nothing is missing
};

/// Sums of all splits of a tile, in order, where this block came last; false where it did not.
template <int count>
__device__ inline bool gather_splits(float (&sums)[count][4], const ManyArguments& a, const TilePlace& place,
                                     unsigned* flag) {
  if (a.splits == 1) return true;
  const std::int64_t words = std::int64_t{count} * 4 * blockDim.x;
  float* const all = a.exchange.partials + place.index * a.splits * words + threadIdx.x;
#pragma unroll
  for (int i = 0; i < count * 4; ++i) all[place.split * words + std::int64_t{i} * blockDim.x] = sums[i / 4][i % 4];
  if (!is_last(a.exchange.counters + place.index, a.splits, flag)) return false;
#pragma unroll
  for (int i = 0; i < count * 4; ++i) sums[i / 4][i % 4] = 0;
  for (int split = 0; split < a.splits; ++split) {
    const float* const from = all + split * words;
#pragma unroll
    for (int i = 0; i < count * 4; ++i) sums[i / 4][i % 4] += load_fresh(from + std::int64_t{i} * blockDim.x);
  }
  return true;
}

__device__ inline bool is_wide(const void* pointer, std::int64_t bytes) {
  return (reinterpret_cast<std::uintptr_t>(pointer) + static_cast<std::uintptr_t>(bytes)) % 16 == 0;
}

/// Eight outputs side by side, with the residual.
__device__ inline void store_eight(const Outputs& out, int token, int row, const float (&values)[8]) {
  const std::int64_t at = token * out.stride + row;
  const int size = out.type == Scalar::f32 ? 4 : 2;
  if (row + 8 > out.rows || !is_wide(out.y, at * size) ||
      (out.residual != nullptr && !is_wide(out.residual, at * size))) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row + i < out.rows) store_output(out, token, row + i, values[i]);
    }
    return;
  }
  float sums[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) sums[i] = values[i];
  if (out.type == Scalar::f32) {
    if (out.residual != nullptr) {
      const auto* const more = reinterpret_cast<const float4*>(static_cast<const float*>(out.residual) + at);
      const float4 parts[2] = {more[0], more[1]};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        sums[4 * i] += parts[i].x;
        sums[4 * i + 1] += parts[i].y;
        sums[4 * i + 2] += parts[i].z;
        sums[4 * i + 3] += parts[i].w;
      }
    }
    auto* const target = reinterpret_cast<float4*>(static_cast<float*>(out.y) + at);
    target[0] = {sums[0], sums[1], sums[2], sums[3]};
    target[1] = {sums[4], sums[5], sums[6], sums[7]};
    return;
  }
  const bool is_bf16 = out.type == Scalar::bf16;
  if (out.residual != nullptr) {
    const uint4 more = *reinterpret_cast<const uint4*>(static_cast<const std::uint16_t*>(out.residual) + at);
    const std::uint32_t words[4] = {more.x, more.y, more.z, more.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const auto bits = static_cast<std::uint16_t>(i % 2 == 0 ? words[i / 2] & 0xFFFFU : words[i / 2] >> 16);
      sums[i] += is_bf16 ? widen_bf16(bits) : widen_f16(bits);
    }
  }
  std::uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = is_bf16 ? narrow_pair<Scalar::bf16>(sums[2 * i], sums[2 * i + 1])
                       : narrow_pair<Scalar::f16>(sums[2 * i], sums[2 * i + 1]);
  }
  *reinterpret_cast<uint4*>(static_cast<std::uint16_t*>(out.y) + at) = {words[0], words[1], words[2], words[3]};
}

/// A place for (token, one of 16 rows): what the lanes of a fragment write at a time falls into 32 banks, and 8 rows
/// stay side by side.
__device__ inline int staged(int token, int row) {
  const int pair = token / 2;
  return pair * 32 + ((((token ^ pair / 2) & 1) << 4) | (row ^ (pair & 1) << 3));
}

/// Writes what is staged, 16 stored rows from `row` on and 8 `count` tokens; the warp's lanes share the work. Not
/// inlined: a kernel has several of these.
template <int count>
__device__ LUTRA_NOT_INLINE void write_staged(const float* staging, const Outputs& out, int first_token, int tokens,
                                              int row) {
  const int shares = out.is_gated ? 1 : 2;
  for (int item = static_cast<int>(threadIdx.x % 32); item < count * 8 * shares; item += 32) {
    const int token = item / shares;
    if (first_token + token >= tokens) continue;
    const int half = item % shares;
    const int first = out.is_gated ? row / 2 : row + half * 8;
    const float* const own = staging + staged(token, half * 8);
    float values[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      values[i] = own[i];
      if (out.bias != nullptr && first + i < out.rows) values[i] += out.bias[first + i];
    }
    if (out.is_gated) {
      const float* const other = staging + staged(token, 8);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        float up = other[i];
        if (out.bias != nullptr && first + i < out.rows) up += out.bias[out.rows + first + i];
        values[i] = silu(values[i]) * up;
      }
    }
    if (first < out.rows) store_eight(out, first_token + token, first, values);
  }
}

/// Writes a warp's sums of 16 stored rows from `row` on and 8 `count` tokens. `staging` (128 count floats) is the
/// warp's own.
template <int count>
__device__ inline void store_tile(float* staging, const float (&sums)[count][4], const Outputs& out, int first_token,
                                  int tokens, int row) {
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int t = 0; t < count; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      staging[staged(t * 8 + lane % 4 * 2 + i % 2, lane / 4 + i / 2 * 8)] = sums[t][i] * out.scale;
  }
  __syncwarp();
  write_staged<count>(staging, out, first_token, tokens, row);
  __syncwarp();
}

}  // namespace lutra::cuda::product
