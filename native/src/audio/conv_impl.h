// The convolution kernels, once for all instruction sets; included after the header that defines `Simd`.
#pragma once
#include <cstdint>
#include <cstring>

#include "audio/conv_kernels.h"
#include "simd/exp.h"

namespace lutra::audio {
namespace {

using simd::Simd;

constexpr int lanes = 16;
constexpr int tile_rows = Simd::tile_rows;
constexpr int tile_vectors = Simd::tile_vectors;

void multiply(const ConvTile& tile) {
  Simd::Floats sum[tile_rows][tile_vectors];
  for (int r = 0; r < tile_rows; ++r) {
    for (auto& part : sum[r]) part = Simd::floats(tile.bias[r]);
  }
  const float* weights = tile.weights;
  for (std::int64_t i = 0; i < tile.n_in; ++i) {
    const float* a = tile.a + i * tile.stride;
    for (std::int64_t j = 0; j < tile.taps; ++j) {
      Simd::Floats x[tile_vectors];
      for (int v = 0; v < tile_vectors; ++v) x[v] = Simd::load(a + v * lanes);
      for (int r = 0; r < tile_rows; ++r) {
        const Simd::Floats weight = Simd::floats(weights[r]);
        for (int v = 0; v < tile_vectors; ++v) sum[r][v] = Simd::fma(weight, x[v], sum[r][v]);
      }
      weights += tile_rows;
      a += tile.dilation;
    }
  }
  for (int r = 0; r < tile_rows; ++r) {
    for (int v = 0; v < tile_vectors; ++v) Simd::store(tile.out + (r * tile_vectors + v) * lanes, sum[r][v]);
  }
}

/// sin(z)^2 for |z| up to 1e4: z - n pi in three parts, each product exact, then sine's series to the eleventh power,
/// whose last term is below 6e-8 at pi / 2.
inline float sine_squared(float z) {
  constexpr float inverse_pi = 0.318309886F;
  constexpr float pi_high = 3.140625F;
  constexpr float pi_middle = 9.67502593994140625e-4F;
  constexpr float pi_low = 1.509957990978376432e-7F;
  constexpr float magic = 12582912.0F;  // adding 1.5 * 2^23 rounds to a whole number
  const float n = (z * inverse_pi + magic) - magic;
  const float r = ((z - n * pi_high) - n * pi_middle) - n * pi_low;
  const float s = r * r;
  float p = -2.5052108e-8F;
  p = p * s + 2.7557319e-6F;
  p = p * s - 1.9841270e-4F;
  p = p * s + 8.3333333e-3F;
  p = p * s - 1.6666667e-1F;
  const float sine = r + r * s * p;
  return sine * sine;
}

void snake(const float* __restrict x, float alpha, float inverse_beta, float* __restrict y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] + sine_squared(x[i] * alpha) * inverse_beta;
}

void softmax(float* __restrict x, std::int64_t n, float* __restrict sums) {
  constexpr int frames = tile_vectors * lanes;
  float most[frames];
  for (int f = 0; f < frames; ++f) most[f] = x[f];
  for (std::int64_t k = 1; k < n; ++k) {
    const float* row = x + k * frames;
    for (int f = 0; f < frames; ++f) most[f] = most[f] < row[f] ? row[f] : most[f];
  }
  for (int f = 0; f < frames; ++f) sums[f] = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    float* row = x + k * frames;
    for (int f = 0; f < frames; ++f) {
      row[f] = simd::exp_below_zero(row[f] - most[f]);
      sums[f] += row[f];
    }
  }
}

constexpr ConvKernels these_kernels = {Simd::name, tile_rows, tile_vectors* lanes, multiply, snake, softmax};

}  // namespace
}  // namespace lutra::audio
