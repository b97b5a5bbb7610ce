#pragma once
#include <cstdint>
#include <string_view>

#include "lut/packed_matrix.h"

namespace lutra::lut {

/// A token's activations as BlockLayout::token_bytes lays them out.
using TokenBytes = std::uint8_t;

/// Products of packed weights, written once (kernels_impl.h) and compiled for each instruction set. `x` points at the
/// first of `tokens` tokens, `stride` bytes apart; `out` takes (tokens, 16) values of a row block.
struct Kernels {
  std::string_view name;  ///< `scalar`, `avx2`, `avx512`, `neon`
  int few_tokens;         ///< the most that `multiply` takes
  int panel_tokens;       ///< the most that `multiply_panels` takes

  /// One token's activations, x (columns), laid out for `layout`.
  void (*prepare)(const BlockLayout& layout, Precision precision, const float* x, TokenBytes* target);
  /// Reads the codes once for all tokens.
  void (*multiply)(const PackedMatrix& matrix, Precision precision, std::int64_t row_block, const TokenBytes* x,
                   std::int64_t stride, int tokens, float* out);
  /// A row block widened once for many tokens: signed bytes as the dot product wants them (padded, 16), or f32.
  void (*expand)(const PackedMatrix& matrix, Precision precision, std::int64_t row_block, void* panel);
  /// Two row blocks of `expand`, one after the other; `out` takes (tokens, 32).
  void (*multiply_panels)(const PackedMatrix& matrix, Precision precision, std::int64_t row_block, const void* panels,
                          const TokenBytes* x, std::int64_t stride, int tokens, float* out);
  /// target = silu(gates) * values; `target` may be either of them.
  void (*gate)(const float* gates, const float* values, float* target, std::int64_t count);
  /// The plain dot product of two rows of f32.
  float (*dot)(const float* a, const float* b, std::int64_t count);
};

/// Bytes of one expanded row block.
[[nodiscard]] inline std::int64_t panel_bytes(const PackedMatrix& matrix, Precision precision) {
  return matrix.layout.padded() * 16 * (precision == Precision::exact ? 4 : 1);
}

/// The best that this machine runs; the environment variable LUTRA_KERNELS names another.
[[nodiscard]] const Kernels& best_kernels();
/// By name, for tests; null where this machine or build has none of that name.
[[nodiscard]] const Kernels* kernels_named(std::string_view name);

}  // namespace lutra::lut
