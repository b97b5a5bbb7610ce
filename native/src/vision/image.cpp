#include "vision/image.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/mapped_file.h"
#include "graph/error.h"

namespace lutra::vision {
namespace {

using core::Error;
using core::Json;
using core::Result;

constexpr const char* settings_file = "preprocessor_config.json";
constexpr std::int64_t most_side = 1 << 14;
constexpr std::int64_t most_tiles = 64;
/// Values of one prepared picture: 400 MB.
constexpr std::int64_t most_values = 100'000'000;
/// What mPLUG-Owl3 cuts into, (rows, columns), in the order in which equals win (image_processing_mplugowl3.py).
constexpr std::array<std::array<std::int64_t, 2>, 7> owl_grids = {
    {{2, 2}, {1, 3}, {1, 4}, {3, 1}, {4, 1}, {2, 3}, {3, 2}}};

Result<Json> read_json(const std::string& path) {
  const auto file = core::MappedFile::open(path);
  if (!file) return file.error();
  constexpr std::size_t most = 20'000'000;
  if (file->bytes().size() > most) return core::bad_file(path, "it is too large");
  auto json = core::parse_json({reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}, path);
  if (json && json->object() == nullptr) return core::bad_file(path, "it is no JSON object");
  return json;
}

/// The grid whose shape is nearest a picture's, and of alike shapes the one whose size is, in the published code's f32.
std::array<std::int64_t, 2> owl_grid(std::int64_t height, std::int64_t width, std::int64_t size) {
  const auto overlap = [](std::int64_t h1, std::int64_t w1, std::int64_t h2, std::int64_t w2) {
    const std::int64_t shared = std::min(h1, h2) * std::min(w1, w2);
    return static_cast<float>(shared) / (static_cast<float>(h1 * w1 + h2 * w2 - shared) + 1e-5F);
  };
  const auto slope = static_cast<float>(static_cast<double>(height) / static_cast<double>(width));
  const auto* best = owl_grids.data();
  float most = -1;
  for (const auto& grid : owl_grids) {
    const std::int64_t grid_height = grid[0] * size;
    const std::int64_t grid_width = grid[1] * size;
    const auto alike = static_cast<std::int64_t>(slope * static_cast<float>(grid_width));
    const float score =
        overlap(grid_height, grid_width, alike, grid_width) * 100 + overlap(grid_height, grid_width, height, width);
    if (score > most) {
      most = score;
      best = &grid;
    }
  }
  return *best;
}

struct Canvas {
  std::int64_t rows = 1;  ///< of tiles
  std::int64_t columns = 1;
  std::int32_t id = 1;  ///< counted from 1 in the order of (1, 1), (1, 2), …, (2, 1), …
};

/// mllama's: the least enlargement, or else the least reduction; of equals the least area.
Canvas canvas_of(const Picture& picture, std::int64_t tile, std::int64_t max_tiles) {
  Canvas best;
  double best_scale = 0;
  std::int32_t id = 0;
  for (std::int64_t rows = 1; rows <= max_tiles; ++rows) {
    for (std::int64_t columns = 1; rows * columns <= max_tiles; ++columns) {
      ++id;
      const double scale = std::min(static_cast<double>(rows * tile) / static_cast<double>(picture.height),
                                    static_cast<double>(columns * tile) / static_cast<double>(picture.width));
      const bool is_better =
          best_scale == 0 || (scale >= 1 ? best_scale < 1 || scale < best_scale : scale > best_scale);
      if (is_better || (scale == best_scale && rows * columns < best.rows * best.columns)) {
        best = {rows, columns, id};
        best_scale = scale;
      }
    }
  }
  return best;
}

Picture view_of(const std::vector<std::uint8_t>& rgb, std::int64_t height, std::int64_t width) {
  return {width, height, rgb};
}

}  // namespace

/// Reads fields of preprocessor_config.json and keeps the first that is wrong.
class Preprocessor::Settings {
 public:
  explicit Settings(const Json& json) : json_(&json) {}

