#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vision/hyper_attention.h"
#include "vision/model.h"
#include "vision/transformer.h"
#include "vision/vectors.h"

namespace lutra::vision {

/// mPLUG-Owl3 (arXiv 2408.04840; tensors as published): SigLIP without its last layer, Qwen2, and hyper attention in a
/// few of its layers.
class MplugOwl3 : public Model {
 public:
  MplugOwl3(const std::string& folder, MplugOwl3Config config, const core::Safetensors& file,
            const graph::Compute& compute, lut::Precision precision, const core::Progress& progress);

  [[nodiscard]] Family family() const override { return Family::mplugowl3; }
  [[nodiscard]] text::Llama& text() override { return *text_; }
  [[nodiscard]] std::size_t weight_bytes() const override { return weight_bytes_; }
  [[nodiscard]] std::int32_t image_token_id() const override { return config_.image_token_id; }
  [[nodiscard]] std::int64_t image_tokens() const override { return 1; }
  [[nodiscard]] std::int64_t vision_tokens() const override { return config_.vision.patches(); }
  /// Each of the two was released with one kind of attention.
  [[nodiscard]] Pieces pieces() const override {
    return kind_ == HyperKind::gated ? Pieces::named : Pieces::marked;
  }

  [[nodiscard]] Features look(const Pixels& pixels, const core::Progress& progress) override;
  [[nodiscard]] std::shared_ptr<PictureKeys> keys_of(const Features& features, text::CacheType type,
                                                     const core::Progress& progress) override;
  [[nodiscard]] Reading read(std::span<const std::int32_t> ids, const Pictures& pictures) const override;
  [[nodiscard]] std::unique_ptr<CrossBlocks> blocks(const CrossStep& step, bool has_pictures) override;

  [[nodiscard]] const MplugOwl3Config& config() const { return config_; }
  [[nodiscard]] HyperKind kind() const { return kind_; }
  /// Through the projector, (tokens, text hidden_size).
  [[nodiscard]] std::vector<float> projected(const Features& features, const core::Progress& progress);
  /// What tokens of a text of that length see of pictures whose own tokens stand at `starts`.
  [[nodiscard]] Reading read(std::int64_t length, std::span<const std::int64_t> starts, const Pictures& pictures) const;

 private:
  struct HyperLayer {
    graph::RMSNorm input_layernorm;
    Linear v_kv_proj;
    std::vector<float> gate;  ///< its sigmoids (hidden_size), of HyperKind::gated
  };
  class Blocks;

  VisionBlock vision_block(text::WeightReader& reader, std::int64_t layer) const;
  void read_projector(text::WeightReader& reader);
  void read_hyper_layers(text::WeightReader& reader);

  MplugOwl3Config config_;
  const graph::Compute* compute_;
  HyperKind kind_;
  std::unique_ptr<text::Llama> text_;
  Vectors vectors_;
  std::optional<PatchEmbedding> patch_embedding_;
  std::vector<float> position_embedding_;  // (patches, width)
  Transformer tower_;
  std::vector<Linear> projector_;  // one or two
  std::vector<HyperLayer> layers_;
  CrossShape shape_;
  std::size_t weight_bytes_ = 0;
};

}  // namespace lutra::vision
