#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vision/model.h"
#include "vision/transformer.h"
#include "vision/vectors.h"

namespace lutra::vision {

/// What a text token that no picture was meant for (all its row of the mask hidden) does in a cross-attention layer.
enum class HiddenRows {
  attend,  ///< transformers: attends to everything, empty tiles too, but leaves out the feed-forward branch
  skip,    ///< Meta's own code: leaves out both branches
};

/// Llama 3.2 Vision (transformers, modeling_mllama.py).
class Mllama : public Model {
 public:
  Mllama(const std::string& folder, MllamaConfig config, const core::Safetensors& file, const graph::Compute& compute,
         lut::Precision precision, const core::Progress& progress);

  [[nodiscard]] Family family() const override { return Family::mllama; }
  [[nodiscard]] text::Llama& text() override { return *text_; }
  [[nodiscard]] std::size_t weight_bytes() const override { return weight_bytes_; }
  [[nodiscard]] std::int32_t image_token_id() const override { return config_.image_token_id; }
  [[nodiscard]] std::int64_t image_tokens() const override { return 1; }
  [[nodiscard]] std::int64_t vision_tokens() const override {
    return config_.max_num_tiles * config_.tokens_per_tile();
  }

  [[nodiscard]] Features look(const Pixels& pixels, const core::Progress& progress) override;
  [[nodiscard]] std::shared_ptr<PictureKeys> keys_of(const Features& features, text::CacheType type,
                                                     const core::Progress& progress) override;
  [[nodiscard]] Reading read(std::span<const std::int32_t> ids, const Pictures& pictures) const override;
  [[nodiscard]] std::unique_ptr<CrossBlocks> blocks(const CrossStep& step, bool has_pictures) override;

  [[nodiscard]] const MllamaConfig& config() const { return config_; }
  /// Through the projector, (tokens, text hidden_size).
  [[nodiscard]] std::vector<float> projected(const Features& features, const core::Progress& progress);
  /// What a row of transformers' `cross_attention_mask` (pictures, tiles) says.
  [[nodiscard]] Sight sight_of(std::span<const float> row, const Pictures& pictures) const;
  /// Every token sees every picture whole, as where there is no mask.
  [[nodiscard]] Sight open_sight(const Pictures& pictures) const;
  void set_hidden_rows(HiddenRows hidden_rows) { hidden_rows_ = hidden_rows; }

 private:
  struct CrossLayer {
    std::int64_t before;  ///< the self-attention layer that it stands before
    graph::RMSNorm input_layernorm;
    text::Projections q_proj;
    Linear kv_proj;
    text::Projections o_proj;
    std::vector<float> q_norm, k_norm;  // (head_dim)
    float attn_gate;                    ///< its tanh
    graph::RMSNorm post_attention_layernorm;
    text::Projections gate_up_proj;
    text::Projections down_proj;
    float mlp_gate;
  };
  class Blocks;

  CrossLayer cross_layer(text::WeightReader& reader, const std::string& name, std::int64_t number);
  VisionBlock vision_block(text::WeightReader& reader, const std::string& name, bool is_gated) const;
  void read_tower(text::WeightReader& reader, const std::string& name);
  /// Tokens of all tiles, (tiles * padded tokens, hidden_size), not yet in the order of the tower.
  [[nodiscard]] std::vector<float> embed(const Pixels& pixels, const core::Progress& progress) const;
  [[nodiscard]] Sight nothing_seen(const Pictures& pictures) const;

  MllamaConfig config_;
  HiddenRows hidden_rows_ = HiddenRows::attend;
  const graph::Compute* compute_;
  std::unique_ptr<text::Llama> text_;
  Vectors vectors_;
  std::optional<PatchEmbedding> patch_embedding_;
  std::vector<float> class_embedding_;     // (hidden_size)
  std::vector<float> position_embedding_;  // (tokens of a tile, hidden_size), times 1 - tanh(gate)
  std::vector<float> tile_embedding_;      // (aspect ids, tiles, tokens, hidden_size), times tanh(gate)
  std::vector<float> pre_tile_;            // (aspect ids, tiles, hidden_size), times tanh(gate)
  std::vector<float> post_tile_;
  std::optional<dense::LayerNorm> layernorm_pre_;
  std::optional<dense::LayerNorm> layernorm_post_;
  Transformer transformer_;
  Transformer global_transformer_;
  std::optional<Linear> projector_;
  std::vector<CrossLayer> layers_;
  CrossShape shape_;
  std::size_t weight_bytes_ = 0;
};

}  // namespace lutra::vision
