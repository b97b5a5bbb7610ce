#pragma once
#include <cstdint>
#include <vector>

#include "core/threads.h"
#include "vision/pixels.h"

namespace lutra::vision {

/// As Pillow numbers them.
enum class Filter { bilinear = 2, bicubic = 3 };

/// Part of a picture.
struct Window {
  std::int64_t top = 0;
  std::int64_t left = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

/// A picture of another size, (height, width, 3), as Pillow's Image.resize makes it of 8-bit channels: a filter that is
/// widened where the picture shrinks, its weights in fixed point, one side first and the result rounded to 8 bits, then
/// the other. Sides are at least 1. Besides the result, memory is some of its rows for each thread.
std::vector<std::uint8_t> resized(const Picture& picture, std::int64_t height, std::int64_t width, Filter filter,
                                  core::ThreadPool& threads);
/// The same, only that window of the result: what lies outside is never made.
std::vector<std::uint8_t> resized(const Picture& picture, std::int64_t height, std::int64_t width, const Window& window,
                                  Filter filter, core::ThreadPool& threads);

}  // namespace lutra::vision
