#include "vision/evaluate.h"

#include <algorithm>
#include <optional>

#include "graph/error.h"
#include "vision/evlm.h"
#include "vision/mllama.h"
#include "vision/mplugowl3.h"
#include "vision/session.h"

namespace lutra::vision {
namespace {

using core::NpzArchive;
using graph::GraphError;

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw GraphError("bad-input", "The array \"" + name + "\" " + what + ".", "", name);
}

/// An array of inputs with a number of dimensions.
struct Array {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;

  [[nodiscard]] std::span<const float> part(std::int64_t index, std::size_t dimensions) const {
    std::int64_t size = 1;
    for (std::size_t i = dimensions; i < shape.size(); ++i) size *= shape[i];
    return std::span(values).subspan(static_cast<std::size_t>(index * size), static_cast<std::size_t>(size));
  }
};

std::optional<Array> find(const NpzArchive& inputs, const std::string& name, std::size_t dimensions) {
  const auto found = inputs.find(name);
  if (found == inputs.end()) return std::nullopt;
  Array array{name, found->second.shape, found->second.to_floats()};
  if (array.shape.size() + 1 == dimensions) array.shape.insert(array.shape.begin(), 1);
  if (array.shape.size() != dimensions || array.values.empty())
    refuse(name, "should have " + std::to_string(dimensions) + " dimensions, none of them empty");
  return array;
}

void want_shape(const Array& array, const std::vector<std::int64_t>& shape) {
  if (array.shape == shape) return;
  std::string text;
  for (const std::int64_t length : shape) text += (text.empty() ? "" : " x ") + std::to_string(length);
  refuse(array.name, "should be " + text);
}

void append(std::vector<float>& target, std::span<const float> values) {
  target.insert(target.end(), values.begin(), values.end());
}

/// The rows of a batch of texts, without the tokens that the attention mask hides.
class Texts {
 public:
  explicit Texts(const NpzArchive& inputs)
      : ids_(find(inputs, "input_ids", 2)), mask_(find(inputs, "attention_mask", 2)) {
    if (ids_ && mask_) want_shape(*mask_, ids_->shape);
  }
  explicit operator bool() const { return ids_.has_value(); }
  [[nodiscard]] std::int64_t count() const { return ids_->shape[0]; }
  [[nodiscard]] std::int64_t length() const { return ids_->shape[1]; }

  /// Places of a row's tokens that count.
  [[nodiscard]] std::vector<std::int64_t> places(std::int64_t row) const {
    std::vector<std::int64_t> result;
    for (std::int64_t i = 0; i < length(); ++i) {
      if (!mask_ || mask_->part(row, 1)[static_cast<std::size_t>(i)] != 0) result.push_back(i);
    }
    return result;
  }
  [[nodiscard]] std::vector<std::int32_t> ids(std::int64_t row) const {
    std::vector<std::int32_t> result;
    for (const std::int64_t place : places(row))
      result.push_back(static_cast<std::int32_t>(ids_->part(row, 1)[static_cast<std::size_t>(place)]));
    if (result.empty()) refuse("attention_mask", "hides a whole row");
    return result;
  }

 private:
  std::optional<Array> ids_;
  std::optional<Array> mask_;
};

/// Collects the logits of rows.
class Logits {
 public:
  Logits(Model& model, const Texts& texts)
      : model_(&model),
        texts_(&texts),
        vocab_size_(model.text().config().vocab_size),
        values_(static_cast<std::size_t>(texts.count() * texts.length() * vocab_size_), 0.0F) {}

  void add(std::int64_t row, const Pictures& pictures, Reading reading, const core::Progress& progress) {
    const auto ids = texts_->ids(row);
    const auto places = texts_->places(row);
    Session session(*model_, std::max<std::int64_t>(static_cast<std::int64_t>(ids.size()), 1), text::CacheType::f32);
    session.begin(ids, pictures, std::move(reading));
    const auto logits = session.add_all_logits(ids, progress.stop_token());
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(i) * vocab_size_, vocab_size_,
                  values_.begin() + (row * texts_->length() + places[i]) * vocab_size_);
    }
  }
  void write(NpzArchive& archive) const {
    archive.emplace("logits", core::npy_from_floats(values_, {texts_->count(), texts_->length(), vocab_size_}));
  }

 private:
  Model* model_;
  const Texts* texts_;
  std::int64_t vocab_size_;
  std::vector<float> values_;
};