  [[nodiscard]] const Json* find(const char* name) const {
    const Json* value = json_->find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  [[nodiscard]] std::string text(const char* name) const {
    const Json* value = find(name);
    return value != nullptr && value->string() != nullptr ? *value->string() : std::string();
  }
  bool flag(const char* name) {
    const Json* value = find(name);
    if (value == nullptr) return true;
    if (value->boolean() == nullptr) fail(name, "is neither true nor false");
    return value->boolean() == nullptr || *value->boolean();
  }
  std::int64_t side(const Json* value, const std::string& name) {
    const auto number = value == nullptr ? std::optional<std::int64_t>(0) : value->whole();
    if (!number || *number < 1 || *number > most_side)
      fail(name, value == nullptr ? "is missing" : "is not between 1 and " + std::to_string(most_side));
    return number.value_or(1);
  }
  /// {height, width}, or one number for both.
  void sides(const char* name, std::int64_t& height, std::int64_t& width) {
    const Json* value = find(name);
    if (value != nullptr && value->object() != nullptr) {
      height = side(value->find("height"), std::string(name) + ".height");
      width = side(value->find("width"), std::string(name) + ".width");
    } else {
      height = width = side(value, name);
    }
  }
  double number(const char* name, double otherwise) {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->number() || !std::isfinite(*value->number())) fail(name, "is no number");
    return value->number().value_or(otherwise);
  }
  /// Of the three channels, or one for all.
  std::array<float, 3> channels(const char* name, bool has_default) {
    std::array<float, 3> result{0.5F, 0.5F, 0.5F};
    const Json* value = find(name);
    if (value == nullptr && !has_default) fail(name, "is missing");
    if (value == nullptr) return result;
    const bool is_list = value->array() != nullptr;
    if (is_list && value->array()->size() != 3) {
      fail(name, "does not have three numbers");
      return result;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const auto number = (is_list ? (*value->array())[i] : *value).number();
      if (!number || !std::isfinite(*number)) fail(name, "does not have three numbers");
      result[i] = static_cast<float>(number.value_or(0));
    }
    return result;
  }
  void fail(const std::string& field, const std::string& what) {
    if (problem.code.empty()) {
      problem = {"bad-file", std::string(settings_file) + ": \"" + field + "\" " + what + ".",
                 "Get the model's " + std::string(settings_file) + " again.", field};
    }
  }

  Error problem;

 private:
  const Json* json_;
};

Result<Preprocessor> Preprocessor::read(const std::string& folder) {
  const auto config = read_json(folder + "/config.json");
  if (!config) return config.error();
  const auto settings = read_json(folder + "/" + settings_file);
  if (!settings) return settings.error();
  return parse(*settings, *config);
}

Result<Preprocessor> Preprocessor::parse(const Json& json, const Json& config) {
  Settings settings(json);
  Preprocessor made;
  const Json* type = config.find("model_type");
  const std::string family = type != nullptr && type->string() != nullptr ? *type->string() : std::string();
  const std::string processor = settings.text("image_processor_type");
  if (family == "mllama" || processor.starts_with("Mllama"))
    made.kind_ = Kind::tiles;
  else if (family == "mplugowl3" || processor.starts_with("mPLUGOwl3"))
    made.kind_ = Kind::pieces;

  made.do_resize_ = settings.flag("do_resize");
  const double resample = settings.number("resample", made.kind_ == Kind::tiles ? 2 : 3);
  if (resample != 2 && resample != 3) settings.fail("resample", "is neither 2 (bilinear) nor 3 (bicubic)");
  made.filter_ = resample == 2 ? Filter::bilinear : Filter::bicubic;

  const Json* size = settings.find("size");
  if (made.kind_ == Kind::pieces) {
    const Json* vision = config.find("vision_config");
    const Json* own = settings.find("image_size");
    const Json* side = own != nullptr || vision == nullptr ? own : vision->find("image_size");
    made.height_ = made.width_ = settings.side(side, "image_size");
  } else if (made.kind_ == Kind::tiles) {
    settings.sides("size", made.height_, made.width_);
    if (made.height_ != made.width_) settings.fail("size", "is not square, as tiles are");
    const double tiles = settings.number("max_image_tiles", 4);
    if (tiles < 1 || tiles > static_cast<double>(most_tiles) || tiles != std::floor(tiles))
      settings.fail("max_image_tiles", "is not between 1 and " + std::to_string(most_tiles));
    else
      made.max_tiles_ = static_cast<std::int64_t>(tiles);
    if (!made.do_resize_ || !settings.flag("do_pad")) settings.fail("do_resize or do_pad", "is false");
  } else if (size != nullptr && size->find("shortest_edge") != nullptr) {
    made.kind_ = Kind::crop;
    made.shortest_edge_ = settings.side(size->find("shortest_edge"), "size.shortest_edge");
    if (size->find("longest_edge") != nullptr) settings.fail("size.longest_edge", "is not known");
    if (!made.do_resize_ || !settings.flag("do_center_crop")) settings.fail("do_resize or do_center_crop", "is false");
    settings.sides("crop_size", made.height_, made.width_);
  } else {
    settings.sides("size", made.height_, made.width_);
    const std::string fit = settings.text("fit");
    if (fit == "pad")
      made.kind_ = Kind::pad;
    else if (!fit.empty() && fit != "stretch")
      settings.fail("fit", "is neither stretch nor pad");
  }

  const double factor = settings.flag("do_rescale") ? settings.number("rescale_factor", 1.0 / 255) : 1;
  const bool is_normed = settings.flag("do_normalize");
  const auto mean = settings.channels("image_mean", made.kind_ == Kind::pieces || !is_normed);
  const auto deviation = settings.channels("image_std", made.kind_ == Kind::pieces || !is_normed);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    if (deviation[channel] == 0) settings.fail("image_std", "has a zero");
    for (std::size_t level = 0; level < 256; ++level) {
      const auto value = static_cast<float>(static_cast<double>(level) * factor);
      made.levels_[channel][level] = is_normed ? (value - mean[channel]) / deviation[channel] : value;
    }
  }
  const std::int64_t most_pieces = made.kind_ == Kind::tiles ? made.max_tiles_ : made.kind_ == Kind::pieces ? 7 : 1;
  if (made.height_ * made.width_ * 3 * most_pieces > most_values) settings.fail("size", "is too large");
  if (!settings.problem.code.empty()) return settings.problem;
  return made;
}

