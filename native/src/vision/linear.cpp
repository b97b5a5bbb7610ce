#include "vision/linear.h"

#include <array>

namespace lutra::vision {

using graph::GraphBuilder;
using graph::Tensor;

Linear::Linear(text::WeightReader& reader, std::vector<Part> parts, std::int64_t columns, dense::Activation activation)
    : parts_(std::move(parts)) {
  // 8-bit blocks want rows of some length; short ones stay in f32.
  constexpr std::int64_t shortest = 64;
  const bool is_exact = reader.precision() == lut::Precision::exact || columns < shortest;
  std::vector<float> weight;
  std::vector<float> bias;
  std::vector<text::Projections::Part> packed;
  std::int64_t all_rows = 0;
  for (const Part& part : parts_) {
    all_rows += part.rows;
    std::vector<float> own(static_cast<std::size_t>(part.rows), 0.0F);
    const bool has_bias = reader.file().find(part.name + ".bias") != nullptr;
    if (has_bias) own = reader.floats(part.name + ".bias", std::array{part.rows});
    if (is_exact) {
      const auto values = reader.matrix(part.name, part.rows, columns);
      weight.insert(weight.end(), values.begin(), values.end());
      bias.insert(bias.end(), own.begin(), own.end());
      continue;
    }
    packed.push_back(reader.part(part.name, part.rows, columns, nullptr));
    packed_bytes_ += packed.back().packed->size_bytes();
    after_.push_back(std::make_unique<dense::Activate>(activation, has_bias ? std::move(own) : std::vector<float>{}));
  }
  if (is_exact)
    exact_ = std::make_unique<dense::DenseF32>(weight, bias, activation, all_rows, columns);
  else
    packed_ = std::make_unique<text::Projections>(std::move(packed), reader.precision());
}

std::vector<Tensor> Linear::operator()(GraphBuilder& g, Tensor x) {
  std::vector<Tensor> results;
  if (packed_) {
    results = (*packed_)(g, x, nullptr);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (after_[i]->does_something()) results[i] = (*after_[i])(g, results[i]);
    }
    return results;
  }
  Tensor all = (*exact_)(g, x);
  if (parts_.size() == 1) return {all};
  std::int64_t first = 0;
  for (const Part& part : parts_) {
    results.push_back(
        ggml_view_2d(g, all, part.rows, all->ne[1], all->nb[1], static_cast<std::size_t>(first) * sizeof(float)));
    first += part.rows;
  }
  return results;
}

std::size_t Linear::size_bytes() const { return exact_ ? exact_->size_bytes() : packed_bytes_; }

text::Projections projection_of(text::WeightReader& reader, const std::string& name, std::int64_t rows,
                                std::int64_t columns) {
  std::vector<text::Projections::Part> parts;
  parts.push_back(reader.part(name, rows, columns, nullptr));
  return {std::move(parts), reader.precision()};
}

dense::LayerNorm layer_norm(text::WeightReader& reader, const std::string& name, std::int64_t width, double eps) {
  auto weight = reader.floats(name + ".weight", std::array{width});
  auto bias = reader.floats(name + ".bias", std::array{width});
  return {std::move(weight), std::move(bias), eps};
}

}  // namespace lutra::vision
