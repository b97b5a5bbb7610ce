#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "vision/resize.h"

namespace lutra::vision {

/// What becomes of a picture: one, or, where mPLUG-Owl3 cuts it, `rows` x `columns` pieces from the top left and then
/// the whole.
struct Prepared {
  std::vector<Pixels> pictures;
  std::int64_t rows = 0;  ///< 0 where nothing was cut
  std::int64_t columns = 0;
};

/// Turns pictures into what a tower takes, by a folder's preprocessor_config.json and to the rounding of the reference
/// processors: transformers' for mllama, CLIP and SigLIP, mPLUG-Owl3's own, and EVLM's as in this folder's README.
class Preprocessor {
 public:
  /// Reads preprocessor_config.json, and config.json for the family and what the former leaves out. Fails with
  /// `file-access`, `bad-file` or `not-supported` that name the field.
  static core::Result<Preprocessor> read(const std::string& folder);
  /// Of the two files' contents; `config` may be an empty object.
  static core::Result<Preprocessor> parse(const core::Json& settings, const core::Json& config);

  /// `cut`: whether mPLUG-Owl3 also looks at pieces, as it does at pictures and not at frames. Throws
  /// graph::GraphError `bad-input` for a picture without pixels, or of another size where it is not to be resized.
  [[nodiscard]] Prepared operator()(const Picture& picture, bool cut, core::ThreadPool& threads) const;

 private:
  enum class Kind { stretch, pad, crop, tiles, pieces };
  class Settings;

  Preprocessor() = default;
  [[nodiscard]] Prepared fitted(const Picture& picture, core::ThreadPool& threads) const;
  [[nodiscard]] Prepared cropped(const Picture& picture, core::ThreadPool& threads) const;
  [[nodiscard]] Prepared tiled(const Picture& picture, core::ThreadPool& threads) const;
  [[nodiscard]] Prepared in_pieces(const Picture& picture, bool cut, core::ThreadPool& threads) const;
  /// Normed values of a part of a picture, to three planes of height_ x width_ from `top` and `left` on.
  void norm(const Picture& picture, const Window& part, std::span<float> planes, std::int64_t top = 0,
            std::int64_t left = 0) const;
  [[nodiscard]] std::size_t plane() const { return static_cast<std::size_t>(height_ * width_); }

  Kind kind_ = Kind::stretch;
  bool do_resize_ = true;
  Filter filter_ = Filter::bicubic;
  std::int64_t height_ = 0;  ///< of the result, a tile or a piece
  std::int64_t width_ = 0;
  std::int64_t shortest_edge_ = 0;                  ///< of Kind::crop
  std::int64_t max_tiles_ = 1;                      ///< of Kind::tiles
  std::array<std::array<float, 256>, 3> levels_{};  ///< what a channel's byte becomes
};

}  // namespace lutra::vision
