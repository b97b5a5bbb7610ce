#pragma once
#include <cstdint>
#include <cstring>

namespace lutra::simd {
namespace {

/// exp(x) for x <= 0, to 2e-7 of itself; 0 below -87. 2^n by the exponent's bits, the rest by a polynomial. Without
/// branches, so that a loop over it becomes vector code.
inline float exp_below_zero(float x) {
  constexpr float log2_e = 1.44269504F;
  constexpr float ln2_high = 0.693359375F;
  constexpr float ln2_low = -2.12194440e-4F;
  constexpr float magic = 12582912.0F;  // adding 1.5 * 2^23 rounds to a whole number in the lowest bits
  const float bounded = x < -87.0F ? -87.0F : x;
  const float moved = bounded * log2_e + magic;
  const float n = moved - magic;
  const float r = bounded - n * ln2_high - n * ln2_low;
  float p = 1.3888889e-3F;
  p = p * r + 8.3333333e-3F;
  p = p * r + 4.1666667e-2F;
  p = p * r + 1.6666667e-1F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  std::int32_t exponent = 0;
  std::memcpy(&exponent, &moved, sizeof(exponent));
  std::int32_t bits = 0;
  std::memcpy(&bits, &p, sizeof(bits));
  bits += (exponent - 0x4B400000) * (1 << 23);
  float result = 0;
  std::memcpy(&result, &bits, sizeof(result));
  return x < -87.0F ? 0.0F : result;
}

/// x / (1 + exp(-x))
inline float silu(float x) {
  const float e = exp_below_zero(x < 0 ? x : -x);
  return x * (x < 0 ? e : 1.0F) / (1.0F + e);
}

}  // namespace
}  // namespace lutra::simd
