// The kernels of tiles, once for all instruction sets; included after the header that defines `Simd`.
#pragma once
#include <cstdint>
#include <cstring>

#include "dense/tile_kernels.h"
#include "simd/exp.h"

namespace lutra::dense {
namespace {

using simd::Simd;

constexpr int lanes = 16;
constexpr int tile_rows = Simd::tile_rows;
constexpr int tile_vectors = Simd::tile_vectors;

void multiply(const Tile& tile) {
  Simd::Floats sum[tile_rows][tile_vectors];
  for (int r = 0; r < tile_rows; ++r) {
    for (auto& part : sum[r]) part = Simd::floats(tile.bias[r]);
  }
  const float* weights = tile.weights;
  const auto add = [&](const float* a) {
    Simd::Floats x[tile_vectors];
    for (int v = 0; v < tile_vectors; ++v) x[v] = Simd::load(a + v * lanes);
    for (int r = 0; r < tile_rows; ++r) {
      const Simd::Floats weight = Simd::floats(weights[r]);
      for (int v = 0; v < tile_vectors; ++v) sum[r][v] = Simd::fma(weight, x[v], sum[r][v]);
    }
    weights += tile_rows;
  };
  const float* row = tile.a;
  if (tile.taps == 1) {
    // Products: counting two loops would take a sixth of the time.
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < tile.n_in; ++i, row += tile.stride) add(row);
  } else {
    for (std::int64_t i = 0; i < tile.n_in; ++i, row += tile.stride) {
      for (std::int64_t j = 0; j < tile.taps; ++j) add(row + j * tile.dilation);
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

void soften(float* __restrict x, std::int64_t n, float* __restrict most, float* __restrict sums,
            float* __restrict shrink) {
  constexpr int frames = tile_vectors * lanes;
  Simd::Floats top[tile_vectors];
  for (int v = 0; v < tile_vectors; ++v) top[v] = Simd::load(most + v * lanes);
  for (std::int64_t k = 0; k < n; ++k) {
    for (int v = 0; v < tile_vectors; ++v) top[v] = Simd::maximum(top[v], Simd::load(x + k * frames + v * lanes));
  }
  float tops[frames];
  for (int v = 0; v < tile_vectors; ++v) Simd::store(tops + v * lanes, top[v]);
  for (int f = 0; f < frames; ++f) shrink[f] = simd::exp_below_zero(most[f] - tops[f]);
  Simd::Floats sum[tile_vectors];
  for (auto& part : sum) part = Simd::floats(0);
  for (std::int64_t k = 0; k < n; ++k) {
    float* row = x + k * frames;
    for (int f = 0; f < frames; ++f) row[f] = simd::exp_below_zero(row[f] - tops[f]);
    for (int v = 0; v < tile_vectors; ++v) sum[v] = Simd::add(sum[v], Simd::load(row + v * lanes));
  }
  float added[frames];
  for (int v = 0; v < tile_vectors; ++v) Simd::store(added + v * lanes, sum[v]);
  for (int f = 0; f < frames; ++f) {
    most[f] = tops[f];
    sums[f] = sums[f] * shrink[f] + added[f];
  }
}

/// erf(z) for z >= 0, to 1.5e-7 (Abramowitz and Stegun 7.1.26).
inline float error_function(float z) {
  const float t = 1.0F / (1.0F + 0.3275911F * z);
  float p = 1.061405429F;
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  return 1.0F - p * t * simd::exp_below_zero(-z * z);
}

inline float gelu(float x) {
  constexpr float inverse_root_2 = 0.707106781F;
  const float erf = error_function((x < 0 ? -x : x) * inverse_root_2);
  return 0.5F * x * (1.0F + (x < 0 ? -erf : erf));
}

inline float gelu_tanh(float x) {
  constexpr float root_2_over_pi = 0.797884561F;
  const float z = root_2_over_pi * (x + 0.044715F * x * x * x);
  const float e = simd::exp_below_zero(z < 0 ? 2 * z : -2 * z);
  const float tanh = (1.0F - e) / (1.0F + e);
  return 0.5F * x * (1.0F + (z < 0 ? -tanh : tanh));
}

void activate(Activation activation, float* __restrict x, std::int64_t count) {
  switch (activation) {
    case Activation::none:
      return;
    case Activation::relu:
      for (std::int64_t i = 0; i < count; ++i) x[i] = x[i] < 0 ? 0.0F : x[i];
      return;
    case Activation::silu:
      for (std::int64_t i = 0; i < count; ++i) x[i] = simd::silu(x[i]);
      return;
    case Activation::gelu:
      for (std::int64_t i = 0; i < count; ++i) x[i] = gelu(x[i]);
      return;
    case Activation::gelu_tanh:
      for (std::int64_t i = 0; i < count; ++i) x[i] = gelu_tanh(x[i]);
      return;
    case Activation::quick_gelu: {
      constexpr float slope = 1.702F;
      for (std::int64_t i = 0; i < count; ++i) x[i] = simd::silu(slope * x[i]) / slope;
      return;
    }
  }
}

constexpr TileKernels these_kernels = {Simd::name, tile_rows, tile_vectors * lanes, multiply, snake, soften, activate};

}  // namespace
}  // namespace lutra::dense
