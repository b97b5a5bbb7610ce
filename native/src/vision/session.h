#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/session.h"
#include "vision/model.h"

namespace lutra::vision {

/// A conversation about pictures: a text session whose layers look at them. Not for two threads at once.
class Session {
 public:
  /// `model` must outlive it.
  Session(Model& model, std::int64_t context_size, text::CacheType cache_type);

  [[nodiscard]] std::int64_t context_size() const { return text_.context_size(); }
  [[nodiscard]] std::span<const std::int32_t> tokens() const { return text_.tokens(); }
  [[nodiscard]] std::size_t cache_bytes() const { return text_.cache_bytes(); }

  /// Makes ready for a text with `pictures` in its places, in order. What begins alike, and sees the same, is kept;
  /// returns how many tokens that is: the rest is to be added. Throws GraphError `bad-input`.
  std::int64_t begin(std::span<const std::int32_t> ids, Pictures pictures);
  /// The same with a reading of the caller's, such as a mask that came from elsewhere.
  std::int64_t begin(std::span<const std::int32_t> ids, Pictures pictures, Reading reading);

  /// What reads and writes, between two calls of `begin`.
  [[nodiscard]] text::Conversation& conversation() { return text_; }
  /// As text::Session has them.
  std::span<const float> add(std::span<const std::int32_t> tokens, const std::stop_token& stop = {},
                             const std::function<void(std::int64_t)>& tell = {});
  std::vector<float> add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop = {});

 private:
  Model* model_;
  CrossStep step_;
  text::Session text_;
  std::unique_ptr<CrossBlocks> blocks_;
  bool is_bound_ = false;
  bool has_pictures_ = false;
};

/// What is kept of a picture: its keys and values, or those of its pieces, row by row, and then of the whole.
struct Seen {
  Pictures parts;
  std::int64_t rows = 0;  ///< 0 where nothing was cut
  std::int64_t columns = 0;

  [[nodiscard]] std::size_t size_bytes() const;
  [[nodiscard]] std::int64_t real_tokens() const;
};

/// Pictures that were looked at, by name. Those not asked for the longest go when all take more than the limit.
class PictureStore {
 public:
  explicit PictureStore(std::size_t limit_bytes = std::size_t{2} << 30) : limit_bytes_(limit_bytes) {}

  /// Null where it is not there (any more).
  [[nodiscard]] std::shared_ptr<const Seen> find(const std::string& key);
  void put(const std::string& key, std::shared_ptr<const Seen> seen);
  void forget(const std::string& key);
  [[nodiscard]] std::size_t size_bytes() const { return bytes_; }

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const Seen>>;

  std::size_t limit_bytes_;
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;  ///< the last asked for first
};

}  // namespace lutra::vision
