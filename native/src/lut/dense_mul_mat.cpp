#include "lut/dense_mul_mat.h"

#include <vector>

namespace lutra::lut {

graph::Tensor DenseMulMat::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {weight_.shape[0], x->ne[1], x->ne[2], x->ne[3]};
  return graph::custom<DenseMulMat, 1>(g, *this, GGML_TYPE_F32, shape, {ggml_cont(g, x)});
}

void DenseMulMat::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const int64_t rows = weight_.shape[0];
  const int64_t columns = weight_.shape[1];
  const auto* x = static_cast<const float*>(dst->src[0]->data);
  auto* y = static_cast<float*>(dst->data);
  const int64_t n = dst->ne[1] * dst->ne[2] * dst->ne[3];
  const size_t row_bytes = static_cast<size_t>(columns) * core::size_of(weight_.dtype);
  thread_local std::vector<float> values;
  values.resize(static_cast<size_t>(columns));
  const auto [first, last] = graph::share(rows, ith, nth);
  for (int64_t row = first; row < last; ++row) {
    core::to_f32(weight_.dtype, weight_.bytes.subspan(static_cast<size_t>(row) * row_bytes, row_bytes), values);
    for (int64_t i = 0; i < n; ++i) y[i * rows + row] = kernels_->dot(values.data(), x + i * columns, columns);
  }
}

}  // namespace lutra::lut
