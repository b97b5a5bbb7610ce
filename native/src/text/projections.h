#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/modules.h"
#include "lut/dense_mul_mat.h"
#include "lut/projection.h"

namespace lutra::text {

using AllStatistics = std::map<std::string, std::unique_ptr<lut::InputStatistics>>;

/// Projections of one input, e.g. q, k and v. Where their weights are cut alike they are one node.
class Projections {
 public:
  /// A weight as it is used: packed, or as it lies in the file (exact mode, 16 or 32 bits).
  struct Part {
    std::unique_ptr<lut::PackedMatrix> packed;
    std::unique_ptr<lut::DenseMulMat> dense;
    std::string name;              // of the module in the checkpoint
    graph::Tensor bias = nullptr;  // (rows), or null
    std::int64_t rows = 0;
  };

  Projections(std::vector<Part> parts, lut::Precision precision);

  /// x (columns, n), through `norm` first where there is one -> (rows, n) of each part; rows may lie apart.
  std::vector<graph::Tensor> operator()(graph::GraphBuilder& g, graph::Tensor x, const graph::RMSNorm* norm);
  /// silu(first part) * second part
  graph::Tensor gated(graph::GraphBuilder& g, graph::Tensor x, const graph::RMSNorm& norm);
  /// residual + the only part
  graph::Tensor added(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor residual);

  /// Packed parts add up their inputs from now on; one entry per module's name.
  void observe(AllStatistics& all);

 private:
  std::vector<Part> parts_;
  std::vector<lut::Prepare> prepare_;    // one for all parts, or one for each (packed ones only)
  std::vector<lut::Products> products_;  // likewise
  std::optional<lut::Products> gated_;
  bool is_one_ = false;
};

}  // namespace lutra::text
