#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audio/checkpoint.h"
#include "dense/attention.h"
#include "dense/parameters.h"

namespace lutra::audio {

using dense::Attend;
using dense::Dense;
using dense::Parameters;
using dense::WeightType;

/// Stable Audio's diffusion transformer (Evans et al. 2024): latents as tokens behind one token for time and the global
/// numbers, rotary self-attention, cross-attention to text and numbers, SwiGLU.
class Dit {
 public:
  Dit(const Checkpoint& checkpoint, const graph::Compute& compute, WeightType type, const core::Progress& progress);

  [[nodiscard]] std::int64_t channels() const { return channels_; }
  [[nodiscard]] std::int64_t cross_width() const { return cross_width_; }
  [[nodiscard]] std::int64_t global_width() const { return global_width_; }
  [[nodiscard]] std::size_t size_bytes() const { return parameters_.size_bytes(); }
  [[nodiscard]] std::size_t compute_bytes() const { return runner_ ? runner_->compute_bytes() : 0; }

  /// What a prompt is to the network.
  struct Condition {
    std::vector<float> cross;     ///< (tokens, cross_width), row-major
    std::vector<float> global;    ///< (global_width)
    std::vector<float> negative;  ///< as `cross`; empty: zeros, which need no cross-attention
  };

  /// The prediction for latents (channels, frames) at time t in [0, 1], row-major. With `guided` a second one, without
  /// the prompt (or with the negative one), in the same pass. The graph is kept for the next call of the same sizes.
  struct Velocity {
    std::vector<float> conditional;
    std::vector<float> unconditional;  ///< empty where not guided
  };
  Velocity operator()(std::span<const float> latents, std::int64_t frames, double t, const Condition& condition,
                      bool guided, const std::stop_token& stop);

 private:
  struct Norm {
    graph::Tensor weight;
    graph::Tensor bias;  ///< or null
    float eps;
    graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  };
  struct Attention {
    Dense q, k, v, out;
    std::optional<Norm> q_norm, k_norm;
  };
  struct Block {
    Norm norm1;
    Attention attn1;
    Norm norm2;
    Attention attn2;
    Norm norm3;
    Dense ff_in, ff_out;
  };
  struct Sizes {
    std::int64_t frames = 0;
    std::int64_t cross_tokens = 0;
    int branches = 0;
    bool has_negative = false;
    bool operator==(const Sizes&) const = default;
  };

  class Loader;
  void build(const Sizes& sizes);
  graph::Tensor attend(graph::GraphBuilder& g, Attention& attention, graph::Tensor x, graph::Tensor context,
                       graph::Tensor positions, graph::Tensor factors);

  const graph::Compute* compute_;
  Parameters parameters_;
  std::int64_t channels_ = 0;
  std::int64_t width_ = 0;
  std::int64_t cross_width_ = 0;
  std::int64_t global_width_ = 0;
  std::int64_t head_dim_ = 0;
  int rotary_dims_ = 0;
  Attend attend_;
  std::vector<float> rotary_factors_;  ///< base^(-2i/n) over the file's own frequency
  std::vector<float> time_frequencies_;
  std::vector<Dense> time_, global_, cross_;  ///< two each, SiLU between
  std::vector<Dense> ends_;                   ///< preprocess, project in, project out, postprocess
  std::vector<Block> blocks_;
  Sizes built_;
  std::unique_ptr<graph::Runner> runner_;
};

}  // namespace lutra::audio
