#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace lutra::audio {

/// What the network predicts, which decides the samplers.
enum class Objective { v, rectified_flow };

/// The diffusion transformer's numbers that its tensors do not say.
struct DitConfig {
  std::int64_t num_heads = 0;
};

/// Oobleck's strides, shallow to deep.
struct VaeConfig {
  std::vector<std::int64_t> strides;
  [[nodiscard]] std::int64_t hop() const;  ///< samples per latent frame
};

/// A number that the model is told, such as the length in seconds.
struct NumberConditioner {
  std::string id;  ///< `seconds_start`, `seconds_total`
  double minimum = 0;
  double maximum = 512;
};

/// T5's encoder (transformers' T5Config).
struct T5Config {
  std::int64_t d_model = 0;
  std::int64_t d_kv = 0;
  std::int64_t d_ff = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t vocab_size = 0;
  std::int64_t relative_attention_num_buckets = 32;
  std::int64_t relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;
  std::string act = "relu";  ///< `relu`, `gelu_new`
  bool is_gated = false;

  /// Reads `config.json` in a folder.
  static core::Result<T5Config> read(const std::string& folder);
};

/// A text-to-audio model as its checkpoint describes it.
struct Config {
  Objective objective = Objective::v;
  std::int64_t sample_rate = 44'100;
  std::int64_t sample_size = 0;  ///< the window in samples, as trained
  std::int64_t audio_channels = 2;
  std::int64_t prompt_length = 128;  ///< tokens, padding included
  DitConfig dit;
  VaeConfig vae;
  std::vector<NumberConditioner> numbers;
  std::vector<std::string> cross_ids;   ///< in this order; `prompt` is the text
  std::vector<std::string> global_ids;  ///< in this order

  /// Reads stable-audio-tools' `model_config.json`.
  static core::Result<Config> read_single(const std::string& path);
  /// Reads the `config.json` of each part of a diffusers folder.
  static core::Result<Config> read_diffusers(const std::string& folder);

  [[nodiscard]] std::int64_t most_latents() const { return sample_size / vae.hop(); }
};

}  // namespace lutra::audio
