#pragma once
#include <cstdint>

// What host and kernels both know: the input of a step, and where keys and values lie.

namespace lutra::cuda {

constexpr int page_positions = 256;
constexpr int penalty_tokens = 64;

/// text::SamplerOptions, and which draw it is.
struct Sampling {
  float temperature = 0;
  std::int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repeat_penalty = 1;
  std::uint32_t seed = 0;
  std::uint64_t draw = 0;
};

/// All that differs from step to step. It is copied to the device at the beginning of one, so that a captured graph
/// serves them all.
struct StepInput {
  std::int32_t position = 0;  ///< of the first token
  std::int32_t token = 0;     ///< of a step of one token
  std::int32_t recent_count = 0;
  std::int32_t recent[penalty_tokens] = {};  ///< what the repeat penalty looks at
  Sampling sampling;
};

/// Keys and values in pages of 256 positions. A page: cos and sin of the rotary angles f32 (2, 256, head_dim / 2), then
/// for each layer keys and values (2, kv_heads, 256, dim) in f16 or signed bytes, then for bytes f32 scales
/// (layers, 2, kv_heads, 256). dim is head_dim rounded up to 16, the rest zero.
struct CacheLayout {
  std::int32_t layers = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  bool is_bytes = false;

#ifdef __CUDACC__
#define LUTRA_BOTH __host__ __device__
#else
#define LUTRA_BOTH
#endif
  [[nodiscard]] LUTRA_BOTH std::int32_t dim() const { return (head_dim + 15) / 16 * 16; }
  [[nodiscard]] LUTRA_BOTH std::int64_t angle_bytes() const { return std::int64_t{4} * page_positions * head_dim; }
  [[nodiscard]] LUTRA_BOTH std::int64_t values_bytes() const {
    return std::int64_t{page_positions} * dim() * (is_bytes ? 1 : 2);
  }
  /// Where a head's keys (`kind` 0) or values (1) begin in a page.
  [[nodiscard]] LUTRA_BOTH std::int64_t values_at(std::int32_t layer, std::int32_t kind, std::int32_t kv_head) const {
    return angle_bytes() + ((std::int64_t{layer} * 2 + kind) * kv_heads + kv_head) * values_bytes();
  }
  [[nodiscard]] LUTRA_BOTH std::int64_t scales_at(std::int32_t layer, std::int32_t kind, std::int32_t kv_head) const {
    return values_at(layers, 0, 0) +
           ((std::int64_t{layer} * 2 + kind) * kv_heads + kv_head) * page_positions * std::int64_t{4};
  }
  [[nodiscard]] LUTRA_BOTH std::int64_t page_bytes() const {
    return is_bytes ? scales_at(layers, 0, 0) : values_at(layers, 0, 0);
  }
#undef LUTRA_BOTH
};

struct Cache {
  CacheLayout layout;
  unsigned char* const* pages = nullptr;  ///< on the device, a list of them
};

}  // namespace lutra::cuda
