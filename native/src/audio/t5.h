#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "audio/config.h"
#include "dense/parameters.h"

namespace lutra::audio {

using dense::Dense;
using dense::Parameters;
using dense::WeightType;

/// T5's encoder (Raffel et al. 2020; transformers' T5EncoderModel): relative positions in the scores, no 1/sqrt(d),
/// RMS norms without a shift.
class T5 {
 public:
  /// `folder` holds `config.json` and safetensors. Throws GraphError.
  T5(const std::string& folder, const graph::Compute& compute, const core::Progress& progress);

  [[nodiscard]] std::int64_t width() const { return config_.d_model; }

  /// The states of all tokens, (n, d_model) row-major; those whose mask is 0 are neither read by the others nor kept:
  /// their rows are 0. Throws GraphError `bad-input` for an id outside of the vocabulary.
  std::vector<float> encode(std::span<const std::int32_t> ids, std::span<const std::int32_t> mask,
                            const std::stop_token& stop);

 private:
  struct Layer {
    graph::Tensor attention_norm;
    Dense q, k, v, o;
    graph::Tensor feed_forward_norm;
    std::vector<Dense> wi;  ///< one, or two where gated
    Dense wo;
  };

  graph::Tensor norm(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor weight) const;
  [[nodiscard]] std::vector<float> scores_bias(std::span<const std::int32_t> mask) const;

  T5Config config_;
  core::Safetensors file_;
  core::TensorView embedding_;
  const graph::Compute* compute_;
  Parameters parameters_;
  std::vector<Layer> layers_;
  graph::Tensor final_norm_ = nullptr;
  std::vector<float> relative_;  ///< (buckets, heads)
};

}  // namespace lutra::audio
