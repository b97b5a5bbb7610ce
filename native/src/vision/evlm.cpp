#include "vision/evlm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/error.h"

namespace lutra::vision {

using graph::GraphBuilder;
using graph::GraphError;
using graph::Tensor;

namespace {

const std::vector<float> no_norm;

std::string layer_name(std::int64_t layer) { return "cross_attention_layers." + std::to_string(layer) + "."; }

float gate(text::WeightReader& reader, const std::string& name) {
  return std::tanh(reader.floats(name, std::array<std::int64_t, 1>{1}).front());
}

}  // namespace

Evlm::Evlm(const std::string& folder, EvlmConfig config, const core::Safetensors& file, const graph::Compute& compute,
           lut::Precision precision, const core::Progress& progress)
    : config_(std::move(config)),
      compute_(&compute),
      vectors_(compute, static_cast<std::size_t>(2 * config_.text.num_hidden_layers) + 1),
      tower_(compute, config_.vision.num_attention_heads, config_.vision.is_post_norm),
      activate_(config_.cross.hidden_act),
      shape_{config_.cross.num_attention_heads, config_.cross.num_attention_heads, config_.cross.head_dim(),
             config_.cross.zero_vectors} {
  text::WeightReader reader(file, folder, config_.text, precision, static_cast<std::size_t>(compute.n_threads()),
                            progress);
  const VitConfig& vision = config_.vision;
  const std::string tower = "vision_model.";
  patch_embedding_.emplace(reader, tower + "patch_embedding", vision.hidden_size, vision.patch_size);
  class_embedding_ = reader.floats(tower + "class_embedding", std::array{vision.hidden_size});
  position_embedding_ =
      reader.floats(tower + "position_embedding.weight", std::array{vision.tokens(), vision.hidden_size});
  const std::int64_t deepest = *std::max_element(vision.tapped_layers.begin(), vision.tapped_layers.end());
  for (std::int64_t layer = 0; layer < deepest; ++layer) tower_.blocks.push_back(vision_block(reader, layer));
  const std::int64_t hidden = config_.text.hidden_size;
  media_embedding_ = reader.floats("media_embedding.weight", std::array{config_.cross.media_tokens, hidden});
  std::vector<std::pair<std::string, std::int64_t>> norms;
  for (std::int64_t layer = 0; layer < config_.text.num_hidden_layers; ++layer) {
    norms.emplace_back(layer_name(layer) + "attention_norm", hidden);
    norms.emplace_back(layer_name(layer) + "ffn_norm", hidden);
  }
  vectors_.read(reader, norms);
  for (std::int64_t layer = 0; layer < config_.text.num_hidden_layers; ++layer)
    layers_.push_back(cross_layer(reader, layer));
  const core::Progress rest(progress.stop_token(), [&](std::uint64_t done, std::uint64_t total) {
    progress.tell(std::min(reader.done_bytes() + done, total), total);
  });
  text_ = text::Llama::load({config_.text, file, folder, "language_model.model.", "language_model.lm_head"}, compute,
                            precision, rest);
  weight_bytes_ = text_->weight_bytes() + reader.weight_bytes() + tower_.size_bytes();
}

VisionBlock Evlm::vision_block(text::WeightReader& reader, std::int64_t layer) const {
  const VitConfig& vision = config_.vision;
  return read_block(reader, "vision_model.layers." + std::to_string(layer) + ".",
                    {"norm1", "attention.", "attention.o_proj", "norm2"},
                    {vision.hidden_size, vision.intermediate_size, vision.layer_norm_eps, vision.hidden_act});
}

Evlm::CrossLayer Evlm::cross_layer(text::WeightReader& reader, std::int64_t layer) {
  const EvlmCrossConfig& cross = config_.cross;
  const std::int64_t hidden = config_.text.hidden_size;
  const std::int64_t width = config_.vision.hidden_size;
  const std::string name = layer_name(layer);
  CrossLayer result{
      vectors_.norm(name + "attention_norm", config_.text.rms_norm_eps),
      layer_norm(reader, name + "visual_norm", width, config_.vision.layer_norm_eps),
      projection_of(reader, name + "q_proj", cross.attention_width, hidden),
      Linear(reader, {{name + "k_proj", cross.attention_width}, {name + "v_proj", cross.attention_width}}, width),
      projection_of(reader, name + "o_proj", hidden, cross.attention_width),
      gate(reader, name + "attention_gate"),
      vectors_.norm(name + "ffn_norm", config_.text.rms_norm_eps),
      {},
      {},
      nullptr,
      gate(reader, name + "ffn_gate"),
  };
  if (cross.num_experts > 0) {
    result.experts = std::make_unique<Experts>(reader, name, cross, hidden);
    weight_bytes_ += result.experts->size_bytes();
  } else {
    result.fc1.emplace(projection_of(reader, name + "mlp.fc1", cross.intermediate_size, hidden));
    result.fc2.emplace(projection_of(reader, name + "mlp.fc2", hidden, cross.intermediate_size));
  }
  return result;
}

Features Evlm::look(const Pixels& pixels, const core::Progress& progress) {
  const VitConfig& vision = config_.vision;
  if (pixels.shape != std::vector<std::int64_t>{3, vision.height, vision.width}) {
    throw GraphError("bad-input",
                     "This model takes pictures of 3 x " + std::to_string(vision.height) + " x " +
                         std::to_string(vision.width) + " values.",
                     "", "pixel_values");
  }
  const auto width = static_cast<std::size_t>(vision.hidden_size);
  const auto patches = (*patch_embedding_)(*compute_, pixels.values, vision.height, vision.width, progress);
  std::vector<float> x(class_embedding_);
  x.insert(x.end(), patches.begin(), patches.end());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += position_embedding_[i];
  const auto taps = static_cast<std::int64_t>(vision.tapped_layers.size());
  Features features{taps, vision.tokens(), vision.hidden_size, vision.tokens(), {}};
  features.values.resize(static_cast<std::size_t>(taps * vision.tokens()) * width);
  const auto depth = static_cast<std::int64_t>(tower_.blocks.size());
  tower_(std::move(x), vision.hidden_size, depth, {}, false, progress,
         [&](std::int64_t done, const std::vector<float>& state) {
           for (std::size_t tap = 0; tap < vision.tapped_layers.size(); ++tap) {
             if (vision.tapped_layers[tap] != done) continue;
             std::copy(state.begin(), state.end(),
                       features.values.begin() + static_cast<std::ptrdiff_t>(tap * state.size()));
           }
           progress.tell(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(depth));
         });
  return features;
}

std::vector<float> Evlm::normed(const Features& features, std::int64_t layer) const {
  const auto size = static_cast<std::size_t>(features.tokens * features.width);
  std::vector<float> result(size);
  const float* tap = features.values.data() + static_cast<std::size_t>(config_.tap_of(layer)) * size;
  for (std::size_t at = 0; at < size; at += static_cast<std::size_t>(features.width))
    layers_[static_cast<std::size_t>(layer)].visual_norm.apply(tap + at, result.data() + at);
  return result;
}

std::shared_ptr<PictureKeys> Evlm::keys_of(const Features& features, text::CacheType type,
                                           const core::Progress& progress) {
  const text::CacheShape cache{type, shape_.n_kv_heads, shape_.head_dim};
  const std::int64_t n_layers = config_.text.num_hidden_layers;
  auto keys = std::make_shared<PictureKeys>(cache, n_layers, features.tokens);
  const KeysTarget target{keys.get(), 0};
  for (std::int64_t layer = 0; layer < n_layers; ++layer) {
    const StorePicture store(shape_, target, layer, no_norm, 0);
    static_cast<void>(
        apply(*compute_, normed(features, layer), features.width, progress, [&](GraphBuilder& g, Tensor x) {
          const auto kv = layers_[static_cast<std::size_t>(layer)].kv_proj(g, x);
          return store(g, kv[0], kv[1]);
        }));
  }
  return keys;
}

Reading Evlm::read(std::span<const std::int32_t> ids, const Pictures& pictures) const {
  const std::int64_t media_tokens = config_.cross.media_tokens;
  const auto copies = std::count(ids.begin(), ids.end(), config_.media_token_id);
  if (copies != static_cast<std::int64_t>(pictures.size()) * media_tokens) {
    throw GraphError("bad-input",
                     "The text has " + std::to_string(copies) + " media tokens; " + std::to_string(pictures.size()) +
                         " pictures want " + std::to_string(media_tokens) + " each.",
                     "", "pictures");
  }
  const auto whole = [&](std::int64_t picture) {
    return Sight::Span{picture, 0, pictures[static_cast<std::size_t>(picture)]->tokens()};
  };
  Reading reading;
  Sight run;  // the pictures of the last run so far
  std::int64_t seen = 0;
  bool was_media = false;
  for (const std::int32_t id : ids) {
    const bool is_media = id == config_.media_token_id;
    if (is_media && !was_media) run.spans.clear();
    was_media = is_media;
    if (!is_media) {
      reading.add(run);
      continue;
    }
    const std::int64_t picture = seen / media_tokens;
    reading.add({{whole(picture)}, true}, static_cast<std::int32_t>(seen % media_tokens));
    if (seen % media_tokens == 0) run.spans.push_back(whole(picture));
    ++seen;
  }
  reading.after = run;
  return reading;
}

void Evlm::Media::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const auto width = static_cast<std::size_t>(dst->ne[0]);
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token) {
    const auto place = static_cast<std::size_t>(step->step->first + token);
    const auto& rows = step->reading.media_row;
    const std::int32_t row = place < rows.size() ? rows[place] : -1;
    const float* from = row < 0 ? static_cast<const float*>(dst->src[0]->data) + static_cast<std::size_t>(token) * width
                                : model->media_embedding_.data() + static_cast<std::size_t>(row) * width;
    std::copy_n(from, width, static_cast<float*>(dst->data) + static_cast<std::size_t>(token) * width);
  }
}

