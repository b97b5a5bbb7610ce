#pragma once
#include <vector>

#include "graph/custom.h"
#include "text/attention_kernels.h"
#include "text/cache.h"
#include "text/config.h"

namespace lutra::text {

/// The tokens that one run of a graph adds: their places in the cache are `first`, `first` + 1, …
struct Step {
  std::int64_t first = 0;
  /// cos and sin of the rotary angles, (n, head_dim / 2) each.
  std::vector<float> cos;
  std::vector<float> sin;

  /// Angles for `n` tokens from position `start` on (RoFormer; Llama 3's scaling is in config.rope_factors).
  void turn(const Config& config, std::int64_t start, std::int64_t n);
};

/// Norms (Qwen3) and turns queries and keys, keeps keys and values in the cache, and gives the queries.
class StoreKeys {
 public:
  StoreKeys(const Config& config, Cache& cache, const Step& step, std::int64_t layer, graph::Tensor q_norm,
            graph::Tensor k_norm)
      : config_(&config), cache_(&cache), step_(&step), layer_(layer), q_norm_(q_norm), k_norm_(k_norm) {}

  /// q (head_dim * n_heads, n), k and v (head_dim * n_kv_heads, n); rows may lie apart -> like q, times
  /// 1/sqrt(head_dim)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor q, graph::Tensor k, graph::Tensor v) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  void turn(const float* x, const float* norm, std::int64_t token, float* target) const;

  const Config* config_;
  Cache* cache_;
  const Step* step_;
  std::int64_t layer_;
  graph::Tensor q_norm_;  // (head_dim), or null
  graph::Tensor k_norm_;
};

/// Causal attention over everything in the cache up to each token.
class Attend {
 public:
  Attend(const Config& config, const Cache& cache, const Step& step, std::int64_t layer);

  /// queries (head_dim * n_heads, n) -> like them
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor queries) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

  [[nodiscard]] const Cache& cache() const { return *cache_; }
  [[nodiscard]] std::int64_t layer() const { return layer_; }

 private:
  const Config* config_;
  const Cache* cache_;
  const Step* step_;
  std::int64_t layer_;
  const AttentionKernels* kernels_;
};

}  // namespace lutra::text
