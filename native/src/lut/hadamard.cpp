#include "lut/hadamard.h"

#include <cmath>
#include <stdexcept>

namespace lutra::lut {

void hadamard(std::span<float> values, std::int64_t block) {
  if (block < 1 || (block & (block - 1)) != 0 || values.size() % static_cast<std::size_t>(block) != 0) {
    throw std::invalid_argument("hadamard: the block is no power of two that divides the values");
  }
  const auto size = static_cast<std::size_t>(block);
  const auto norm = static_cast<float>(1.0 / std::sqrt(static_cast<double>(block)));
  for (std::size_t begin = 0; begin < values.size(); begin += size) {
    float* x = values.data() + begin;  // (block)
    for (std::size_t half = 1; half < size; half *= 2) {
      for (std::size_t pair = 0; pair < size; pair += 2 * half) {
        for (std::size_t i = pair; i < pair + half; ++i) {
          const float low = x[i];
          const float high = x[i + half];
          x[i] = low + high;
          x[i + half] = low - high;
        }
      }
    }
    for (std::size_t i = 0; i < size; ++i) x[i] *= norm;
  }
}

}  // namespace lutra::lut
