#pragma once
#include <vector>

#include "dense/tile_kernels.h"
#include "graph/custom.h"

namespace lutra::dense {

/// y = activation(x + bias), as one node.
class Activate {
 public:
  /// `bias` (rows), or empty.
  explicit Activate(Activation activation, std::vector<float> bias = {},
                    const TileKernels& kernels = best_tile_kernels())
      : activation_(activation), bias_(std::move(bias)), kernels_(&kernels) {}

  /// False where it would change nothing.
  [[nodiscard]] bool does_something() const { return activation_ != Activation::none || !bias_.empty(); }

  /// x f32 (rows, n), rows may lie apart -> (rows, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  Activation activation_;
  std::vector<float> bias_;
  const TileKernels* kernels_;
};

/// (x - mean) / sqrt(variance + eps) * weight + bias, as one node (Ba et al. 2016).
class LayerNorm {
 public:
  LayerNorm(std::vector<float> weight, std::vector<float> bias, double eps)
      : weight_(std::move(weight)), bias_(std::move(bias)), eps_(eps) {}

  /// x f32 (width, n), contiguous -> the same
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;
  /// One row, for what is made outside of a graph.
  void apply(const float* x, float* y) const;

 private:
  std::vector<float> weight_;
  std::vector<float> bias_;
  double eps_;
};

}  // namespace lutra::dense
