#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dense/dense_f32.h"
#include "dense/layers.h"
#include "text/weight_reader.h"

namespace lutra::vision {

/// y = activation(W x + b) of one or several matrices with the same input, for many tokens: in exact mode in f32, laid
/// out for the tile kernels; in fast mode in 8 bits, or as it is quantized in the checkpoint.
class Linear {
 public:
  struct Part {
    std::string name;  ///< `<name>.weight`, and `<name>.bias` where there is one
    std::int64_t rows;
  };

  /// Throws GraphError that names the tensor.
  Linear(text::WeightReader& reader, std::vector<Part> parts, std::int64_t columns,
         dense::Activation activation = dense::Activation::none);

  /// x (columns, n), contiguous -> (rows, n) of each part; rows may lie apart where there are several
  std::vector<graph::Tensor> operator()(graph::GraphBuilder& g, graph::Tensor x);
  /// The first part's.
  graph::Tensor one(graph::GraphBuilder& g, graph::Tensor x) { return (*this)(g, x).front(); }

  [[nodiscard]] std::size_t size_bytes() const;

 private:
  std::vector<Part> parts_;
  std::unique_ptr<dense::DenseF32> exact_;               ///< all parts, one below the other
  std::unique_ptr<text::Projections> packed_;            ///< or these
  std::vector<std::unique_ptr<dense::Activate>> after_;  ///< bias and activation of each packed part
  std::size_t packed_bytes_ = 0;
};

/// A LayerNorm `<name>.{weight,bias}`.
dense::LayerNorm layer_norm(text::WeightReader& reader, const std::string& name, std::int64_t width, double eps);

/// One matrix without a bias, as the text model's are held.
text::Projections projection_of(text::WeightReader& reader, const std::string& name, std::int64_t rows,
                                std::int64_t columns);

}  // namespace lutra::vision
