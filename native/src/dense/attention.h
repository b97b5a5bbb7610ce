#pragma once
#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>

#include "dense/tile_kernels.h"
#include "graph/custom.h"

namespace lutra::dense {

/// Queries from `first` on see only the first `keys` keys; the others see all.
struct ShortSight {
  std::int64_t first = 0;
  std::int64_t keys = 0;
};

/// softmax(q k^T / sqrt(head_dim)) v without a mask, in f32, as one node; grouped heads. Some queries and keys at a
/// time, so that what lies between stays in the cache.
class Attend {
 public:
  explicit Attend(const TileKernels& kernels = best_tile_kernels()) : kernels_(&kernels) {}

  /// From now on, until it is set anew.
  void set_short_sight(std::optional<ShortSight> sight) { short_sight_ = sight; }
  /// Looked at in the middle of a node, which may take seconds; what it gives is then of no use.
  void set_stop(std::stop_token stop) { stop_ = std::move(stop); }

  /// q (head_dim, heads, n, batch), k and v (head_dim, kv heads, n', batch), contiguous -> (head_dim * heads, n, batch)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor q, graph::Tensor k, graph::Tensor v) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  /// A head's keys and values, laid out for the kernels.
  struct Head {
    std::int64_t head;
    std::int64_t batch;
    std::int64_t n_keys;
    const float* keys;    ///< (key blocks, dim, rows)
    const float* values;  ///< (value blocks, n_keys, rows)
  };

  void attend_group(ggml_tensor* dst, const Head& head, std::int64_t first_tile, std::int64_t tiles) const;
  /// Keys that a tile of queries may see.
  [[nodiscard]] std::int64_t keys_of(std::int64_t query, std::int64_t n_keys) const;
  /// Takes away what single queries of a tile do not see of scores (count, frames) from key `start` on.
  void hide(float* scores, std::int64_t query, std::int64_t start, std::int64_t count) const;

  const TileKernels* kernels_;
  std::optional<ShortSight> short_sight_;
  std::stop_token stop_;
};

}  // namespace lutra::dense