void evaluate_evlm(Evlm& model, const NpzArchive& inputs, NpzArchive& result, const core::Progress& progress) {
  const auto pixels = find(inputs, "pixel_values", 4);
  const std::int64_t layers = model.config().text.num_hidden_layers;
  Pictures pictures;
  if (pixels) {
    std::vector<float> features;
    std::vector<float> states;
    Features last;
    for (std::int64_t i = 0; i < pixels->shape[0]; ++i) {
      const auto own = pixels->part(i, 1);
      last = model.look({{own.begin(), own.end()}, {pixels->shape.begin() + 1, pixels->shape.end()}, 0, {}}, progress);
      append(features, last.values);
      for (std::int64_t layer = 0; layer < layers; ++layer) append(states, model.normed(last, layer));
      pictures.push_back(model.keys_of(last, text::CacheType::f32, progress));
    }
    const std::int64_t n = pixels->shape[0];
    result.emplace("vision_features", core::npy_from_floats(features, {n, last.count, last.tokens, last.width}));
    result.emplace("cross_attention_states", core::npy_from_floats(states, {n, layers, last.tokens, last.width}));
  }
  const Texts texts(inputs);
  if (!texts) return;
  Logits logits(model, texts);
  auto next = pictures.begin();
  for (std::int64_t row = 0; row < texts.count(); ++row) {
    const auto ids = texts.ids(row);
    const auto wanted = std::count(ids.begin(), ids.end(), model.image_token_id()) / model.image_tokens();
    if (wanted > pictures.end() - next) refuse("pixel_values", "has fewer pictures than the texts speak of");
    const Pictures own(next, next + wanted);
    next += wanted;
    logits.add(row, own, model.read(ids, own), progress);
  }
  if (next != pictures.end()) refuse("pixel_values", "has more pictures than the texts speak of");
  logits.write(result);
}

/// Where pictures stand in a row: by `media_offset`, the starts of the newer processor or the counts of the older, or
/// by their token.
std::vector<std::int64_t> starts_of(const MplugOwl3& model, const NpzArchive& inputs, std::int64_t row,
                                    std::span<const std::int32_t> ids) {
  std::vector<std::int64_t> starts;
  const auto found = inputs.find("media_offset");
  if (found == inputs.end()) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == model.image_token_id()) starts.push_back(static_cast<std::int64_t>(i));
    }
    return starts;
  }
  if (found->second.shape.size() == 3) {
    const auto counts = *find(inputs, "media_offset", 3);
    float last = 0;
    for (std::int64_t i = 0; row < counts.shape[0] && i < counts.shape[1]; ++i) {
      const float count = counts.part(row * counts.shape[1] + i, 2).back();
      if (i > 0 && count > last) starts.push_back(i - 1);
      last = count;
    }
    return starts;
  }
  const auto given = *find(inputs, "media_offset", 2);
  if (row >= given.shape[0]) refuse("media_offset", "has fewer rows than input_ids");
  for (const float start : given.part(row, 1)) starts.push_back(static_cast<std::int64_t>(start));
  return starts;
}

void evaluate_mplugowl3(MplugOwl3& model, const NpzArchive& inputs, NpzArchive& result,
                        const core::Progress& progress) {
  const auto pixels = find(inputs, "pixel_values", 4);
  Pictures pictures;
  if (pixels) {
    std::vector<float> features;
    std::vector<float> states;
    Features last;
    for (std::int64_t i = 0; i < pixels->shape[0]; ++i) {
      const auto own = pixels->part(i, 1);
      last = model.look({{own.begin(), own.end()}, {pixels->shape.begin() + 1, pixels->shape.end()}, 0, {}}, progress);
      append(features, last.values);
      append(states, model.projected(last, progress));
      pictures.push_back(model.keys_of(last, text::CacheType::f32, progress));
    }
    const std::int64_t n = pixels->shape[0];
    result.emplace("vision_features", core::npy_from_floats(features, {n, last.tokens, last.width}));
    result.emplace("cross_attention_states",
                   core::npy_from_floats(states, {n, last.tokens, model.config().text.hidden_size}));
  }
  const Texts texts(inputs);
  if (!texts) return;
  Logits logits(model, texts);
  auto next = pictures.begin();
  for (std::int64_t row = 0; row < texts.count(); ++row) {
    const auto ids = texts.ids(row);
    const auto starts = starts_of(model, inputs, row, ids);
    const auto wanted = static_cast<std::ptrdiff_t>(starts.size());
    if (wanted > pictures.end() - next) refuse("pixel_values", "has fewer pictures than the texts speak of");
    const Pictures own(next, next + wanted);
    next += wanted;
    logits.add(row, own, model.read(static_cast<std::int64_t>(ids.size()), starts, own), progress);
  }
  if (next != pictures.end()) refuse("pixel_values", "has more pictures than the texts speak of");
  logits.write(result);
}

/// Which tiles of a picture are there.
std::vector<bool> tiles_of(const MllamaConfig& config, std::int32_t id, const std::optional<Array>& mask,
                           std::int64_t picture) {
  std::vector<bool> tiles(static_cast<std::size_t>(config.max_num_tiles), false);
  if (mask) {
    for (std::size_t i = 0; i < tiles.size(); ++i) tiles[i] = mask->part(picture, 2)[i] != 0;
  } else if (id > 0) {
    const auto [high, wide] = config.aspect_ratios[static_cast<std::size_t>(id) - 1];
    std::fill_n(tiles.begin(), high * wide, true);
  }
  return tiles;
}

/// What a row's tokens see by transformers' mask; everything where there is none.
Reading reading_of(const Mllama& model, const Texts& texts, std::int64_t row, const Pictures& pictures,
                   const std::optional<Array>& mask) {
  Reading reading;
  for (const std::int64_t place : texts.places(row)) {
    reading.add(mask ? model.sight_of(mask->part(row * texts.length() + place, 2), pictures)
                     : model.open_sight(pictures));
  }
  if (!reading.sights.empty()) reading.after = reading.sights.back();
  return reading;
}

