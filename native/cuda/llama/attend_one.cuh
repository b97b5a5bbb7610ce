#pragma once
#include "llama/arguments.h"
#include "llama/primitives.cuh"

namespace lutra::cuda::kernels {

constexpr float log2_e = 1.44269504F;
constexpr int attend_threads = 128;
constexpr int attend_tile = 64;

/// Pieces that a token's positions are cut into at most.
constexpr int attend_pieces = 64;

/// Eight of a head's stored numbers from `first` on, as they lie; zeros behind its end.
__device__ inline uint4 load_stored(const CacheLayout& layout, const unsigned char* values, int within, int first) {
  if (first >= layout.dim()) return {0, 0, 0, 0};
  const std::int64_t at = std::int64_t{within} * layout.dim() + first;
  if (!layout.is_bytes) return *reinterpret_cast<const uint4*>(reinterpret_cast<const std::uint16_t*>(values) + at);
  const uint2 bytes = *reinterpret_cast<const uint2*>(values + at);
  return {bytes.x, bytes.y, 0, 0};
}

__device__ inline void widen_stored(const CacheLayout& layout, const uint4& stored, float (&numbers)[8]) {
  if (!layout.is_bytes) {
    widen_eight(stored, Float16::f16, numbers);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const unsigned word = i < 4 ? stored.x : stored.y;
    numbers[i] = static_cast<float>(static_cast<std::int8_t>(word >> (8 * (i % 4)) & 0xFFU));
  }
}

/// Attention of one token over the cache. Blocks (pieces of the positions, key/value heads times chunks of their query
/// heads): each piece is summed by one block, and the last to end adds the pieces up in their order, so that the same
/// input gives the same bits. `dim` is at least head_dim; `group` query heads share what a block reads.
template <int dim, int group>
__global__ void __launch_bounds__(attend_threads) attend_one(AttendArguments a) {
  constexpr int lanes = dim / 8;  // that hold one position
  constexpr int rows = attend_threads / lanes;
  constexpr int each = attend_tile / rows;  // positions of a thread in a tile
  constexpr int warps = attend_threads / 32;
  constexpr int partial_floats = dim + 2;
  // Values are asked for with the keys where registers hold both.
  constexpr bool has_room = each * (group + 2) <= 64;
  __shared__ float scores[group][attend_tile];
  __shared__ float tops[group];
  __shared__ float sums[group];
  __shared__ float rescale[group];
  __shared__ float gathered[group][rows][dim];
  __shared__ float shares[group][attend_pieces];
  __shared__ bool is_last;

  let_next_begin();
  await_earlier_kernels();
  const CacheLayout& layout = a.cache.layout;
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32;
  const int lane = thread % 32;
  const int heads_per_kv = a.heads / layout.kv_heads;
  const int chunks = (heads_per_kv + group - 1) / group;
  const int kv_head = static_cast<int>(blockIdx.y) / chunks;
  const int first_of_chunk = static_cast<int>(blockIdx.y) % chunks * group;
  const int first_head = kv_head * heads_per_kv + first_of_chunk;
  const int own_heads = min(group, heads_per_kv - first_of_chunk);

  const int length = a.step->position + 1;
  const int begin = a.window > 0 ? max(0, length - a.window) : 0;
  const int pieces = static_cast<int>(gridDim.x);
  const int piece = ((length - begin + pieces - 1) / pieces + attend_tile - 1) / attend_tile * attend_tile;
  const int active = (length - begin + piece - 1) / piece;
  if (static_cast<int>(blockIdx.x) >= active) return;
  const int from = begin + static_cast<int>(blockIdx.x) * piece;
  const int to = min(length, from + piece);

  const int first_dim = thread % lanes * 8;
  float query[group][8];
#pragma unroll
  for (int g = 0; g < group; ++g) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      query[g][i] = g < own_heads && first_dim + i < layout.head_dim
                        ? from_f16(a.queries[(first_head + g) * layout.head_dim + first_dim + i])
                        : 0.0F;
    }
  }
  float sum[group][8] = {};
  if (thread < group) {
    tops[thread] = -INFINITY;
    sums[thread] = 0;
  }
  const std::int64_t keys_at = layout.values_at(a.layer, 0, kv_head);
  const std::int64_t values_at = layout.values_at(a.layer, 1, kv_head);
  const std::int64_t key_scales_at = layout.is_bytes ? layout.scales_at(a.layer, 0, kv_head) : 0;
  const std::int64_t value_scales_at = layout.is_bytes ? layout.scales_at(a.layer, 1, kv_head) : 0;
  __syncthreads();

  for (int tile = from; tile < to; tile += attend_tile) {
    const auto position_of = [&](int i) { return tile + thread / lanes + i * rows; };
    const auto read = [&](uint4(&stored)[each], std::int64_t at) {
#pragma unroll
      for (int i = 0; i < each; ++i) {
        const int position = position_of(i);
        stored[i] = {0, 0, 0, 0};
        if (position < to) {
          const unsigned char* const page = a.cache.pages[position / page_positions];
          stored[i] = load_stored(layout, page + at, position % page_positions, first_dim);
        }
      }
    };
    uint4 keys[each];
    uint4 values[each];
    read(keys, keys_at);
    if constexpr (has_room) read(values, values_at);
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int position = position_of(i);
      const bool is_there = position < to;
      float key[8];
      widen_stored(layout, keys[i], key);
      float key_scale = 1;
      if (layout.is_bytes && is_there) {
        const unsigned char* const page = a.cache.pages[position / page_positions];
        key_scale = reinterpret_cast<const float*>(page + key_scales_at)[position % page_positions];
      }
#pragma unroll
      for (int g = 0; g < group; ++g) {
        float score = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j) score = fmaf(query[g][j], key[j], score);
#pragma unroll
        for (int distance = lanes / 2; distance > 0; distance /= 2)
          score += __shfl_xor_sync(whole_warp, score, distance);
        if (thread % lanes == 0) scores[g][position - tile] = is_there ? score * key_scale : -INFINITY;
      }
    }
    __syncthreads();
    for (int g = warp; g < group; g += warps) {
      const float low = scores[g][lane];
      const float high = scores[g][lane + 32];
      const float top = fmaxf(tops[g], warp_max(fmaxf(low, high)));
      const float p_low = exp2f((low - top) * log2_e);
      const float p_high = exp2f((high - top) * log2_e);
      const float whole = warp_sum(p_low + p_high);
      float scale_low = 1;
      float scale_high = 1;
      if (layout.is_bytes) {
        const auto scale_of = [&](int position) {
          return position < to ? reinterpret_cast<const float*>(a.cache.pages[position / page_positions] +
                                                                value_scales_at)[position % page_positions]
                               : 0.0F;
        };
        scale_low = scale_of(tile + lane);
        scale_high = scale_of(tile + lane + 32);
      }
      scores[g][lane] = p_low * scale_low;
      scores[g][lane + 32] = p_high * scale_high;
      __syncwarp();
      if (lane == 0) {
        rescale[g] = exp2f((tops[g] - top) * log2_e);
        sums[g] = sums[g] * rescale[g] + whole;
        tops[g] = top;
      }
    }
    __syncthreads();
    if constexpr (!has_room) read(values, values_at);