void Preprocessor::norm(const Picture& picture, const Window& part, std::span<float> planes, std::int64_t top,
                        std::int64_t left) const {
  for (std::int64_t y = 0; y < part.height; ++y) {
    const std::uint8_t* pixel = picture.rgb.data() + ((part.top + y) * picture.width + part.left) * 3;
    float* red = planes.data() + (top + y) * width_ + left;
    float* green = red + plane();
    float* blue = green + plane();
    for (std::int64_t x = 0; x < part.width; ++x, pixel += 3) {
      red[x] = levels_[0][pixel[0]];
      green[x] = levels_[1][pixel[1]];
      blue[x] = levels_[2][pixel[2]];
    }
  }
}

Prepared Preprocessor::operator()(const Picture& picture, bool cut, core::ThreadPool& threads) const {
  constexpr std::int64_t longest = 1 << 28;  // above it products of sides would no longer fit
  const bool is_whole = picture.width > 0 && picture.height > 0 && picture.width < longest &&
                        picture.height < longest &&
                        picture.rgb.size() == static_cast<std::size_t>(picture.width * picture.height * 3);
  if (!is_whole) throw graph::GraphError("bad-input", "The picture has no pixels, or not those of its size.");
  switch (kind_) {
    case Kind::tiles:
      return tiled(picture, threads);
    case Kind::pieces:
      return in_pieces(picture, cut, threads);
    case Kind::crop:
      return cropped(picture, threads);
    default:
      return fitted(picture, threads);
  }
}

Prepared Preprocessor::fitted(const Picture& picture, core::ThreadPool& threads) const {
  Pixels pixels;
  pixels.shape = {3, height_, width_};
  pixels.values.assign(3 * plane(), 0);
  if (!do_resize_) {
    if (picture.height != height_ || picture.width != width_) {
      throw graph::GraphError("bad-input",
                              "The picture has " + std::to_string(picture.width) + " x " +
                                  std::to_string(picture.height) + " pixels; this model takes " +
                                  std::to_string(width_) + " x " + std::to_string(height_) + " and does not resize.",
                              "Resize the picture.");
    }
    norm(picture, {0, 0, height_, width_}, pixels.values);
    return {{std::move(pixels)}};
  }
  std::int64_t height = height_;
  std::int64_t width = width_;
  if (kind_ == Kind::pad) {
    const double scale = std::min(static_cast<double>(height_) / static_cast<double>(picture.height),
                                  static_cast<double>(width_) / static_cast<double>(picture.width));
    const auto scaled = [scale](std::int64_t side) {
      return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale));
    };
    height = std::min(height_, scaled(picture.height));
    width = std::min(width_, scaled(picture.width));
  }
  const auto rgb = resized(picture, height, width, filter_, threads);
  norm(view_of(rgb, height, width), {0, 0, height, width}, pixels.values);
  return {{std::move(pixels)}};
}

