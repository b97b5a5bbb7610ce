#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "dense/tile_kernels.h"
#include "text/config.h"

namespace lutra::vision {

enum class Family { evlm, mllama, mplugowl3 };

[[nodiscard]] const char* name_of(Family family);

/// By `model_type`; `not-supported` for others.
core::Result<Family> family_of(const core::Json& config);

/// A plain vision transformer over one picture.
struct VitConfig {
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t height = 0;  ///< of a picture, in pixels
  std::int64_t width = 0;
  std::int64_t patch_size = 0;
  dense::Activation hidden_act = dense::Activation::gelu;
  double layer_norm_eps = 1e-6;
  bool is_post_norm = false;
  std::vector<std::int64_t> tapped_layers;  ///< finished blocks after which the state is a feature

  [[nodiscard]] std::int64_t patches() const { return (height / patch_size) * (width / patch_size); }
  [[nodiscard]] std::int64_t tokens() const { return 1 + patches(); }
};

/// EVLM's gated cross-attention, one block before every layer of the text model.
struct EvlmCrossConfig {
  std::int64_t num_attention_heads = 0;
  std::int64_t attention_width = 0;
  std::int64_t media_tokens = 0;
  std::int64_t zero_vectors = 0;
  std::int64_t intermediate_size = 0;  ///< 0 with experts
  dense::Activation hidden_act = dense::Activation::gelu;
  std::int64_t num_experts = 0;
  std::int64_t num_experts_per_token = 0;
  std::int64_t expert_width = 0;
  std::int64_t shared_expert_width = 0;
  bool normalize_top_k = true;

  [[nodiscard]] std::int64_t head_dim() const { return attention_width / num_attention_heads; }
};

struct EvlmConfig {
  text::Config text;
  VitConfig vision;
  EvlmCrossConfig cross;
  std::int32_t media_token_id = 0;

  /// Of that layer of the text model.
  [[nodiscard]] std::int64_t tap_of(std::int64_t layer) const {
    return layer * static_cast<std::int64_t>(vision.tapped_layers.size()) / text.num_hidden_layers;
  }
  /// Fails with an error that names the field.
  static core::Result<EvlmConfig> read(const core::Json& config);
};

/// Llama 3.2 Vision (transformers, configuration_mllama.py).
struct MllamaConfig {
  /// The self-attention layers alone: `num_hidden_layers` counts these.
  text::Config text;
  std::vector<std::int64_t> self_layers;   ///< their numbers in the checkpoint
  std::vector<std::int64_t> cross_layers;  ///< those that attend to pictures
  std::int32_t image_token_id = 0;

  std::int64_t hidden_size = 0;  ///< of the tower, as all below
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_global_layers = 0;
  std::int64_t attention_heads = 0;
  std::int64_t image_size = 0;
  std::int64_t patch_size = 0;
  std::int64_t max_num_tiles = 0;
  dense::Activation hidden_act = dense::Activation::gelu;
  double norm_eps = 1e-5;
  std::vector<std::int64_t> taps;                                    ///< `intermediate_layers_indices`
  std::vector<std::pair<std::int64_t, std::int64_t>> aspect_ratios;  ///< (tiles high, tiles wide)
  /// Whether a tap is what goes into that layer, as the published weights were trained; transformers has handed out
  /// what comes out of it since 4.55, and so have the models that it trained and saved since.
  bool taps_are_inputs = false;

  [[nodiscard]] std::int64_t tokens_per_tile() const {
    return (image_size / patch_size) * (image_size / patch_size) + 1;
  }
  [[nodiscard]] std::int64_t padded_tokens() const { return (tokens_per_tile() + 7) / 8 * 8; }
  [[nodiscard]] std::int64_t feature_width() const {
    return hidden_size * (1 + static_cast<std::int64_t>(taps.size()));
  }
  static core::Result<MllamaConfig> read(const core::Json& config);
};

/// mPLUG-Owl3 (configuration_mplugowl3.py, configuration_hyper_qwen2.py): the text model's fields stand at the top.
struct MplugOwl3Config {
  text::Config text;
  VitConfig vision;                        ///< SigLIP's, which has no class token: `tokens()` is one too many
  std::vector<std::int64_t> hyper_layers;  ///< counted from 0
  std::int32_t image_token_id = -1;        ///< -1 where no file names it: then the model reads text alone

  /// `folder`: where the tokenizer's files tell the id of `<|image|>`.
  static core::Result<MplugOwl3Config> read(const core::Json& config, const std::string& folder);
};

}  // namespace lutra::vision
