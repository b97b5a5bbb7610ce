#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/progress.h"
#include "text/llama.h"
#include "vision/config.h"
#include "vision/cross_attention.h"
#include "vision/pixels.h"

namespace lutra::vision {

/// What the tower makes of a picture, before any layer's keys: rows (tokens, width) for each of `count` features.
struct Features {
  std::int64_t count = 0;
  std::int64_t tokens = 0;
  std::int64_t width = 0;
  std::int64_t real_tokens = 0;  ///< the others stand for nothing (mllama's empty tiles)
  std::vector<float> values;     ///< (count, tokens, width)
};

/// The blocks that a model puts before its text model's layers, bound to one session.
class CrossBlocks {
 public:
  virtual ~CrossBlocks() = default;
  /// What comes before that layer. Also called once with the number of layers.
  virtual graph::Tensor before(graph::GraphBuilder& g, std::int64_t layer, graph::Tensor x) = 0;
  /// A layer's attention, of queries (head_dim * n_heads, n) that are turned and scaled; `own` is the text model's.
  virtual graph::Tensor attend(graph::GraphBuilder& g, std::int64_t /*layer*/, graph::Tensor queries,
                               const text::Attend& own) {
    return own(g, queries);
  }
};

/// What stands in a text around the pieces of a picture that is cut.
enum class Pieces {
  none,   ///< nothing is cut
  named,  ///< words, as mPLUG-Owl3 of 24-07-28 was trained; one picture in a text
  marked  ///< tokens for begin and end, as the one of 24-11-01
};

/// A model that looks: a tower, a text model, and cross-attention between them.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  /// By the folder's config.json. Throws GraphError that names the file and the field or tensor; `progress` counts
  /// bytes of weights.
  static std::unique_ptr<Model> load(const std::string& folder, const graph::Compute& compute, lut::Precision precision,
                                     const core::Progress& progress = {});

  [[nodiscard]] virtual Family family() const = 0;
  [[nodiscard]] virtual text::Llama& text() = 0;
  [[nodiscard]] virtual std::size_t weight_bytes() const = 0;
  [[nodiscard]] virtual std::int32_t image_token_id() const = 0;
  /// Copies of that token that stand for a picture in a text.
  [[nodiscard]] virtual std::int64_t image_tokens() const = 0;
  [[nodiscard]] virtual Pieces pieces() const { return Pieces::none; }
  /// Tokens that a picture has in the tower's features, at most.
  [[nodiscard]] virtual std::int64_t vision_tokens() const = 0;

  /// The tower. `progress` counts blocks. Throws GraphError: `bad-input` for pixels of another size, `cancelled`.
  [[nodiscard]] virtual Features look(const Pixels& pixels, const core::Progress& progress) = 0;
  /// Every layer's keys and values.
  [[nodiscard]] virtual std::shared_ptr<PictureKeys> keys_of(const Features& features, text::CacheType type,
                                                             const core::Progress& progress) = 0;
  /// What each token sees. Throws GraphError `bad-input` where the text has not as many places as there are pictures.
  [[nodiscard]] virtual Reading read(std::span<const std::int32_t> ids, const Pictures& pictures) const = 0;
  /// `step` must outlive the result. Null: nothing stands between the layers for a text without pictures.
  [[nodiscard]] virtual std::unique_ptr<CrossBlocks> blocks(const CrossStep& step, bool has_pictures) = 0;
};

/// What a folder's config says, its weights not yet read.
struct Description {
  Family family = Family::evlm;
  std::int32_t image_token_id = 0;
  std::int64_t image_tokens = 1;
  std::int64_t vision_tokens = 0;
  std::int64_t vocab_size = 0;
  std::int64_t context_size = 0;   ///< the most that the text model takes
  std::uint64_t weight_bytes = 0;  ///< of the files
};

/// Reads config.json and the headers of the weights. Throws GraphError.
Description describe(const std::string& folder);

}  // namespace lutra::vision