class Evlm::Blocks : public CrossBlocks {
 public:
  Blocks(Evlm& model, const CrossStep& step) : model_(&model), media_{&model, &step} {
    for (std::size_t layer = 0; layer < model.layers_.size(); ++layer) {
      attend_.emplace_back(model.shape_, step, static_cast<std::int64_t>(layer), no_norm, 0);
      add_attention_.emplace_back(model.layers_[layer].attention_gate);
      add_ffn_.emplace_back(model.layers_[layer].ffn_gate);
    }
  }

  Tensor before(GraphBuilder& g, std::int64_t layer, Tensor x) override {
    if (layer == static_cast<std::int64_t>(model_->layers_.size())) return x;
    if (layer == 0) x = graph::custom<Media, 1>(g, media_, GGML_TYPE_F32, {x->ne[0], x->ne[1], 1, 1}, {x});
    const auto i = static_cast<std::size_t>(layer);
    CrossLayer& cross = model_->layers_[i];
    Tensor q = ggml_cont(g, cross.q_proj(g, x, &cross.attention_norm).front());
    x = add_attention_[i](g, x, cross.o_proj(g, attend_[i](g, q), nullptr).front());
    return add_ffn_[i](g, x, feed_forward(g, cross, x));
  }

 private:
  Tensor feed_forward(GraphBuilder& g, CrossLayer& cross, Tensor x) {
    if (cross.experts) return (*cross.experts)(g, cross.ffn_norm(g, x));
    return (*cross.fc2)(g, model_->activate_(g, (*cross.fc1)(g, x, &cross.ffn_norm).front()), nullptr).front();
  }

  Evlm* model_;
  Media media_;
  std::vector<CrossAttend> attend_;
  std::vector<GatedAdd> add_attention_;
  std::vector<GatedAdd> add_ffn_;
};

std::unique_ptr<CrossBlocks> Evlm::blocks(const CrossStep& step, bool /*has_pictures*/) {
  return std::make_unique<Blocks>(*this, step);
}

}  // namespace lutra::vision
