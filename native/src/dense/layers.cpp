#include "dense/layers.h"

#include <cmath>
#include <cstring>

namespace lutra::dense {
namespace {

/// Partial sums: enough for vector code, and more exact than one.
constexpr std::size_t parts = 16;

/// The sum of f(x) over all values.
template <typename F>
double sum_of(const float* x, std::size_t count, const F& f) {
  float sums[parts] = {};
  std::size_t i = 0;
  for (; i + parts <= count; i += parts) {
    for (std::size_t p = 0; p < parts; ++p) sums[p] += f(x[i + p]);
  }
  double total = 0;
  for (const float sum : sums) total += static_cast<double>(sum);
  for (; i < count; ++i) total += static_cast<double>(f(x[i]));
  return total;
}

}  // namespace

graph::Tensor Activate::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  return graph::custom<Activate, 1>(g, *this, GGML_TYPE_F32, {x->ne[0], x->ne[1], 1, 1}, {x});
}

void Activate::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* x = dst->src[0];
  const auto rows = static_cast<std::size_t>(dst->ne[0]);
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token) {
    const auto* from =
        reinterpret_cast<const float*>(static_cast<const char*>(x->data) + static_cast<std::size_t>(token) * x->nb[1]);
    float* to = static_cast<float*>(dst->data) + static_cast<std::size_t>(token) * rows;
    if (bias_.empty()) {
      std::memcpy(to, from, rows * sizeof(float));
    } else {
      for (std::size_t i = 0; i < rows; ++i) to[i] = from[i] + bias_[i];
    }
    kernels_->activate(activation_, to, dst->ne[0]);
  }
}

graph::Tensor LayerNorm::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  return graph::custom<LayerNorm, 1>(g, *this, GGML_TYPE_F32, {x->ne[0], x->ne[1], 1, 1}, {x});
}

void LayerNorm::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token)
    apply(static_cast<const float*>(dst->src[0]->data) + token * dst->ne[0],
          static_cast<float*>(dst->data) + token * dst->ne[0]);
}

void LayerNorm::apply(const float* x, float* y) const {
  const std::size_t width = weight_.size();
  const auto mean = static_cast<float>(sum_of(x, width, [](float v) { return v; }) / static_cast<double>(width));
  const double variance =
      sum_of(x, width, [mean](float v) { return (v - mean) * (v - mean); }) / static_cast<double>(width);
  const auto scale = static_cast<float>(1 / std::sqrt(variance + eps_));
  for (std::size_t i = 0; i < width; ++i) y[i] = (x[i] - mean) * scale * weight_[i] + bias_[i];
}

}  // namespace lutra::dense
