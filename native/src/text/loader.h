#pragma once
#include <string>

#include "text/llama.h"
#include "text/weight_reader.h"

namespace lutra::text {

/// Fills a model from its checkpoint, tensor by tensor.
class Llama::Loader {
 public:
  Loader(Llama& model, LlamaSource source, const core::Progress& progress);
  void load();

 private:
  void read_vectors();
  [[nodiscard]] bool is_own_vector(const std::string& name, const core::TensorView& view) const;
  [[nodiscard]] graph::RMSNorm norm(const std::string& prefix, std::int64_t length) const;
  [[nodiscard]] graph::Tensor head_norm(const std::string& prefix) const;
  [[nodiscard]] Projections::Part part(const std::string& prefix, std::int64_t rows, std::int64_t columns);
  template <typename... Parts>
  [[nodiscard]] Projections projections(Parts... parts);

  Llama* model_;
  LlamaSource source_;
  WeightReader reader_;
};

}  // namespace lutra::text
