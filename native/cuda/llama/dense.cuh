#pragma once
#include "llama/arguments.h"
#include "llama/primitives.cuh"

namespace lutra::cuda::kernels {

__device__ inline void finish(const DenseArguments& a, int token, int row, float value) {
  const std::int64_t at = token * a.y_stride + row;
  if (a.bias != nullptr) value += a.bias[row];
  if (a.residual != nullptr) value += a.residual[at];
  a.y[at] = value;
}

constexpr int dense_few_warps = 8;
constexpr int dense_few_rows = 2;  // of one warp

/// Up to `most` tokens: bound by the weights, which are read once, 16 bytes a lane. Blocks (rows / 16).
template <int most>
__global__ void __launch_bounds__(dense_few_warps * 32) dense_few(DenseArguments a) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int first = static_cast<int>(blockIdx.x * dense_few_warps + threadIdx.x / 32) * dense_few_rows;
  if (first >= a.rows) return;
  float sum[dense_few_rows][most] = {};
#pragma unroll 4
  for (int column = lane * 8; column < a.columns; column += 256) {
    float weight[dense_few_rows][8];
#pragma unroll
    for (int r = 0; r < dense_few_rows; ++r) {
      const int row = min(first + r, a.rows - 1);
      widen_eight(*reinterpret_cast<const uint4*>(a.weight + std::int64_t{row} * a.columns + column), a.type,
                  weight[r]);
    }
#pragma unroll
    for (int token = 0; token < most; ++token) {
      if (token >= a.tokens) break;
      float x[8];
      widen_eight(*reinterpret_cast<const uint4*>(a.x + std::int64_t{token} * a.columns + column), Float16::f16, x);
#pragma unroll
      for (int r = 0; r < dense_few_rows; ++r) {
#pragma unroll
        for (int i = 0; i < 8; ++i) sum[r][token] = fmaf(weight[r][i], x[i], sum[r][token]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < dense_few_rows; ++r) {
#pragma unroll
    for (int token = 0; token < most; ++token) {
      if (token >= a.tokens) break;
      const float whole = warp_sum(sum[r][token]);
      if (lane == 0 && first + r < a.rows) finish(a, token, first + r, whole);
    }
  }
}

/// A tile of `dense_many`: rows of weights and tokens of a block, and how its warps share them.
template <int rows_, int tokens_, int row_warps_, int token_warps_>
struct DenseTile {
  static constexpr int rows = rows_;
  static constexpr int tokens = tokens_;
  static constexpr int row_warps = row_warps_;
  static constexpr int token_warps = token_warps_;
  static constexpr int threads = row_warps * token_warps * 32;
  static constexpr int depth = 64;          // columns of a stage
  static constexpr int stride = depth + 8;  // in shared memory: rows begin in different banks
  static constexpr int stages = 2;
  static constexpr int stage_numbers = (rows + tokens) * stride;
  static constexpr int shared_bytes = stages * stage_numbers * 2;
};
using NarrowTile = DenseTile<64, 32, 4, 1>;
using WideTile = DenseTile<128, 128, 4, 2>;

/// Two numbers of bf16 as f16.
__device__ inline std::uint32_t rounded_pair(std::uint32_t pair) {
  return to_f16_pair(__uint_as_float(pair << 16), __uint_as_float(pair & 0xFFFF0000U));
}

/// Any number of tokens, on tensor cores, with weights of bf16 rounded to f16. Blocks (rows, tokens) of a tile.
template <typename Tile>
__global__ void __launch_bounds__(Tile::threads) dense_many(DenseArguments a) {
  constexpr int row_tiles = Tile::rows / Tile::row_warps / 16;
  constexpr int token_tiles = Tile::tokens / Tile::token_warps / 8;
  constexpr int pieces = Tile::depth / 8;
  auto* shared = reinterpret_cast<std::uint16_t*>(dynamic_shared());
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int first_row = static_cast<int>(blockIdx.x) * Tile::rows;
  const int first_token = static_cast<int>(blockIdx.y) * Tile::tokens;
  const int warp_row = warp % Tile::row_warps * row_tiles * 16;
  const int warp_token = warp / Tile::row_warps * token_tiles * 8;
  const int quad = lane / 4;
  const int pair = lane % 4 * 2;

  const auto load = [&](int stage, int column) {
    std::uint16_t* target = shared + stage * Tile::stage_numbers;
    for (int item = static_cast<int>(threadIdx.x); item < (Tile::rows + Tile::tokens) * pieces; item += Tile::threads) {
      const int line = item / pieces;
      const int at = column + item % pieces * 8;
      const bool is_weight = line < Tile::rows;
      const int source = is_weight ? first_row + line : first_token + line - Tile::rows;
      const bool is_there = at < a.columns && source < (is_weight ? a.rows : a.tokens);
      const std::uint16_t* numbers = is_weight ? a.weight : a.x;
      copy_later(target + line * Tile::stride + item % pieces * 8,
                 is_there ? numbers + std::int64_t{source} * a.columns + at : numbers, is_there);
    }
    close_copies();
  };

  float sum[row_tiles][token_tiles][4] = {};
  const int stages = (a.columns + Tile::depth - 1) / Tile::depth;
  load(0, 0);
  for (int stage = 0; stage < stages; ++stage) {
    if (stage + 1 < stages) {
      load((stage + 1) % Tile::stages, (stage + 1) * Tile::depth);
      await_copies<1>();
    } else {
      await_copies<0>();
    }
    __syncthreads();
    const std::uint16_t* weights = shared + stage % Tile::stages * Tile::stage_numbers;
    const std::uint16_t* inputs = weights + Tile::rows * Tile::stride;
#pragma unroll
    for (int step = 0; step < Tile::depth; step += 16) {
      std::uint32_t weight[row_tiles][4];
#pragma unroll
      for (int r = 0; r < row_tiles; ++r) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = warp_row + r * 16 + quad + i % 2 * 8;
          weight[r][i] =
              *reinterpret_cast<const std::uint32_t*>(weights + row * Tile::stride + step + pair + i / 2 * 8);
          if (a.type == Float16::bf16) weight[r][i] = rounded_pair(weight[r][i]);
        }
      }
#pragma unroll
      for (int t = 0; t < token_tiles; ++t) {
        const std::uint16_t* input = inputs + (warp_token + t * 8 + quad) * Tile::stride + step + pair;
        const std::uint32_t low = *reinterpret_cast<const std::uint32_t*>(input);
        const std::uint32_t high = *reinterpret_cast<const std::uint32_t*>(input + 8);
#pragma unroll
        for (int r = 0; r < row_tiles; ++r) multiply(sum[r][t], weight[r], low, high);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < row_tiles; ++r) {
#pragma unroll
    for (int t = 0; t < token_tiles; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = first_row + warp_row + r * 16 + quad + i / 2 * 8;
        const int token = first_token + warp_token + t * 8 + pair + i % 2;
        if (row < a.rows && token < a.tokens) finish(a, token, row, sum[r][t][i]);
      }
    }
  }
}

}  // namespace lutra::cuda::kernels
