#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "audio/checkpoint.h"
#include "core/progress.h"
#include "graph/runner.h"

namespace lutra::audio {

/// One half of Oobleck, Stable Audio's autoencoder (Evans et al. 2024): convolutions with Snake between them, five
/// blocks of three residual units. f32 throughout.
class Oobleck {
 public:
  enum class Half { decoder, encoder };
  Oobleck(const Checkpoint& checkpoint, Half half, const graph::Compute& compute, const core::Progress& progress);

  [[nodiscard]] std::int64_t latent_channels() const { return latent_channels_; }
  [[nodiscard]] std::int64_t audio_channels() const { return audio_channels_; }
  [[nodiscard]] std::int64_t hop() const { return hop_; }
  /// Latent frames on each side that a frame's samples depend on.
  [[nodiscard]] std::int64_t reach() const { return reach_; }
  [[nodiscard]] std::size_t compute_bytes() const { return most_compute_bytes_; }

  /// Latents (channels, frames) -> samples (audio channels, frames * hop), row-major, not clipped. Computed in tiles of
  /// `tile` frames (0: whole) with as much of their neighbours as they depend on: the same samples either way.
  std::vector<float> decode(std::span<const float> latents, std::int64_t frames, std::int64_t tile,
                            const core::Progress& progress);

  struct Encoded {
    std::vector<float> mean;   ///< (latent channels, frames)
    std::vector<float> scale;  ///< the same; its softplus is the standard deviation
  };
  /// Samples (audio channels, samples) with samples a multiple of hop().
  Encoded encode(std::span<const float> audio, std::int64_t samples, std::int64_t tile, const core::Progress& progress);

 private:
  struct Block {
    std::unique_ptr<SnakeConv> resample;
    std::vector<std::unique_ptr<ResidualUnit>> units;
  };

  void load_block(const Checkpoint& checkpoint, const std::string& prefix, std::int64_t stride, std::int64_t channels);
  graph::Tensor forward(graph::GraphBuilder& g, graph::Tensor x) const;
  /// x (channels, length) -> y with `length * up / down` columns, in tiles of latent frames.
  std::vector<float> in_tiles(std::span<const float> x, std::int64_t frames, std::int64_t tile,
                              const core::Progress& progress);

  Half half_;
  const graph::Compute* compute_;
  std::int64_t latent_channels_ = 0;
  std::int64_t audio_channels_ = 0;
  std::int64_t out_channels_ = 0;
  std::int64_t hop_ = 1;
  std::int64_t reach_ = 0;
  std::size_t most_compute_bytes_ = 0;
  std::unique_ptr<SnakeConv> first_, last_;
  std::vector<Block> blocks_;
};

}  // namespace lutra::audio
