#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace lutra::vision {

/// A picture as it is seen: upright, without transparency.
struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::span<const std::uint8_t> rgb;  ///< (height, width, 3)
};

/// A picture as a tower takes it.
struct Pixels {
  std::vector<float> values;
  std::vector<std::int64_t> shape;   ///< (3, height, width); of mllama (tiles, 3, height, width), the empty tiles too
  std::int32_t aspect_ratio_id = 0;  ///< mllama's; 0 for none
  std::vector<bool> tiles;           ///< mllama's: which of them are there
};

}  // namespace lutra::vision
