#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audio/config.h"
#include "audio/conv.h"
#include "core/safetensors.h"

namespace lutra::audio {

/// A model's files, whichever of the two published layouts they have: stable-audio-tools' one file beside its
/// `model_config.json`, or diffusers' folder of parts. Tensors are asked for by diffusers' names.
class Checkpoint {
 public:
  /// `path` is a folder, or a `.safetensors` file with its configuration beside it. Throws GraphError.
  static Checkpoint open(const std::string& path);

  [[nodiscard]] const Config& config() const { return config_; }
  /// The folder of T5's encoder that came with the model; empty where none did.
  [[nodiscard]] const std::string& text_encoder() const { return text_encoder_; }
  /// The tokenizer's folder; empty where there is none.
  [[nodiscard]] const std::string& tokenizer() const { return tokenizer_; }

  /// A tensor of the transformer, f32, f16 or bf16, such as `transformer_blocks.0.attn1.to_q.weight`.
  [[nodiscard]] std::optional<core::TensorView> find_dit(const std::string& name) const;
  [[nodiscard]] core::TensorView dit(const std::string& name) const;
  [[nodiscard]] core::TensorView dit(const std::string& name, std::span<const std::int64_t> shape) const;

  /// A convolution of the autoencoder with its weight norm folded, such as `decoder.block.0.conv_t1`.
  [[nodiscard]] ConvWeights conv(const std::string& name, bool is_transposed = false) const;
  /// Such as `decoder.block.0.snake1`.
  [[nodiscard]] Snake snake(const std::string& name, std::int64_t channels) const;
  [[nodiscard]] bool has_encoder() const;

  /// `which`: `0.weights` (half the width), `1.weight`, `1.bias`.
  [[nodiscard]] std::vector<float> number(const std::string& id, const std::string& which) const;

  /// Widened to f32; refuses infinities and what is no number.
  static std::vector<float> floats(const core::TensorView& view, const std::string& name);

 private:
  explicit Checkpoint(Config config) : config_(std::move(config)) {}
  static Checkpoint open_single(const std::string& file, const std::string& config);
  static Checkpoint open_diffusers(const std::string& folder);
  void find_prefixes();
  [[nodiscard]] std::string vae_name(const std::string& name) const;

  Config config_;
  bool is_single_ = false;
  core::Safetensors main_;  ///< all of a single file, or the transformer
  core::Safetensors vae_;
  core::Safetensors projection_;
  std::string dit_prefix_;
  std::string vae_prefix_;
  std::string numbers_prefix_;
  std::string text_encoder_;
  std::string tokenizer_;
};

}  // namespace lutra::audio
