#pragma once
#include <cstdint>

#include "text/cache.h"

namespace lutra::text {

/// Query rows that share a head's keys and values: of one token or several.
struct AttentionRows {
  static constexpr int most = 8;
  int count = 0;
  const float* query[most];       ///< (head_dim), times the score's scale already
  float* output[most];            ///< (head_dim)
  std::int64_t first[most] = {};  ///< the first position that the row sees
  std::int64_t end[most] = {};    ///< one past the last
  /// Where attention goes over several caches, each row's largest score and sum of weights so far (minus infinity and 0
  /// at first); `output` then holds sums that are not yet divided. Null for a single cache.
  float* maximum = nullptr;  ///< (count)
  float* sum = nullptr;      ///< (count)
};

/// softmax(q k^T) v over a cached head, by pieces of positions with a running maximum (Milakov and Gimelshein, 2018).
struct AttentionKernels {
  const char* name;
  void (*attend)(const Cache& cache, std::int64_t layer, std::int64_t kv_head, const AttentionRows& rows);
};

/// For the same instruction set as lut::best_kernels().
[[nodiscard]] const AttentionKernels& attention_kernels(const char* name);

}  // namespace lutra::text
