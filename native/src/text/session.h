#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "text/llama.h"

namespace lutra::text {

/// A conversation with a model: its cache, and the graphs that add to it. Not for two threads at once.
class Session {
 public:
  /// `context_size`: the most tokens that it will hold. `model` must outlive it.
  Session(Llama& model, std::int64_t context_size, CacheType cache_type);

  [[nodiscard]] std::int64_t context_size() const { return context_size_; }
  /// Tokens whose keys and values are in the cache.
  [[nodiscard]] std::span<const std::int32_t> tokens() const { return tokens_; }
  [[nodiscard]] std::size_t cache_bytes() const { return cache_.size_bytes(); }

  /// Forgets what is not a beginning of `tokens`, and keeps at least one token to be computed.
  /// Returns how many stay.
  std::int64_t keep_prefix(std::span<const std::int32_t> tokens);

  /// Adds tokens, in pieces; returns the logits (vocab_size) after the last. `tell(done)` counts tokens of this call.
  /// Throws `graph::GraphError`: `bad-input` for tokens outside the vocabulary or beyond the context, `cancelled`
  /// (what was added stays), `out-of-memory`.
  std::span<const float> add(std::span<const std::int32_t> tokens, const std::stop_token& stop = {},
                             const std::function<void(std::int64_t)>& tell = {});

  /// Adds tokens and returns the logits after each, row-major (n, vocab_size).
  std::vector<float> add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop = {});

  /// Looks at, or replaces, the residual stream between layers from now on.
  void set_tap(ResidualTap tap);

 private:
  struct Graph {
    std::int64_t n = 0;
    bool all_logits = false;
    std::unique_ptr<graph::Runner> runner;
  };

  void check(std::span<const std::int32_t> tokens) const;
  /// Runs one piece that fits into a graph.
  std::vector<float> run(std::span<const std::int32_t> tokens, bool all_logits, const std::stop_token& stop);
  Graph& graph_of(std::int64_t n, bool all_logits);

  Llama* model_;
  std::int64_t context_size_;
  Cache cache_;
  Step step_;
  std::vector<LayerAttention> layers_;
  ResidualTap tap_;
  Graph one_;    // of a single token
  Graph piece_;  // of the last other length
  std::vector<std::int32_t> tokens_;
  std::vector<float> logits_;
};

}  // namespace lutra::text
