#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace lutra::text {

/// What a Llama-class model's config.json says; nothing of it is a constant in code.
struct Config {
  std::string model_type;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tie_word_embeddings = false;
  /// Divides the rotary frequencies, (head_dim / 2); empty for none.
  std::vector<float> rope_factors;
  /// Positions that a layer sees, itself included; 0: all. One number for all layers that `layer_slides` names.
  std::int64_t sliding_window = 0;
  std::vector<bool> layer_slides;  ///< (num_hidden_layers), or empty for none
  /// `quantization_config.quant_method`, or empty.
  std::string quant_method;
  /// Of our own LUT folders; 0 elsewhere.
  int lut_bits = 0;
  std::int64_t lut_group_size = 0;

  /// Rows of the embedding beyond the vocabulary: tokens that are read and never written (mllama's picture).
  std::int64_t extra_embedding_rows = 0;

  [[nodiscard]] std::int64_t input_vocab_size() const { return vocab_size + extra_embedding_rows; }
  [[nodiscard]] std::int64_t window_of(std::int64_t layer) const {
    return !layer_slides.empty() && layer_slides[static_cast<std::size_t>(layer)] ? sliding_window : 0;
  }

  /// Fails with `bad-file` or `not-supported` that names the field.
  static core::Result<Config> read(const std::string& folder);
  /// A text model's object within the `whole` config.json, which may say how all of it is quantized. `place` stands
  /// before the names of fields in messages; what is not 0 in `defaults` may be missing.
  static core::Result<Config> parse(const core::Json& json, const core::Json& whole, const std::string& place,
                                    const Config& defaults);
  /// Whether `read` takes models of that type.
  static bool knows(const std::string& model_type);
};

}  // namespace lutra::text
