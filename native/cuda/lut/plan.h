#pragma once
#include <cstddef>
#include <cstdint>

#include "lut/share.h"
#include "lut_mul_mat.h"

// How a product is cut up: a function of its sizes and the device's, with no measuring.

namespace lutra::cuda::product {

/// The most tokens that are multiplied as few. On compute capability 9.0, tiles of 64 tokens are faster from 17 on
/// (docs/cuda.md).
std::int32_t most_few_tokens(const DeviceLimits& limits);
/// Counters at the beginning of the workspace, for every kind of product.
constexpr std::size_t counters_bytes = std::size_t{64} << 10;

/// Shared memory that kernels for many tokens have beside the dynamic part.
constexpr std::int32_t static_shared_bytes = 64;

struct FewPlan {
  std::int32_t token_tiles = 1;  ///< of 8 tokens that a block takes at a time: 1, 2 or 4
  std::int32_t token_groups = 1;
  std::int32_t threads = 0;  ///< of a block
  std::int32_t row_warps = 1;
  std::int32_t slices = 1;
  std::int32_t slice_blocks = 1;
  std::int32_t parts = 1;
  bool whole_groups = false;
  Share share;       ///< of a slice
  Share last_share;  ///< of the last slice, which may be smaller
  std::int32_t most_partials = 1;
  std::int32_t groups = 1;
  std::size_t shared_bytes = 0;
  std::size_t partial_bytes = 0;

  [[nodiscard]] std::int32_t blocks() const { return token_groups * slices * parts; }
};
/// `tokens` is at most 64. `parts` is 0 where the device has too little shared memory.
FewPlan plan_few(const DeviceLimits& limits, const LutLayout& layout, std::int32_t tokens);

struct ManyPlan {
  bool is_hopper = false;
  std::int32_t tokens = 64;  ///< of a tile
  std::int32_t rows = 128;
  std::int32_t row_tiles = 1;
  std::int32_t token_tiles = 1;
  std::int32_t splits = 1;  ///< of the columns
  std::int32_t split_blocks = 1;
  std::size_t shared_bytes = 0;
  std::size_t partial_bytes = 0;

  [[nodiscard]] std::int32_t blocks() const { return row_tiles * token_tiles * splits; }
};
ManyPlan plan_many(const DeviceLimits& limits, const LutLayout& layout, std::int32_t tokens);

/// True where this library holds the tensor core code of that device's own architecture (sm_90a).
bool has_hopper_kernels();

}  // namespace lutra::cuda::product
