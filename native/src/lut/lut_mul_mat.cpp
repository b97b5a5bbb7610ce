#include "lut/lut_mul_mat.h"

#include <vector>

namespace lutra::lut {

graph::Tensor LutMulMat::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {matrix_.rows, x->ne[1], x->ne[2], x->ne[3]};
  return graph::custom<LutMulMat, 1>(g, *this, GGML_TYPE_F32, shape, {ggml_cont(g, x)});
}

void LutMulMat::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const auto* x = static_cast<const float*>(dst->src[0]->data);
  auto* y = static_cast<float*>(dst->data);
  const int64_t n = dst->ne[1] * dst->ne[2] * dst->ne[3];
  const auto [first, last] = graph::share(matrix_.rows, ith, nth);
  if (n == 1) {
    for (int64_t row = first; row < last; ++row) y[row] = kernels_->dot_row(matrix_, row, x);
    return;
  }
  // Several columns share one look at the codes.
  thread_local std::vector<float> weights;
  weights.resize(static_cast<size_t>(matrix_.columns));
  for (int64_t row = first; row < last; ++row) {
    kernels_->expand_row(matrix_, row, weights.data());
    for (int64_t i = 0; i < n; ++i) {
      y[i * matrix_.rows + row] = kernels_->dot(weights.data(), x + i * matrix_.columns, matrix_.columns);
    }
  }
}

}  // namespace lutra::lut
