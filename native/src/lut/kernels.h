#pragma once
#include <cstdint>
#include <string_view>

#include "lut/lut_matrix.h"

namespace lutra::lut {

/// Exact products: table entries and activations in f32, sums in f32 (of a group first, then times its scale).
struct Kernels {
  std::string_view name;  ///< `scalar`, `avx2`, `avx512`
  /// The dot product of a row with x (columns).
  float (*dot_row)(const LutMatrix& matrix, std::int64_t row, const float* x);
  /// All weights of a row, without their rounding changed: `target` (columns).
  void (*expand_row)(const LutMatrix& matrix, std::int64_t row, float* target);
  /// The plain dot product of two rows of f32.
  float (*dot)(const float* a, const float* b, std::int64_t count);
};

/// The best that this machine runs.
[[nodiscard]] const Kernels& best_kernels();
/// By name, for tests; null where this machine or build has none of that name.
[[nodiscard]] const Kernels* kernels_named(std::string_view name);

}  // namespace lutra::lut
