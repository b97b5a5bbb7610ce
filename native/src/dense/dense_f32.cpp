#include "dense/dense_f32.h"

#include <algorithm>
#include <vector>

namespace lutra::dense {
namespace {

thread_local std::vector<float> turned_inputs;
constexpr int most_rows = 8;
/// Inputs that are laid out at a time: what fits into a core's second cache.
constexpr std::int64_t most_turned_floats = 384 * 1024;
constexpr int most_tile_floats = most_rows * 48;

}  // namespace

DenseF32::DenseF32(std::span<const float> weight, std::int64_t rows, std::int64_t columns, const TileKernels& kernels)
    : DenseF32(weight, {}, Activation::none, rows, columns, kernels) {}

DenseF32::DenseF32(std::span<const float> weight, std::span<const float> bias, Activation activation, std::int64_t rows,
                   std::int64_t columns, const TileKernels& kernels)
    : kernels_(&kernels),
      rows_(rows),
      columns_(columns),
      activation_(activation),
      weight_(static_cast<std::size_t>((rows + kernels.rows - 1) / kernels.rows * columns * kernels.rows) *
              sizeof(float)),
      bias_(core::AlignedBytes::zeroed(
          static_cast<std::size_t>((rows + kernels.rows - 1) / kernels.rows * kernels.rows) * sizeof(float))) {
  std::copy(bias.begin(), bias.end(), reinterpret_cast<float*>(bias_.data()));
  auto* packed = reinterpret_cast<float*>(weight_.data());
  for (std::int64_t first = 0; first < rows; first += kernels.rows) {
    for (std::int64_t i = 0; i < columns; ++i) {
      for (std::int64_t r = first; r < first + kernels.rows; ++r)
        *packed++ = r < rows ? weight[static_cast<std::size_t>(r * columns + i)] : 0.0F;
    }
  }
}

graph::Tensor DenseF32::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  return graph::custom<DenseF32, 1>(g, *this, GGML_TYPE_F32, {rows_, x->ne[1], 1, 1}, {x});
}

void DenseF32::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const auto* x = static_cast<const float*>(dst->src[0]->data);
  auto* y = static_cast<float*>(dst->data);
  const auto* weight = reinterpret_cast<const float*>(weight_.data());
  const std::int64_t n = dst->ne[1];
  const std::int64_t rows = kernels_->rows;
  const std::int64_t frames = kernels_->frames;
  const std::int64_t blocks = (rows_ + rows - 1) / rows;
  // Several tiles of tokens at a time, so that each weight is read less often.
  const std::int64_t tiles =
      std::clamp<std::int64_t>(most_turned_floats / (columns_ * frames), 1, (n + frames - 1) / frames);
  const std::int64_t tile_floats = columns_ * frames;
  if (turned_inputs.size() < static_cast<std::size_t>(tiles * tile_floats))
    turned_inputs.resize(static_cast<std::size_t>(tiles * tile_floats));
  float* turned = turned_inputs.data();
  const auto* bias = reinterpret_cast<const float*>(bias_.data());
  float out[most_tile_floats];
  const auto [first, last] = graph::share(blocks, ith, nth);
  for (std::int64_t begin = 0; begin < n; begin += tiles * frames) {
    const std::int64_t end = std::min(n, begin + tiles * frames);
    for (std::int64_t token = begin; token < begin + (end - begin + frames - 1) / frames * frames; ++token) {
      const float* from = x + token * columns_;
      float* target = turned + (token - begin) / frames * tile_floats + (token - begin) % frames;
      for (std::int64_t i = 0; i < columns_; ++i) target[i * frames] = token < n ? from[i] : 0.0F;
    }
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t used = std::min(rows, rows_ - block * rows);
      for (std::int64_t token = begin; token < end; token += frames) {
        const float* a = turned + (token - begin) / frames * tile_floats;
        kernels_->multiply({a, frames, columns_, 1, 1, weight + block * columns_ * rows, bias + block * rows, out});
        kernels_->activate(activation_, out, rows * frames);
        for (std::int64_t f = 0; f < std::min(frames, end - token); ++f) {
          float* target = y + (token + f) * rows_ + block * rows;
          for (std::int64_t r = 0; r < used; ++r) target[r] = out[r * frames + f];
        }
      }
    }
  }
}

}  // namespace lutra::dense
