#pragma once
#include "llama/attend_one.cuh"

namespace lutra::cuda::kernels {

/// Bytes of shared memory that `attend_many` takes: a tile of keys and one of values, rows kept 16 bytes apart in the
/// banks.
template <int dim>
constexpr int attend_many_bytes = 2 * attend_tile * (dim + 8) * 2;

/// Copies a tile of one head's keys or values into shared memory as f16 (64, dim + 8); zeros behind `to`.
template <int dim>
__device__ inline void load_tile(const AttendArguments& a, int kind, int kv_head, int tile, int to,
                                 std::uint16_t* target) {
  const CacheLayout& layout = a.cache.layout;
  constexpr int pieces = dim / 8;
  for (int item = static_cast<int>(threadIdx.x); item < attend_tile * pieces; item += attend_threads) {
    const int row = item / pieces;
    const int first = item % pieces * 8;
    const int position = tile + row;
    const bool is_there = position < to && first < layout.dim();
    const unsigned char* page = a.cache.pages[(is_there ? position : to - 1) / page_positions];
    const unsigned char* values = page + layout.values_at(a.layer, kind, kv_head);
    const int within = position % page_positions;
    std::uint16_t* place = target + row * (dim + 8) + first;
    if (!layout.is_bytes) {
      const auto* source = reinterpret_cast<const std::uint16_t*>(values);
      copy_later(place, is_there ? source + within * layout.dim() + first : source, is_there);
      continue;
    }
    float numbers[8] = {};
    if (is_there) {
      widen_stored(layout, load_stored(layout, values, within, first), numbers);
      const float scale = reinterpret_cast<const float*>(page + layout.scales_at(a.layer, kind, kv_head))[within];
#pragma unroll
      for (int i = 0; i < 8; ++i) numbers[i] *= scale;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) place[i] = to_f16(numbers[i]);
  }
  close_copies();
}

__device__ inline std::uint32_t two(const std::uint16_t* numbers) {
  return *reinterpret_cast<const std::uint32_t*>(numbers);
}

/// Causal attention of many tokens (FlashAttention-2): a block has 64 tokens of one head, a warp 16 of them, and walks
/// over the positions in tiles of 64. Blocks (tokens / 64, heads).
template <int dim>
__global__ void __launch_bounds__(attend_threads) attend_many(AttendArguments a) {
  constexpr int steps = dim / 16;
  constexpr int stride = dim + 8;
  constexpr int score_tiles = attend_tile / 8;
  auto* keys = reinterpret_cast<std::uint16_t*>(dynamic_shared());
  std::uint16_t* values = keys + attend_tile * stride;

  const CacheLayout& layout = a.cache.layout;
  const int head = static_cast<int>(blockIdx.y);
  const int kv_head = head / (a.heads / layout.kv_heads);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int row = lane / 4;         // and row + 8
  const int column = lane % 4 * 2;  // and column + 1
  const int first = static_cast<int>(blockIdx.x) * attend_tile;
  const int warp_first = first + static_cast<int>(threadIdx.x / 32) * 16;
  const int start = a.step->position;

  std::uint32_t query[steps][4];
#pragma unroll
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = warp_first + row + i % 2 * 8;
      const int at = step * 16 + column + i / 2 * 8;
      query[step][i] = token < a.tokens && at < layout.head_dim
                           ? two(a.queries + (std::int64_t{token} * a.heads + head) * layout.head_dim + at)
                           : 0;
    }
  }

  float sum[dim / 8][4] = {};
  float top[2] = {-INFINITY, -INFINITY};
  float weight[2] = {};
  const int to = start + min(a.tokens, first + attend_tile);
  const int seen_from = a.window > 0 ? max(0, start + first + 1 - a.window) / attend_tile * attend_tile : 0;
  for (int tile = seen_from; tile < to; tile += attend_tile) {
    load_tile<dim>(a, 0, kv_head, tile, to, keys);
    load_tile<dim>(a, 1, kv_head, tile, to, values);
    await_copies<1>();
    __syncthreads();
    float score[score_tiles][4] = {};
#pragma unroll
    for (int step = 0; step < steps; ++step) {
#pragma unroll
      for (int j = 0; j < score_tiles; ++j) {
        const std::uint16_t* key = keys + (j * 8 + row) * stride + step * 16 + column;
        multiply(score[j], query[step], two(key), two(key + 8));
      }
    }

    float tile_top[2] = {top[0], top[1]};
#pragma unroll
    for (int j = 0; j < score_tiles; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int position = tile + j * 8 + column + i % 2;
        const int own = start + warp_first + row + i / 2 * 8;
        const bool is_seen = position <= own && (a.window == 0 || position > own - a.window);
        if (!is_seen) score[j][i] = -INFINITY;
        tile_top[i / 2] = fmaxf(tile_top[i / 2], score[j][i]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        tile_top[half] = fmaxf(tile_top[half], __shfl_xor_sync(whole_warp, tile_top[half], distance));
      // Nothing seen so far: every share is 0, not exp(-inf + inf).
      const float base = tile_top[half] == -INFINITY ? 0.0F : tile_top[half];
      const float rescale = exp2f((top[half] - base) * log2_e);
      top[half] = tile_top[half];
      weight[half] *= rescale;
#pragma unroll
      for (int j = 0; j < dim / 8; ++j) {
        sum[j][2 * half] *= rescale;
        sum[j][2 * half + 1] *= rescale;
      }
#pragma unroll
      for (int j = 0; j < score_tiles; ++j) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          score[j][i] = exp2f((score[j][i] - base) * log2_e);
          weight[half] += score[j][i];
        }
      }
    }

    await_copies<0>();
    __syncthreads();
#pragma unroll
    for (int step = 0; step < attend_tile / 16; ++step) {
      const std::uint32_t shares[4] = {to_f16_pair(score[2 * step][0], score[2 * step][1]),
                                       to_f16_pair(score[2 * step][2], score[2 * step][3]),
                                       to_f16_pair(score[2 * step + 1][0], score[2 * step + 1][1]),
                                       to_f16_pair(score[2 * step + 1][2], score[2 * step + 1][3])};
#pragma unroll
      for (int j = 0; j < dim / 8; ++j) {
        std::uint32_t value[2];
        load_transposed(value, values + (step * 16 + lane % 16) * stride + j * 8);
        multiply(sum[j], shares, value[0], value[1]);
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int distance = 1; distance <= 2; distance *= 2)
      weight[half] += __shfl_xor_sync(whole_warp, weight[half], distance);
    const int token = warp_first + row + half * 8;
    if (token >= a.tokens) continue;
    std::uint16_t* target = a.target + (std::int64_t{token} * a.heads + head) * layout.head_dim;
#pragma unroll
    for (int j = 0; j < dim / 8; ++j) {
      const int at = j * 8 + column;
      if (at >= layout.head_dim) continue;
      *reinterpret_cast<std::uint32_t*>(target + at) =
          to_f16_pair(sum[j][2 * half] / weight[half], sum[j][2 * half + 1] / weight[half]);
    }
  }
}

}  // namespace lutra::cuda::kernels
