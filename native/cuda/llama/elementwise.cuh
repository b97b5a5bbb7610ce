#pragma once
#include "llama/arguments.h"
#include "llama/primitives.cuh"

namespace lutra::cuda::kernels {

constexpr int row_threads = 256;

/// target (n, width) f32 = rows `ids` of `table` (vocab, width). One block per token.
__global__ void __launch_bounds__(row_threads)
    embed(const void* table, Stored type, const std::int32_t* ids, int width, float* target) {
  const std::int64_t row = std::int64_t{ids[blockIdx.x]} * width;
  float* to = target + std::int64_t{blockIdx.x} * width;
  for (int i = static_cast<int>(threadIdx.x); i < width; i += row_threads) {
    if (type == Stored::f32) {
      to[i] = static_cast<const float*>(table)[row + i];
    } else {
      const std::uint16_t bits = static_cast<const std::uint16_t*>(table)[row + i];
      to[i] = type == Stored::f16 ? from_f16(bits) : from_bf16(bits);
    }
  }
}

/// Inputs of a product as the tensor cores take them. One block per token.
__global__ void __launch_bounds__(row_threads) prepare(PrepareArguments a) {
  __shared__ float scratch[row_threads / 32];
  let_next_begin();
  await_earlier_kernels();
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t row = std::int64_t{blockIdx.x} * a.width;
  const auto at = [&](int i) {
    return a.is_f32 ? static_cast<const float*>(a.x)[row + i]
                    : from_f16(static_cast<const std::uint16_t*>(a.x)[row + i]);
  };
  float scale = 1;
  if (a.norm != nullptr) {
    float power = 0;
    for (int i = thread; i < a.width; i += row_threads) power += at(i) * at(i);
    scale = 1.0F / sqrtf(block_sum<row_threads / 32>(power, scratch) / static_cast<float>(a.width) + a.eps);
  }
  const auto normed = [&](int i) {
    if (i >= a.width) return 0.0F;
    return a.norm == nullptr ? at(i) : at(i) * scale * a.norm[i];
  };
  std::uint16_t* target = a.target + std::int64_t{blockIdx.x} * a.target_width;
  for (int i = thread; i < a.target_width; i += row_threads) target[i] = to_f16(normed(i));
}

/// target f16 (n, width) = silu(gate) * up, of gate_up f32 (n, 2, width). One block per token and 256 values.
__global__ void __launch_bounds__(row_threads) gate(const float* gate_up, int width, std::uint16_t* target) {
  const int i = static_cast<int>(blockIdx.y * row_threads + threadIdx.x);
  if (i >= width) return;
  const float* both = gate_up + std::int64_t{blockIdx.x} * 2 * width;
  const float g = both[i];
  target[std::int64_t{blockIdx.x} * width + i] = to_f16(g / (1.0F + expf(-g)) * both[width + i]);
}

}  // namespace lutra::cuda::kernels
