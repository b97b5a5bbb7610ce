#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/aligned_bytes.h"
#include "dense/tile_kernels.h"
#include "graph/custom.h"

namespace lutra::audio {

using dense::best_tile_kernels;
using dense::TileKernels;

/// x + sin(alpha x)^2 / beta per channel (Snake: Ziyin et al. 2020; beta: Lee et al., BigVGAN, 2023).
struct Snake {
  std::vector<float> alpha;         ///< (channels)
  std::vector<float> inverse_beta;  ///< (channels)
};

/// A convolution's parameters as PyTorch has them.
struct ConvWeights {
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  std::int64_t kernel = 0;
  std::vector<float> values;  ///< (n_out, n_in, kernel); of a transposed one (n_in, n_out, kernel)
  std::vector<float> bias;    ///< (n_out), or empty
};

/// Weights in blocks of the kernels' rows. A stride becomes channels: one that goes down reads `stride` phases of each
/// input, a transposed one makes `stride` phases of each output, so that both are ordinary convolutions.
class PackedConv {
 public:
  enum class Kind { same, strided, transposed };
  PackedConv(const ConvWeights& weights, Kind kind, std::int64_t stride, std::int64_t dilation,
             const TileKernels& kernels);

  [[nodiscard]] std::int64_t n_in() const { return n_in_; }  ///< phases counted apart
  [[nodiscard]] std::int64_t n_out() const { return n_out_; }
  [[nodiscard]] std::int64_t taps() const { return taps_; }
  [[nodiscard]] std::int64_t halo() const { return (taps_ - 1) * dilation_; }
  [[nodiscard]] std::int64_t blocks() const { return (n_out_ + kernels_->rows - 1) / kernels_->rows; }
  [[nodiscard]] const TileKernels& kernels() const { return *kernels_; }

  /// One block of output channels at frame `f` of `a` (n_in, stride) -> out (rows, frames of the kernels)
  void multiply(std::int64_t block, const float* a, std::int64_t stride, std::int64_t f, float* out) const;

 private:
  const TileKernels* kernels_;
  std::int64_t n_in_;
  std::int64_t n_out_;
  std::int64_t taps_;
  std::int64_t dilation_;
  core::AlignedBytes weights_;
  core::AlignedBytes bias_;
};

/// Snake, then a convolution, as one node; f32 throughout. Padding is PyTorch's for these models: `same` keeps the
/// length; the strided ones pad by ceil(stride / 2).
class SnakeConv {
 public:
  using Kind = PackedConv::Kind;
  SnakeConv(const ConvWeights& weights, std::optional<Snake> before, Kind kind, std::int64_t stride,
            const TileKernels& kernels = best_tile_kernels());

  /// x (frames, n_in) -> (frames', n_out)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  void fill(const ggml_tensor* x, std::int64_t first, std::int64_t frames, float* a, std::int64_t stride) const;
  void put(ggml_tensor* dst, const float* tile, std::int64_t block, std::int64_t first, std::int64_t count) const;
  [[nodiscard]] std::int64_t out_frames(std::int64_t frames) const;

  Kind kind_;
  std::int64_t kernel_;
  std::int64_t stride_;
  std::int64_t padding_;
  std::int64_t n_out_;
  std::optional<Snake> before_;
  PackedConv conv_;
};

/// x + conv1(snake(conv7(snake(x)))), dilated, as one node: what lies between stays in the cache.
class ResidualUnit {
 public:
  /// `wide` keeps the length; `narrow` has a kernel of 1.
  ResidualUnit(Snake first, const ConvWeights& wide, std::int64_t dilation, Snake second, const ConvWeights& narrow,
               const TileKernels& kernels = best_tile_kernels());

  /// (frames, channels) -> the same
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  Snake first_;
  PackedConv wide_;
  Snake second_;
  PackedConv narrow_;
};

}  // namespace lutra::audio
