#pragma once
#include <utility>

#include "graph/need.h"
#include "text/llama.h"
#include "text/quantized.h"

namespace lutra::text {

using graph::need;
using graph::refuse;

/// Fills a model from its checkpoint, tensor by tensor, and lets go of the file's pages as it goes.
class Llama::Loader {
 public:
  Loader(Llama& model, std::string folder, const core::Progress& progress);
  void load();

 private:
  void read_vectors();
  [[nodiscard]] graph::RMSNorm norm(const std::string& prefix, std::int64_t length) const;
  [[nodiscard]] graph::Tensor head_norm(const std::string& prefix) const;
  [[nodiscard]] Projections::Part part(const std::string& prefix, std::int64_t rows, std::int64_t columns);
  template <typename... Parts>
  [[nodiscard]] Projections projections(Parts... parts);
  void let_go(const std::string& prefix);

  Llama* model_;
  const core::Progress* progress_;
  core::ThreadPool threads_;
  QuantizedReader quantized_;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace lutra::text
