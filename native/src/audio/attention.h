#pragma once
#include "audio/conv_kernels.h"
#include "graph/custom.h"

namespace lutra::audio {

/// softmax(q k^T / sqrt(head_dim)) v without a mask, in f32, as one node; grouped heads. A block of queries at a time,
/// so that its scores stay in the cache.
class Attend {
 public:
  explicit Attend(const ConvKernels& kernels = best_conv_kernels()) : kernels_(&kernels) {}

  /// q (head_dim, heads, n, batch), k and v (head_dim, kv heads, n', batch), contiguous -> (head_dim * heads, n, batch)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor q, graph::Tensor k, graph::Tensor v) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  const ConvKernels* kernels_;
};

}  // namespace lutra::audio
