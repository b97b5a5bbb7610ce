#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vision/experts.h"
#include "vision/model.h"
#include "vision/transformer.h"
#include "vision/vectors.h"

namespace lutra::vision {

/// EVLM (arXiv 2407.14177), in the layout of this folder's README.
class Evlm : public Model {
 public:
  Evlm(const std::string& folder, EvlmConfig config, const core::Safetensors& file, const graph::Compute& compute,
       lut::Precision precision, const core::Progress& progress);

  [[nodiscard]] Family family() const override { return Family::evlm; }
  [[nodiscard]] text::Llama& text() override { return *text_; }
  [[nodiscard]] std::size_t weight_bytes() const override { return weight_bytes_; }
  [[nodiscard]] std::int32_t image_token_id() const override { return config_.media_token_id; }
  [[nodiscard]] std::int64_t image_tokens() const override { return config_.cross.media_tokens; }
  [[nodiscard]] std::int64_t vision_tokens() const override { return config_.vision.tokens(); }

  [[nodiscard]] Features look(const Pixels& pixels, const core::Progress& progress) override;
  [[nodiscard]] std::shared_ptr<PictureKeys> keys_of(const Features& features, text::CacheType type,
                                                     const core::Progress& progress) override;
  [[nodiscard]] Reading read(std::span<const std::int32_t> ids, const Pictures& pictures) const override;
  [[nodiscard]] std::unique_ptr<CrossBlocks> blocks(const CrossStep& step, bool has_pictures) override;

  [[nodiscard]] const EvlmConfig& config() const { return config_; }
  /// A layer's tap through its `visual_norm`, (tokens, width).
  [[nodiscard]] std::vector<float> normed(const Features& features, std::int64_t layer) const;

 private:
  struct CrossLayer {
    graph::RMSNorm attention_norm;
    dense::LayerNorm visual_norm;
    text::Projections q_proj;
    Linear kv_proj;
    text::Projections o_proj;
    float attention_gate;  ///< its tanh
    graph::RMSNorm ffn_norm;
    std::optional<text::Projections> fc1, fc2;  ///< dense
    std::unique_ptr<Experts> experts;           ///< or a mixture
    float ffn_gate;
  };
  /// Puts media tokens in the place of their ids.
  struct Media {
    const Evlm* model;
    const CrossStep* step;
    void run(ggml_tensor* dst, int ith, int nth) const noexcept;
  };
  class Blocks;

  CrossLayer cross_layer(text::WeightReader& reader, std::int64_t layer);
  VisionBlock vision_block(text::WeightReader& reader, std::int64_t layer) const;

  EvlmConfig config_;
  const graph::Compute* compute_;
  std::unique_ptr<text::Llama> text_;
  Vectors vectors_;
  std::optional<PatchEmbedding> patch_embedding_;
  std::vector<float> class_embedding_;     // (hidden_size)
  std::vector<float> position_embedding_;  // (tokens, hidden_size)
  Transformer tower_;
  std::vector<float> media_embedding_;  // (media_tokens, text hidden_size)
  std::vector<CrossLayer> layers_;
  dense::Activate activate_;
  CrossShape shape_;
  std::size_t weight_bytes_ = 0;
};

}  // namespace lutra::vision
