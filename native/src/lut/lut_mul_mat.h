#pragma once
#include "graph/custom.h"
#include "lut/kernels.h"
#include "lut/lut_matrix.h"

namespace lutra::lut {

/// y = W x for a weight that stays quantized: one node of the graph. Exact: f32 products and sums.
/// It must live as long as the graphs that use it.
class LutMulMat {
 public:
  explicit LutMulMat(LutMatrix matrix, const Kernels& kernels = best_kernels())
      : matrix_(std::move(matrix)), kernels_(&kernels) {}

  [[nodiscard]] const LutMatrix& matrix() const { return matrix_; }

  /// x f32 (columns, n) -> f32 (rows, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;

  /// ggml's part of the work; see graph/custom.h.
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  LutMatrix matrix_;
  const Kernels* kernels_;
};

}  // namespace lutra::lut
