#include "vision/session.h"

#include <algorithm>

namespace lutra::vision {
namespace {

bool is_same(const Sight& a, const Pictures& of_a, const Sight& b, const Pictures& of_b) {
  const auto is_same_span = [&](const Sight::Span& one, const Sight::Span& other) {
    return one.first == other.first && one.end == other.end &&
           of_a[static_cast<std::size_t>(one.picture)] == of_b[static_cast<std::size_t>(other.picture)];
  };
  return a.has_feed_forward == b.has_feed_forward &&
         std::equal(a.spans.begin(), a.spans.end(), b.spans.begin(), b.spans.end(), is_same_span);
}

std::int32_t media_row(const Reading& reading, std::size_t place) {
  return place < reading.media_row.size() ? reading.media_row[place] : -1;
}

}  // namespace

Session::Session(Model& model, std::int64_t context_size, text::CacheType cache_type)
    : model_(&model), text_(model.text(), context_size, cache_type) {
  step_.step = &text_.step();
}

std::int64_t Session::begin(std::span<const std::int32_t> ids, Pictures pictures) {
  Reading reading = model_->read(ids, pictures);
  return begin(ids, std::move(pictures), std::move(reading));
}

std::int64_t Session::begin(std::span<const std::int32_t> ids, Pictures pictures, Reading reading) {
  const auto known = text_.tokens();
  std::size_t same = 0;
  while (same < std::min(known.size(), ids.size()) && known[same] == ids[same] &&
         media_row(step_.reading, same) == media_row(reading, same) &&
         is_same(step_.reading.at(static_cast<std::int64_t>(same)), step_.pictures,
                 reading.at(static_cast<std::int64_t>(same)), pictures))
    ++same;
  const std::int64_t kept = text_.keep_prefix(ids.first(std::min(same + 1, ids.size())));
  const bool has_pictures = !pictures.empty();
  step_.reading = std::move(reading);
  step_.pictures = std::move(pictures);
  if (is_bound_ && has_pictures == has_pictures_) return kept;
  is_bound_ = true;
  has_pictures_ = has_pictures;
  text_.set_before({});
  text_.set_attention({});
  blocks_ = model_->blocks(step_, has_pictures);
  if (blocks_) {
    text_.set_before(
        [this](graph::GraphBuilder& g, std::int64_t layer, graph::Tensor x) { return blocks_->before(g, layer, x); });
    text_.set_attention([this](graph::GraphBuilder& g, std::int64_t layer, graph::Tensor queries,
                               const text::Attend& own) { return blocks_->attend(g, layer, queries, own); });
  }
  return kept;
}

std::span<const float> Session::add(std::span<const std::int32_t> tokens, const std::stop_token& stop,
                                    const std::function<void(std::int64_t)>& tell) {
  return text_.add(tokens, stop, tell);
}

std::vector<float> Session::add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop) {
  return text_.add_all_logits(tokens, stop);
}

std::size_t Seen::size_bytes() const {
  std::size_t bytes = 0;
  for (const auto& part : parts) bytes += part->size_bytes();
  return bytes;
}

std::int64_t Seen::real_tokens() const {
  std::int64_t tokens = 0;
  for (const auto& part : parts) tokens += part->real_tokens();
  return tokens;
}

std::shared_ptr<const Seen> PictureStore::find(const std::string& key) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.first == key; });
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return entries_.front().second;
}

void PictureStore::put(const std::string& key, std::shared_ptr<const Seen> seen) {
  forget(key);
  bytes_ += seen->size_bytes();
  entries_.emplace_front(key, std::move(seen));
  while (bytes_ > limit_bytes_ && entries_.size() > 1) {
    bytes_ -= entries_.back().second->size_bytes();
    entries_.pop_back();
  }
}

void PictureStore::forget(const std::string& key) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.first == key; });
  if (found == entries_.end()) return;
  bytes_ -= found->second->size_bytes();
  entries_.erase(found);
}

}  // namespace lutra::vision
