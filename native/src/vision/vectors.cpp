#include "vision/vectors.h"

#include <array>

namespace lutra::vision {

void Vectors::read(text::WeightReader& reader,
                   const std::vector<std::pair<std::string, std::int64_t>>& names_and_lengths) {
  std::vector<std::vector<float>> values;
  for (const auto& [name, length] : names_and_lengths) {
    values.push_back(reader.floats(name + ".weight", std::array{length}));
    weights_.declare(name + ".weight", GGML_TYPE_F32, std::array{length});
  }
  weights_.allocate();
  for (std::size_t i = 0; i < values.size(); ++i)
    weights_.upload(names_and_lengths[i].first + ".weight", std::as_bytes(std::span(values[i])));
}

}  // namespace lutra::vision
