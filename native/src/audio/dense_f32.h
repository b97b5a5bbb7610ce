#pragma once
#include <span>

#include "audio/conv_kernels.h"
#include "core/aligned_bytes.h"
#include "graph/custom.h"

namespace lutra::audio {

/// y = W x in f32, with W laid out for the convolution kernels: three times as fast as ggml's own product where there
/// are many tokens.
class DenseF32 {
 public:
  /// `weight` (rows, columns), row-major.
  DenseF32(std::span<const float> weight, std::int64_t rows, std::int64_t columns,
           const ConvKernels& kernels = best_conv_kernels());

  [[nodiscard]] std::size_t size_bytes() const { return weight_.size(); }

  /// x f32 (columns, n) -> f32 (rows, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  const ConvKernels* kernels_;
  std::int64_t rows_;
  std::int64_t columns_;
  core::AlignedBytes weight_;  ///< (row blocks, columns, rows of the kernels)
};

}  // namespace lutra::audio
