#include "audio/oobleck.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/error.h"

namespace lutra::audio {

using graph::GraphBuilder;
using graph::GraphError;
using graph::Tensor;

namespace {

constexpr std::array<std::int64_t, 3> dilations = {1, 3, 9};

void require(bool holds, const std::string& name) {
  if (holds) return;
  throw GraphError("bad-file", "The convolution \"" + name + "\" has a shape that does not go with the others.",
                   "Get the model's files again.", name);
}

/// Latent frames that samples depend on, on each side: each convolution's own reach at its rate.
std::int64_t reach_of(const std::vector<std::int64_t>& strides) {
  constexpr double wide = 3;  // of a kernel of 7
  double rate = 1;
  double reach = wide;
  for (auto stride = strides.rbegin(); stride != strides.rend(); ++stride) {
    reach += 1 / rate;
    rate *= static_cast<double>(*stride);
    for (const std::int64_t dilation : dilations) reach += wide * static_cast<double>(dilation) / rate;
  }
  return static_cast<std::int64_t>(std::ceil(reach + wide / rate)) + 1;
}

}  // namespace

Oobleck::Oobleck(const Checkpoint& checkpoint, Half half, const graph::Compute& compute, const core::Progress& progress)
    : half_(half), compute_(&compute) {
  const auto& strides = checkpoint.config().vae.strides;
  hop_ = checkpoint.config().vae.hop();
  reach_ = reach_of(strides);
  const bool is_decoder = half == Half::decoder;
  const std::string name = is_decoder ? "decoder" : "encoder";
  if (!is_decoder && !checkpoint.has_encoder()) {
    throw GraphError("not-supported", "This model has no encoder: it cannot start from a sound.",
                     "Choose the full checkpoint.", "encoder");
  }
  using Kind = SnakeConv::Kind;
  const ConvWeights conv1 = checkpoint.conv(name + ".conv1");
  require(conv1.kernel % 2 == 1, name + ".conv1");
  first_ = std::make_unique<SnakeConv>(conv1, std::nullopt, Kind::same, 1);
  std::int64_t channels = conv1.n_out;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    if (progress.cancelled()) throw GraphError("cancelled", "Cancelled.");
    const std::int64_t stride = is_decoder ? strides[strides.size() - 1 - i] : strides[i];
    const std::string prefix = name + ".block." + std::to_string(i) + ".";
    const std::string resample = prefix + (is_decoder ? "conv_t1" : "conv1");
    const ConvWeights weights = checkpoint.conv(resample, is_decoder);
    require(weights.n_in == channels && weights.kernel == 2 * stride, resample);
    Block block;
    block.resample = std::make_unique<SnakeConv>(weights, checkpoint.snake(prefix + "snake1", channels),
                                                 is_decoder ? Kind::transposed : Kind::strided, stride);
    const std::int64_t width = is_decoder ? weights.n_out : channels;
    for (std::size_t unit = 0; unit < dilations.size(); ++unit) {
      const std::string own = prefix + "res_unit" + std::to_string(unit + 1) + ".";
      const ConvWeights wide = checkpoint.conv(own + "conv1");
      const ConvWeights narrow = checkpoint.conv(own + "conv2");
      require(wide.n_in == width && wide.n_out == width && wide.kernel % 2 == 1, own + "conv1");
      require(narrow.n_in == width && narrow.n_out == width && narrow.kernel == 1, own + "conv2");
      block.units.push_back(std::make_unique<ResidualUnit>(checkpoint.snake(own + "snake1", width), wide,
                                                           dilations.at(unit), checkpoint.snake(own + "snake2", width),
                                                           narrow));
    }
    channels = weights.n_out;
    blocks_.push_back(std::move(block));
    progress.tell(i + 1, strides.size());
  }
  const ConvWeights conv2 = checkpoint.conv(name + ".conv2");
  require(conv2.n_in == channels && conv2.kernel % 2 == 1, name + ".conv2");
  last_ = std::make_unique<SnakeConv>(conv2, checkpoint.snake(name + ".snake1", channels), Kind::same, 1);
  out_channels_ = conv2.n_out;
  latent_channels_ = is_decoder ? conv1.n_in : conv2.n_out / 2;
  audio_channels_ = is_decoder ? conv2.n_out : conv1.n_in;
}

