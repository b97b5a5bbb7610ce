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

/// softmax(q k^T / sqrt(head_dim)) v without a mask, in f32, as one node; grouped heads. A block of queries at a time,
/// so that its scores stay in the cache.
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
  /// Takes away what a block of queries does not see of its scores (n_keys, frames); returns how many keys are left.
  std::int64_t hide(float* scores, std::int64_t start, std::int64_t n_keys) const;

  const TileKernels* kernels_;
  std::optional<ShortSight> short_sight_;
  std::stop_token stop_;
};

}  // namespace lutra::dense
