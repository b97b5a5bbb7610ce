#include "vision/resize.h"

#include <algorithm>
#include <cmath>

namespace lutra::vision {
namespace {

/// Of a weight after the point: 8 bits for the value and two for what a filter overshoots leave 22 of 32.
constexpr int fraction_bits = 22;
constexpr std::int64_t channels = 3;

double bilinear(double x) {
  x = std::abs(x);
  return x < 1 ? 1 - x : 0;
}

/// Keys' cubic convolution with a = -1/2.
double bicubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * x * -0.5 + 2;
  return 0;
}

/// What each place of the result takes from a line.
struct Weights {
  std::int64_t most = 0;             ///< taps of one place
  std::vector<std::int64_t> first;   ///< (places)
  std::vector<std::int64_t> count;   ///< (places)
  std::vector<std::int32_t> values;  ///< (places, most)
};

/// From a line of `from` places to one of `to`, of which `wanted` from `begin` on are wanted.
Weights weights_of(std::int64_t from, std::int64_t to, std::int64_t begin, std::int64_t wanted, Filter filter) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  const double support = (filter == Filter::bilinear ? 1.0 : 2.0) * stretch;
  Weights result;
  result.most = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  const auto places = static_cast<std::size_t>(wanted);
  result.first.resize(places);
  result.count.resize(places);
  result.values.assign(places * static_cast<std::size_t>(result.most), 0);
  std::vector<double> exact(static_cast<std::size_t>(result.most));
  for (std::size_t place = 0; place < places; ++place) {
    const double center = (static_cast<double>(begin + static_cast<std::int64_t>(place)) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
    const std::int64_t count = std::min(from, static_cast<std::int64_t>(center + support + 0.5)) - first;
    double sum = 0;
    for (std::int64_t tap = 0; tap < count; ++tap) {
      const double x = (static_cast<double>(tap + first) - center + 0.5) * (1 / stretch);
      exact[static_cast<std::size_t>(tap)] = filter == Filter::bilinear ? bilinear(x) : bicubic(x);
      sum += exact[static_cast<std::size_t>(tap)];
    }
    std::int32_t* values = result.values.data() + place * static_cast<std::size_t>(result.most);
    for (std::int64_t tap = 0; tap < count; ++tap) {
      const double value = (sum == 0 ? 0 : exact[static_cast<std::size_t>(tap)] / sum) * (1 << fraction_bits);
      values[tap] = static_cast<std::int32_t>(value < 0 ? value - 0.5 : value + 0.5);
    }
    result.first[place] = first;
    result.count[place] = count;
  }
  return result;
}

std::uint8_t rounded(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> fraction_bits, 0, 255)); }

constexpr std::int32_t half = 1 << (fraction_bits - 1);

/// A line of pixels to another number of them.
void across(const std::uint8_t* line, const Weights& weights, std::uint8_t* target) {
  const std::int32_t* values = weights.values.data();
  for (std::size_t place = 0; place < weights.first.size(); ++place, values += weights.most, target += channels) {
    const std::uint8_t* pixel = line + weights.first[place] * channels;
    std::int32_t red = half;
    std::int32_t green = half;
    std::int32_t blue = half;
    for (std::int64_t tap = 0; tap < weights.count[place]; ++tap, pixel += channels) {
      red += pixel[0] * values[tap];
      green += pixel[1] * values[tap];
      blue += pixel[2] * values[tap];
    }
    target[0] = rounded(red);
    target[1] = rounded(green);
    target[2] = rounded(blue);
  }
}

/// Lines of a picture at their new width, the last few of them kept.
class Lines {
 public:
  /// `left`: where a line of unchanged width begins, which then needs no weights.
  Lines(const Picture& picture, const Weights& weights, bool is_same_width, std::int64_t left, std::int64_t kept)
      : picture_(&picture),
        weights_(&weights),
        is_same_width_(is_same_width),
        left_(left),
        bytes_(weights.first.size() * channels),
        kept_(kept) {
    if (!is_same_width_) ring_.resize(static_cast<std::size_t>(kept) * bytes_);
  }

  /// Lines are asked for in order, and again while no more than `kept` later ones have been.
  const std::uint8_t* operator()(std::int64_t line) {
    const std::uint8_t* source = picture_->rgb.data() + line * picture_->width * channels;
    if (is_same_width_) return source + left_ * channels;
    std::uint8_t* place = ring_.data() + static_cast<std::size_t>(line % kept_) * bytes_;
    if (line > last_) {
      across(source, *weights_, place);
      last_ = line;
    }
    return place;
  }

 private:
  const Picture* picture_;
  const Weights* weights_;
  bool is_same_width_;
  std::int64_t left_;
  std::size_t bytes_;
  std::int64_t kept_;
  std::int64_t last_ = -1;
  std::vector<std::uint8_t> ring_;
};

}  // namespace

std::vector<std::uint8_t> resized(const Picture& picture, std::int64_t height, std::int64_t width, Filter filter,
                                  core::ThreadPool& threads) {
  return resized(picture, height, width, {0, 0, height, width}, filter, threads);
}

std::vector<std::uint8_t> resized(const Picture& picture, std::int64_t height, std::int64_t width, const Window& window,
                                  Filter filter, core::ThreadPool& threads) {
  const Weights columns = weights_of(picture.width, width, window.left, window.width, filter);
  const Weights rows = weights_of(picture.height, height, window.top, window.height, filter);
  const auto line_bytes = static_cast<std::size_t>(window.width * channels);
  std::vector<std::uint8_t> result(static_cast<std::size_t>(window.height) * line_bytes);
  // Where a height shrinks by so much more than the width, Pillow 13 turns the passes around.
  const bool is_same_height = height == picture.height;
  const bool is_same_width = width == picture.width;
  const bool is_height_first =
      !is_same_width && height < picture.height && picture.height - height > 2 * (picture.width - width);
  // Neighbouring lines of the result share what they look at: each thread takes one stretch of them.
  const std::size_t grain = std::max<std::size_t>(1, static_cast<std::size_t>(window.height) / threads.size());
  threads.for_each(static_cast<std::size_t>(window.height), grain, [&](std::size_t begin, std::size_t end) {
    Lines lines(picture, columns, is_same_width || is_height_first, is_height_first ? 0 : window.left, rows.most);
    const std::size_t high = is_height_first ? static_cast<std::size_t>(picture.width * channels) : line_bytes;
    std::vector<std::int32_t> sums(is_same_height ? 0 : high);
    std::vector<std::uint8_t> whole(is_height_first ? high : 0);
    for (std::size_t line = begin; line < end; ++line) {
      std::uint8_t* target = result.data() + line * line_bytes;
      if (is_same_height) {
        std::copy_n(lines(window.top + static_cast<std::int64_t>(line)), line_bytes, target);
        continue;
      }
      std::fill(sums.begin(), sums.end(), half);
      const std::int32_t* weights = rows.values.data() + line * static_cast<std::size_t>(rows.most);
      for (std::int64_t tap = 0; tap < rows.count[line]; ++tap) {
        const std::uint8_t* source = lines(rows.first[line] + tap);
        for (std::size_t i = 0; i < high; ++i) sums[i] += source[i] * weights[tap];
      }
      std::uint8_t* made = is_height_first ? whole.data() : target;
      for (std::size_t i = 0; i < high; ++i) made[i] = rounded(sums[i]);
      if (is_height_first) across(made, columns, target);
    }
  });
  return result;
}

}  // namespace lutra::vision