Tensor Oobleck::forward(GraphBuilder& g, Tensor x) const {
  x = (*first_)(g, x);
  for (const Block& block : blocks_) {
    if (half_ == Half::decoder) x = (*block.resample)(g, x);
    for (const auto& unit : block.units) x = (*unit)(g, x);
    if (half_ == Half::encoder) x = (*block.resample)(g, x);
  }
  return (*last_)(g, x);
}

std::vector<float> Oobleck::in_tiles(std::span<const float> x, std::int64_t frames, std::int64_t tile,
                                     const core::Progress& progress) {
  const bool is_decoder = half_ == Half::decoder;
  const std::int64_t in_rate = is_decoder ? 1 : hop_;
  const std::int64_t out_rate = is_decoder ? hop_ : 1;
  const std::int64_t in_channels = is_decoder ? latent_channels_ : audio_channels_;
  if (frames < 1 || static_cast<std::int64_t>(x.size()) != in_channels * frames * in_rate)
    throw GraphError("bad-input", "The latents or samples are not of the autoencoder's sizes.");
  if (tile <= 0) tile = frames;
  std::vector<float> y(static_cast<std::size_t>(out_channels_ * frames * out_rate));
  graph::Runner runner(*compute_);
  std::int64_t built = 0;
  for (std::int64_t first = 0; first < frames; first += tile) {
    const std::int64_t count = std::min(tile, frames - first);
    const std::int64_t begin = std::max<std::int64_t>(0, first - reach_);
    const std::int64_t end = std::min(frames, first + count + reach_);
    if (built != end - begin) {
      built = end - begin;
      runner.build([&](GraphBuilder& g) {
        g.output("y", forward(g, g.input("x", GGML_TYPE_F32, {built * in_rate, in_channels})));
      });
      most_compute_bytes_ = std::max(most_compute_bytes_, runner.compute_bytes());
    }
    std::vector<float> part(static_cast<std::size_t>(built * in_rate * in_channels));
    for (std::int64_t c = 0; c < in_channels; ++c)
      std::copy_n(x.data() + c * frames * in_rate + begin * in_rate, built * in_rate,
                  part.data() + c * built * in_rate);
    runner.set("x", part);
    runner.compute(progress.stop_token());
    const auto out = runner.get("y");
    const std::int64_t length = static_cast<std::int64_t>(out.size()) / out_channels_;
    const std::int64_t skip = (first - begin) * out_rate;
    // Odd strides lose a sample or two at the end; what is missing stays silent.
    const std::int64_t kept = std::min(count * out_rate, length - skip);
    for (std::int64_t c = 0; c < out_channels_; ++c)
      std::copy_n(out.data() + c * length + skip, kept, y.data() + (c * frames + first) * out_rate);
    progress.tell(static_cast<std::uint64_t>(first + count), static_cast<std::uint64_t>(frames));
  }
  return y;
}

std::vector<float> Oobleck::decode(std::span<const float> latents, std::int64_t frames, std::int64_t tile,
                                   const core::Progress& progress) {
  return in_tiles(latents, frames, tile, progress);
}

Oobleck::Encoded Oobleck::encode(std::span<const float> audio, std::int64_t samples, std::int64_t tile,
                                 const core::Progress& progress) {
  if (samples % hop_ != 0) throw GraphError("bad-input", "The samples do not fill whole latent frames.");
  auto both = in_tiles(audio, samples / hop_, tile, progress);
  const auto middle = both.begin() + static_cast<std::ptrdiff_t>(both.size() / 2);
  return {{both.begin(), middle}, {middle, both.end()}};
}

}  // namespace lutra::audio
