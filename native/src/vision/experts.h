#pragma once
#include <string>
#include <vector>

#include "dense/layers.h"
#include "lut/kernels.h"
#include "text/weight_reader.h"
#include "vision/config.h"
#include "vision/linear.h"

namespace lutra::vision {

/// A matrix that is read row by row, as it lies in the checkpoint, or widened where it is quantized there.
class RowMatrix {
 public:
  RowMatrix(text::WeightReader& reader, const std::string& name, std::int64_t rows, std::int64_t columns);
  RowMatrix(RowMatrix&&) = default;
  RowMatrix& operator=(RowMatrix&&) = default;

  [[nodiscard]] const core::TensorView& view() const { return view_; }
  /// One row, widened to f32 (columns).
  void row(std::int64_t index, std::span<float> target) const;
  [[nodiscard]] std::size_t size_bytes() const { return view_.bytes.size(); }

 private:
  std::vector<float> own_;  ///< where it was quantized
  core::TensorView view_;
};

/// A mixture of experts with a shared one (EVLM, section 3.3): the best few of softmax(router x), in exact f32, for in
/// 8 bits another expert might win.
class Experts {
 public:
  /// `name`: the block's, with a dot at its end.
  Experts(text::WeightReader& reader, const std::string& name, const EvlmCrossConfig& config, std::int64_t width);
  Experts(const Experts&) = delete;
  Experts& operator=(const Experts&) = delete;

  /// x (width, n), normed -> (width, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x);
  [[nodiscard]] std::size_t size_bytes() const;

 private:
  /// logits (num_experts, n) -> for each token the chosen experts (k), then their weights (k)
  struct Choose {
    std::int64_t count;
    bool normalize;
    void run(ggml_tensor* dst, int ith, int nth) const noexcept;
  };
  struct Expert {
    RowMatrix fc1;  // (expert_width, width)
    RowMatrix fc2;  // (width, expert_width)
  };
  /// x (width, n), choices -> fc1 x of every chosen expert, (expert_width, k, n)
  struct In {
    const std::vector<Expert>* experts;
    std::int64_t count;
    const lut::Kernels* kernels;
    void run(ggml_tensor* dst, int ith, int nth) const noexcept;
  };
  /// hidden (expert_width, k, n), choices -> the weighted sum of fc2 hidden, (width, n)
  struct Out {
    const std::vector<Expert>* experts;
    std::int64_t count;
    const lut::Kernels* kernels;
    void run(ggml_tensor* dst, int ith, int nth) const noexcept;
  };

  std::int64_t width_;
  std::int64_t expert_width_;
  std::vector<Expert> experts_;
  RowMatrix router_weight_;
  lut::DenseMulMat router_;
  text::Projections shared_in_;
  text::Projections shared_out_;
  Choose choose_;
  In in_;
  Out out_;
  dense::Activate activate_;
};

}  // namespace lutra::vision
