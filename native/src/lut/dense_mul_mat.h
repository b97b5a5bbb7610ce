#pragma once
#include "core/safetensors.h"
#include "graph/custom.h"
#include "lut/kernels.h"

namespace lutra::lut {

/// y = W x for a weight as it lies in the checkpoint (f32, f16 or bf16), widened row by row: f32 products and sums, and
/// no copy of the weight. ggml's own product would round the activations to the weight's type.
class DenseMulMat {
 public:
  /// `weight` (rows, columns); its bytes must outlive this.
  explicit DenseMulMat(core::TensorView weight, const Kernels& kernels = best_kernels())
      : weight_(std::move(weight)), kernels_(&kernels) {}

  [[nodiscard]] const core::TensorView& weight() const { return weight_; }

  /// x f32 (columns, n) -> f32 (rows, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  core::TensorView weight_;
  const Kernels* kernels_;
};

}  // namespace lutra::lut
