#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "text/conversation.h"
#include "text/llama.h"

namespace lutra::text {

/// A conversation that runs through ggml: its cache, and the graphs that add to it.
class Session : public Conversation {
 public:
  /// `model` must outlive it.
  Session(Llama& model, std::int64_t context_size, CacheType cache_type);

  [[nodiscard]] std::size_t cache_bytes() const override { return cache_.size_bytes(); }
  void read(std::span<const std::int32_t> tokens, const std::stop_token& stop,
            const std::function<void(std::int64_t)>& tell) override;
  std::int32_t draw(Sampler& sampler) override;
  std::int32_t follow(std::int32_t token, Sampler& sampler, const std::stop_token& stop) override;

  /// `read`, with the logits (vocab_size) after the last token.
  std::span<const float> add(std::span<const std::int32_t> tokens, const std::stop_token& stop = {},
                             const std::function<void(std::int64_t)>& tell = {});

  /// Adds tokens and returns the logits after each, row-major (n, vocab_size).
  std::vector<float> add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop = {});

  /// Of a model without a head: adds up to 512 tokens and returns the residual stream after each, row-major
  /// (n, hidden_size).
  std::vector<float> add_residual(std::span<const std::int32_t> tokens, const std::stop_token& stop);

  /// Looks at, or replaces, the residual stream between layers from now on.
  void set_tap(ResidualTap tap);
  /// Puts blocks before layers (see Llama::forward) from now on.
  void set_before(ResidualTap before);
  /// Puts something in the place of layers' attention from now on.
  void set_attention(AttentionTap attention);
  /// The tokens of the run that is going on, for such blocks.
  [[nodiscard]] const Step& step() const { return step_; }

 private:
  struct Graph {
    std::int64_t n = 0;
    bool all_logits = false;
    std::unique_ptr<graph::Runner> runner;
  };

  /// Runs one piece that fits into a graph.
  std::vector<float> run(std::span<const std::int32_t> tokens, bool all_logits, const std::stop_token& stop);
  Graph& graph_of(std::int64_t n, bool all_logits);

  Llama* model_;
  Cache cache_;
  Step step_;
  std::vector<LayerAttention> layers_;
  ResidualTap tap_;
  ResidualTap before_;
  AttentionTap attention_;
  Graph one_;    // of a single token
  Graph piece_;  // of the last other length
  std::vector<float> logits_;
};

}  // namespace lutra::text