Prepared Preprocessor::cropped(const Picture& picture, core::ThreadPool& threads) const {
  const std::int64_t shorter = std::min(picture.height, picture.width);
  const auto scaled = [&](std::int64_t side) {
    return side == shorter
               ? shortest_edge_
               : static_cast<std::int64_t>(static_cast<double>(shortest_edge_ * side) / static_cast<double>(shorter));
  };
  const std::int64_t height = scaled(picture.height);
  const std::int64_t width = scaled(picture.width);
  // Black stands around what is too small.
  const Window window = {std::max<std::int64_t>(0, (height - height_) / 2),
                         std::max<std::int64_t>(0, (width - width_) / 2), std::min(height, height_),
                         std::min(width, width_)};
  Pixels pixels;
  pixels.shape = {3, height_, width_};
  for (const auto& levels : levels_) pixels.values.insert(pixels.values.end(), plane(), levels[0]);
  const auto rgb = resized(picture, height, width, window, filter_, threads);
  norm(view_of(rgb, window.height, window.width), {0, 0, window.height, window.width}, pixels.values,
       (height_ - window.height + 1) / 2, (width_ - window.width + 1) / 2);
  return {{std::move(pixels)}};
}

Prepared Preprocessor::tiled(const Picture& picture, core::ThreadPool& threads) const {
  const Canvas canvas = canvas_of(picture, height_, max_tiles_);
  const std::int64_t most_height = std::clamp(picture.height, height_, canvas.rows * height_);
  const std::int64_t most_width = std::clamp(picture.width, width_, canvas.columns * width_);
  const double scale_h = static_cast<double>(most_height) / static_cast<double>(picture.height);
  const double scale_w = static_cast<double>(most_width) / static_cast<double>(picture.width);
  const auto scaled = [](std::int64_t side, double scale, std::int64_t most) {
    return std::min(most, std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale)));
  };
  const std::int64_t height = scale_w < scale_h ? scaled(picture.height, scale_w, most_height) : most_height;
  const std::int64_t width = scale_w < scale_h ? most_width : scaled(picture.width, scale_h, most_width);
  const auto rgb = resized(picture, height, width, filter_, threads);

  Pixels pixels;
  pixels.shape = {max_tiles_, 3, height_, width_};
  pixels.aspect_ratio_id = canvas.id;
  pixels.tiles.assign(static_cast<std::size_t>(max_tiles_), false);
  pixels.values.assign(static_cast<std::size_t>(max_tiles_) * 3 * plane(), 0);
  for (std::int64_t row = 0; row < canvas.rows; ++row) {
    for (std::int64_t column = 0; column < canvas.columns; ++column) {
      const auto tile = static_cast<std::size_t>(row * canvas.columns + column);
      const std::span<float> planes = std::span(pixels.values).subspan(tile * 3 * plane(), 3 * plane());
      pixels.tiles[tile] = true;
      // Black stands where the canvas is empty.
      for (std::size_t channel = 0; channel < 3; ++channel)
        std::fill_n(planes.begin() + static_cast<std::ptrdiff_t>(channel * plane()), plane(), levels_[channel][0]);
      const Window part = {row * height_, column * width_, std::min(height_, height - row * height_),
                           std::min(width_, width - column * width_)};
      if (part.height > 0 && part.width > 0) norm(view_of(rgb, height, width), part, planes);
    }
  }
  return {{std::move(pixels)}};
}

Prepared Preprocessor::in_pieces(const Picture& picture, bool cut, core::ThreadPool& threads) const {
  Prepared result;
  const auto add = [&](const std::vector<std::uint8_t>& rgb, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t piece = 0; piece < rows * columns; ++piece) {
      Pixels pixels;
      pixels.shape = {3, height_, width_};
      pixels.values.resize(3 * plane());
      const Window part = {piece / columns * height_, piece % columns * width_, height_, width_};
      norm(view_of(rgb, rows * height_, columns * width_), part, pixels.values);
      result.pictures.push_back(std::move(pixels));
    }
  };
  if (cut) {
    const auto [rows, columns] = owl_grid(picture.height, picture.width, height_);
    add(resized(picture, rows * height_, columns * width_, filter_, threads), rows, columns);
    result.rows = rows;
    result.columns = columns;
  }
  add(resized(picture, height_, width_, filter_, threads), 1, 1);
  return result;
}

}  // namespace lutra::vision
