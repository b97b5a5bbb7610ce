#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graph/modules.h"
#include "text/weight_reader.h"

namespace lutra::vision {

/// Norms of blocks between a text model's layers, as tensors that graphs and packed products read.
class Vectors {
 public:
  Vectors(const graph::Compute& compute, std::size_t most) : weights_(compute, most) {}

  /// All before the first `norm`.
  void read(text::WeightReader& reader, const std::vector<std::pair<std::string, std::int64_t>>& names_and_lengths);
  /// `<name>.weight`
  [[nodiscard]] graph::RMSNorm norm(const std::string& name, double eps) const {
    return {graph::Scope(weights_, name + "."), static_cast<float>(eps)};
  }

 private:
  graph::Weights weights_;
};

}  // namespace lutra::vision
