#pragma once
#include <cstdint>

#include "lut/primitives.cuh"

namespace lutra::cuda::product {

/// The weight, as LutLayout tells.
struct Weight {
  const uint4* codes = nullptr;
  const uint4* scales = nullptr;
  const std::uint32_t* tables = nullptr;
  std::int32_t row_blocks = 0;
  std::int32_t column_blocks = 0;
  std::int32_t scale_groups = 0;
  std::int32_t columns = 0;
  /// log2(scale_group / 32): 0 is two scales for each block, then one for 1, 2 or 4 blocks.
  std::int32_t scale_shift = 1;
};

/// Inputs that are f16 or bf16 as they stand, or are made so on the way in.
struct Inputs {
  const void* x = nullptr;  // (tokens, stride)
  std::int64_t stride = 0;
  std::int32_t tokens = 0;
  bool is_f32 = false;
  const float* norm = nullptr;  // (columns)
  float norm_eps = 0;
};

/// Where sums go.
struct Outputs {
  void* y = nullptr;  // (tokens, stride)
  std::int64_t stride = 0;
  const float* bias = nullptr;
  const void* residual = nullptr;
  float scale = 1;
  std::int32_t rows = 0;
  Scalar type = Scalar::f16;
  bool is_gated = false;
};

/// Sums of several blocks for the same outputs: each puts its own into memory, the last to come adds them up in the
/// order of their numbers, whoever came when.
struct Exchange {
  float* partials = nullptr;
  unsigned* counters = nullptr;  // zero before and after every launch
};

__device__ inline float load_output(const void* values, std::int64_t at, Scalar type) {
  if (type == Scalar::f32) return static_cast<const float*>(values)[at];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(values)[at];
  return type == Scalar::bf16 ? widen_bf16(bits) : widen_f16(bits);
}

__device__ inline void store_output(const Outputs& out, int token, int row, float value) {
  const std::int64_t at = token * out.stride + row;
  if (out.residual != nullptr) value += load_output(out.residual, at, out.type);
  if (out.type == Scalar::f32) {
    static_cast<float*>(out.y)[at] = value;
  } else {
    static_cast<std::uint16_t*>(out.y)[at] = out.type == Scalar::bf16 ? narrow_bf16(value) : narrow_f16(value);
  }
}

/// The sums of stored rows `row` and `row + 8`, where `row` is in the first half of its tile.
__device__ inline void finish(const Outputs& out, int token, int row, float first, float second) {
  first *= out.scale;
  second *= out.scale;
  if (out.is_gated) {
    const int output = row / 16 * 8 + row % 16;
    if (output >= out.rows) return;
    if (out.bias != nullptr) {
      first += out.bias[output];
      second += out.bias[out.rows + output];
    }
    store_output(out, token, output, silu(first) * second);
    return;
  }
  if (row < out.rows) store_output(out, token, row, first + (out.bias != nullptr ? out.bias[row] : 0.0F));
  if (row + 8 < out.rows) store_output(out, token, row + 8, second + (out.bias != nullptr ? out.bias[row + 8] : 0.0F));
}

/// True in every thread of the block that came last of `expected`. What all of them wrote before can then be read with
/// `load_fresh`. `flag` is shared memory.
__device__ inline bool is_last(unsigned* counter, int expected, unsigned* flag) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned before = atomicAdd(counter, 1U);
    const bool is_it = before + 1 == static_cast<unsigned>(expected);
    if (is_it) *counter = 0;
    *flag = is_it ? 1U : 0U;
  }
  __syncthreads();
  const bool last = *flag != 0;
  if (last) __threadfence();
  return last;
}

}  // namespace lutra::cuda::product