void evaluate_mllama(Mllama& model, const NpzArchive& inputs, NpzArchive& result, const core::Progress& progress) {
  const MllamaConfig& config = model.config();
  const auto pixels = find(inputs, "pixel_values", 6);
  const std::int64_t rows = pixels ? pixels->shape[0] : 0;
  const std::int64_t per_row = pixels ? pixels->shape[1] : 0;
  std::vector<Pictures> pictures(static_cast<std::size_t>(rows));
  if (pixels) {
    const auto ratio_ids = find(inputs, "aspect_ratio_ids", 2);
    const auto ratio_mask = find(inputs, "aspect_ratio_mask", 3);
    if (!ratio_ids) refuse("aspect_ratio_ids", "is missing");
    want_shape(*ratio_ids, {rows, per_row});
    if (ratio_mask) want_shape(*ratio_mask, {rows, per_row, config.max_num_tiles});
    std::vector<float> features;
    std::vector<float> states;
    for (std::int64_t i = 0; i < rows * per_row; ++i) {
      const auto own = pixels->part(i, 2);
      const auto id = static_cast<std::int32_t>(ratio_ids->part(i, 2).front());
      if (id < 0 || id > static_cast<std::int32_t>(config.aspect_ratios.size()))
        refuse("aspect_ratio_ids", "names an aspect ratio that is not there");
      const auto seen = model.look({{own.begin(), own.end()},
                                    {pixels->shape.begin() + 2, pixels->shape.end()},
                                    id,
                                    tiles_of(config, id, ratio_mask, i)},
                                   progress);
      append(features, seen.values);
      append(states, model.projected(seen, progress));
      pictures[static_cast<std::size_t>(i / per_row)].push_back(model.keys_of(seen, text::CacheType::f32, progress));
    }
    const std::int64_t tiles = config.max_num_tiles;
    const std::int64_t tokens = config.tokens_per_tile();
    result.emplace("vision_features",
                   core::npy_from_floats(features, {rows, per_row, tiles, tokens, config.feature_width()}));
    result.emplace("cross_attention_states",
                   core::npy_from_floats(states, {rows * per_row * tiles, tokens, config.text.hidden_size}));
  }
  const Texts texts(inputs);
  if (!texts) return;
  if (pixels && texts.count() != rows) refuse("input_ids", "has not as many rows as pixel_values");
  const auto mask = pixels ? find(inputs, "cross_attention_mask", 4) : std::nullopt;
  if (mask) want_shape(*mask, {rows, texts.length(), per_row, config.max_num_tiles});
  Logits logits(model, texts);
  for (std::int64_t row = 0; row < texts.count(); ++row) {
    const Pictures own = pixels ? pictures[static_cast<std::size_t>(row)] : Pictures{};
    logits.add(row, own, reading_of(model, texts, row, own, mask), progress);
  }
  logits.write(result);
}

}  // namespace

NpzArchive evaluate(Model& model, const NpzArchive& inputs, const core::Progress& progress) {
  NpzArchive result;
  if (auto* evlm = dynamic_cast<Evlm*>(&model)) evaluate_evlm(*evlm, inputs, result, progress);
  if (auto* mllama = dynamic_cast<Mllama*>(&model)) evaluate_mllama(*mllama, inputs, result, progress);
  if (auto* owl = dynamic_cast<MplugOwl3*>(&model)) evaluate_mplugowl3(*owl, inputs, result, progress);
  if (result.empty()) {
    throw GraphError("bad-input", "The inputs determine no stage of the model.", "Give pixel_values or input_ids.",
                     "inputs");
  }
  return result;
}

NpzArchive arrays_of(const Prepared& prepared) {
  NpzArchive result;
  std::vector<float> values;
  for (const Pixels& pixels : prepared.pictures) append(values, pixels.values);
  const Pixels& first = prepared.pictures.front();
  std::vector<std::int64_t> shape = {static_cast<std::int64_t>(prepared.pictures.size())};
  if (first.aspect_ratio_id > 0) shape.insert(shape.begin(), 1);
  shape.insert(shape.end(), first.shape.begin(), first.shape.end());
  result.emplace("pixel_values", core::npy_from_floats(values, std::move(shape)));
  if (first.aspect_ratio_id == 0) return result;
  const auto whole = [](const std::vector<std::int64_t>& numbers, std::vector<std::int64_t> of) {
    const auto bytes = std::as_bytes(std::span(numbers));
    return core::NpyArray{core::Dtype::i64, std::move(of), {bytes.begin(), bytes.end()}};
  };
  const std::vector<std::int64_t> tiles(first.tiles.begin(), first.tiles.end());
  result.emplace("aspect_ratio_ids", whole({first.aspect_ratio_id}, {1, 1}));
  result.emplace("aspect_ratio_mask", whole(tiles, {1, 1, static_cast<std::int64_t>(tiles.size())}));
  return result;
}

}  // namespace lutra::vision