#pragma unroll
    for (int g = 0; g < group; ++g) {
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[g][i] *= rescale[g];
    }
#pragma unroll
    for (int i = 0; i < each; ++i) {
      float value[8];
      widen_stored(layout, values[i], value);
#pragma unroll
      for (int g = 0; g < group; ++g) {
        const float score = scores[g][position_of(i) - tile];
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[g][j] = fmaf(score, value[j], sum[g][j]);
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int g = 0; g < group; ++g) {
#pragma unroll
    for (int i = 0; i < 8; ++i) gathered[g][thread / lanes][first_dim + i] = sum[g][i];
  }
  __syncthreads();
  float* partial = a.partials + (std::int64_t{blockIdx.y} * pieces + blockIdx.x) * group * partial_floats;
  for (int i = thread; i < layout.head_dim; i += attend_threads) {
#pragma unroll
    for (int g = 0; g < group; ++g) {
      if (g >= own_heads) break;
      float whole = 0;
#pragma unroll
      for (int row = 0; row < rows; ++row) whole += gathered[g][row][i];
      if (active == 1) {
        a.target[(first_head + g) * layout.head_dim + i] = to_f16(whole / sums[g]);
      } else {
        partial[g * partial_floats + 2 + i] = whole;
      }
    }
  }
  if (active == 1) return;
  if (thread < own_heads) {
    partial[thread * partial_floats] = tops[thread];
    partial[thread * partial_floats + 1] = sums[thread];
  }

  __threadfence();
  __syncthreads();
  if (thread == 0) is_last = atomicAdd(a.arrived + blockIdx.y, 1U) == static_cast<unsigned>(active - 1);
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  const float* all = a.partials + std::int64_t{blockIdx.y} * pieces * group * partial_floats;
  const auto part = [&](int index, int g) { return all + (std::int64_t{index} * group + g) * partial_floats; };
  // A lane has every 32nd piece's share.
  constexpr int own_pieces = attend_pieces / 32;
  for (int g = warp; g < own_heads; g += warps) {
    float own_top[own_pieces];
    float own_sum[own_pieces];
#pragma unroll
    for (int i = 0; i < own_pieces; ++i) {
      const int index = lane + 32 * i;
      own_top[i] = index < active ? read_fresh(part(index, g)) : -INFINITY;
      own_sum[i] = index < active ? read_fresh(part(index, g) + 1) : 0.0F;
    }
    float top = own_top[0];
#pragma unroll
    for (int i = 1; i < own_pieces; ++i) top = fmaxf(top, own_top[i]);
    top = warp_max(top);
    float weight = 0;
#pragma unroll
    for (int i = 0; i < own_pieces; ++i) {
      const float share = exp2f((own_top[i] - top) * log2_e);
      shares[g][lane + 32 * i] = share;
      weight = fmaf(share, own_sum[i], weight);
    }
    weight = warp_sum(weight);
    if (lane == 0) sums[g] = weight;
  }
  __syncthreads();
  for (int item = thread; item < own_heads * layout.head_dim; item += attend_threads) {
    const int g = item / layout.head_dim;
    const int i = item % layout.head_dim;
    float whole = 0;
#pragma unroll 8
    for (int index = 0; index < active; ++index)
      whole = fmaf(shares[g][index], read_fresh(part(index, g) + 2 + i), whole);
    a.target[(first_head + g) * layout.head_dim + i] = to_f16(whole / sums[g]);
  }
  if (thread == 0) a.arrived[blockIdx.y] = 0;
}

}  // namespace lutra::cuda::kernels
