#pragma once
#include "lut/inputs.cuh"

namespace lutra::cuda::product {

struct PrepareArguments {
  Inputs in;
  std::int32_t columns = 0;
  std::int32_t hadamard_size = 0;
  std::uint16_t* target = nullptr;  // (tokens, columns)
};

constexpr int prepare_threads = 256;

/// Inputs as the tensor cores take them: normed, transformed, rounded. A block for each token; with a Hadamard
/// transform it holds the token's columns in f32 in shared memory.
template <Scalar type>
__global__ void __launch_bounds__(prepare_threads) prepare(PrepareArguments a) {
  constexpr int warps = prepare_threads / 32;
  auto* const scratch = reinterpret_cast<float*>(dynamic_shared());
  float* const values = scratch + warps;
  const auto token = static_cast<int>(blockIdx.x);
  const auto own = static_cast<int>(threadIdx.x);
  let_next_begin();
  await_earlier_kernels();
  const float factor = a.in.norm != nullptr ? inverse_rms<type>(a.in, a.columns, token, scratch) : 1.0F;
  std::uint16_t* const target = a.target + std::int64_t{token} * a.columns;
  if (a.hadamard_size == 0) {
    for (int column = own * 8; column < a.columns; column += prepare_threads * 8)
      *reinterpret_cast<uint4*>(target + column) = load_inputs<type>(a.in, token, column, factor);
    return;
  }
  for (int column = own; column < a.columns; column += prepare_threads) {
    const float value = load_output(a.in.x, token * a.in.stride + column, a.in.is_f32 ? Scalar::f32 : type);
    values[column] = a.in.norm != nullptr ? value * factor * a.in.norm[column] : value;
  }
  for (int distance = 1; distance < a.hadamard_size; distance *= 2) {
    __syncthreads();
    for (int pair = own; pair < a.columns / 2; pair += prepare_threads) {
      const int first = pair / distance * distance * 2 + pair % distance;
      const float sum = values[first] + values[first + distance];
      values[first + distance] = values[first] - values[first + distance];
      values[first] = sum;
    }
  }
  __syncthreads();
  const float scale = inverse_root(static_cast<float>(a.hadamard_size));
  for (int column = own; column < a.columns; column += prepare_threads)
    target[column] = narrow<type>(values[column] * scale);
}

}  // namespace lutra::cuda::product
