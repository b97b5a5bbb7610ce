#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "audio/checkpoint.h"
#include "audio/dit.h"
#include "audio/oobleck.h"
#include "audio/samplers.h"

namespace lutra::audio {

/// Tokens of a prompt, filled up to the model's prompt length.
struct Prompt {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> mask;  ///< 1 for a token, 0 for padding

  bool operator==(const Prompt&) const = default;
};

/// One take.
struct Request {
  Prompt prompt;
  std::optional<Prompt> negative;
  double seconds_start = 0;
  double seconds_total = 10;
  std::int64_t frames = 0;  ///< latent frames to make
  std::string sampler;      ///< empty: the model's default
  Schedule schedule;
  double guidance = 1;
  double guidance_rescale = 0;
  std::uint64_t seed = 0;
  /// Samples (audio channels, samples) to start from; empty: from nothing.
  std::vector<float> init;
  /// With `init`: frames that are made anew; empty: all.
  std::vector<float> change;
  /// Told the clean latents (channels, frames) that each step takes x for.
  std::function<void(std::span<const float>)> watch;
};

/// A loaded text-to-audio model. One call at a time.
class Pipeline {
 public:
  /// `text_encoder`: T5's folder; empty: what the checkpoint has beside it. Throws GraphError.
  static std::unique_ptr<Pipeline> load(const std::string& path, const std::string& text_encoder,
                                        const graph::Compute& compute, WeightType type, const core::Progress& progress);

  [[nodiscard]] const Config& config() const { return checkpoint_.config(); }
  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
  /// T5's folder; empty where there is none.
  [[nodiscard]] const std::string& text_encoder() const { return text_encoder_; }
  [[nodiscard]] std::size_t weight_bytes() const { return dit_.size_bytes(); }

  /// T5's states (tokens, width), padding zero. The encoder is loaded for it and let go of afterwards; the states of
  /// the last few prompts are kept, so that another take of one needs no encoder.
  const std::vector<float>& text_states(const Prompt& prompt, const core::Progress& progress);
  /// A number's embedding, (width).
  [[nodiscard]] std::vector<float> number_state(const std::string& id, double value) const;
  /// `cross_attention` and `global` inputs of the transformer.
  [[nodiscard]] Dit::Condition condition(std::span<const float> text,
                                         const std::map<std::string, double>& numbers) const;

  /// Latents of one take (channels, frames).
  std::vector<float> generate(const Request& request, const core::Progress& progress);
  /// Samples (audio channels, frames * hop). Throws GraphError `internal` when they are no finite numbers.
  std::vector<float> decode(std::span<const float> latents, const core::Progress& progress);
  /// The mean of the posterior of samples (audio channels, n), filled with silence to whole frames.
  Oobleck::Encoded encode(std::span<const float> audio, std::int64_t samples, const core::Progress& progress);

  Dit& dit() { return dit_; }
  Oobleck& decoder(const core::Progress& progress);
  Oobleck& encoder(const core::Progress& progress);

 private:
  Pipeline(Checkpoint checkpoint, std::string text_encoder, const graph::Compute& compute, WeightType type,
           const core::Progress& progress);

  Checkpoint checkpoint_;
  std::string text_encoder_;
  const graph::Compute* compute_;
  Dit dit_;
  std::unique_ptr<Oobleck> decoder_, encoder_;
  std::list<std::pair<Prompt, std::vector<float>>> known_;  ///< newest first
};

}  // namespace lutra::audio
