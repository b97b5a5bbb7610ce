#include "vision/mplugowl3.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/error.h"

namespace lutra::vision {

using graph::GraphBuilder;
using graph::GraphError;
using graph::Tensor;

namespace {

std::string attention_name(std::int64_t layer) {
  return "language_model.model.layers." + std::to_string(layer) + ".self_attn.";
}

std::string norm_name(std::int64_t layer) {
  return "language_model.model.layers." + std::to_string(layer) + ".input_layernorm";
}

}  // namespace

MplugOwl3::MplugOwl3(const std::string& folder, MplugOwl3Config config, const core::Safetensors& file,
                     const graph::Compute& compute, lut::Precision precision, const core::Progress& progress)
    : config_(std::move(config)),
      compute_(&compute),
      kind_(file.find(attention_name(config_.hyper_layers.front()) + "gate") == nullptr ? HyperKind::joint
                                                                                        : HyperKind::gated),
      vectors_(compute, config_.hyper_layers.size() + 1),
      tower_(compute, config_.vision.num_attention_heads),
      shape_{config_.text.num_attention_heads, config_.text.num_key_value_heads, config_.text.head_dim, 0} {
  text::WeightReader reader(file, folder, config_.text, precision, static_cast<std::size_t>(compute.n_threads()),
                            progress);
  const VitConfig& vision = config_.vision;
  const std::string embeddings = "vision_model.embeddings.";
  patch_embedding_.emplace(reader, embeddings + "patch_embedding", vision.hidden_size, vision.patch_size);
  position_embedding_ =
      reader.floats(embeddings + "position_embedding.weight", std::array{vision.patches(), vision.hidden_size});
  for (std::int64_t layer = 0; layer + 1 < vision.num_hidden_layers; ++layer)
    tower_.blocks.push_back(vision_block(reader, layer));
  read_projector(reader);
  read_hyper_layers(reader);
  const core::Progress rest(progress.stop_token(), [&](std::uint64_t done, std::uint64_t total) {
    progress.tell(std::min(reader.done_bytes() + done, total), total);
  });
  text_ = text::Llama::load({config_.text, file, folder, "language_model.model.", "language_model.lm_head"}, compute,
                            precision, rest);
  weight_bytes_ = text_->weight_bytes() + reader.weight_bytes() + tower_.size_bytes();
}

VisionBlock MplugOwl3::vision_block(text::WeightReader& reader, std::int64_t layer) const {
  const VitConfig& vision = config_.vision;
  return read_block(reader, "vision_model.encoder.layers." + std::to_string(layer) + ".",
                    {"layer_norm1", "self_attn.", "self_attn.out_proj", "layer_norm2"},
                    {vision.hidden_size, vision.intermediate_size, vision.layer_norm_eps, vision.hidden_act});
}

void MplugOwl3::read_projector(text::WeightReader& reader) {
  const std::int64_t width = config_.vision.hidden_size;
  const std::int64_t hidden = config_.text.hidden_size;
  const std::string name = "vision2text_model";
  if (reader.has_matrix(name)) {
    projector_.emplace_back(reader, std::vector<Linear::Part>{{name, hidden}}, width);
    return;
  }
  projector_.emplace_back(reader, std::vector<Linear::Part>{{name + ".0", hidden}}, width, dense::Activation::gelu);
  projector_.emplace_back(reader, std::vector<Linear::Part>{{name + ".2", hidden}}, hidden);
}

void MplugOwl3::read_hyper_layers(text::WeightReader& reader) {
  const std::int64_t hidden = config_.text.hidden_size;
  std::vector<std::pair<std::string, std::int64_t>> norms;
  for (const std::int64_t layer : config_.hyper_layers) norms.emplace_back(norm_name(layer), hidden);
  vectors_.read(reader, norms);
  const std::int64_t rows = 2 * config_.text.num_key_value_heads * config_.text.head_dim;
  for (const std::int64_t layer : config_.hyper_layers) {
    HyperLayer result{vectors_.norm(norm_name(layer), config_.text.rms_norm_eps),
                      Linear(reader, {{attention_name(layer) + "v_kv_proj", rows}}, hidden),
                      {}};
    if (kind_ == HyperKind::gated) {
      result.gate = reader.floats(attention_name(layer) + "gate", std::array{hidden});
      for (float& value : result.gate) value = 1 / (1 + std::exp(-value));
    }
    layers_.push_back(std::move(result));
  }
}

Features MplugOwl3::look(const Pixels& pixels, const core::Progress& progress) {
  const VitConfig& vision = config_.vision;
  if (pixels.shape != std::vector<std::int64_t>{3, vision.height, vision.width}) {
    throw GraphError("bad-input",
                     "This model takes pictures of 3 x " + std::to_string(vision.height) + " x " +
                         std::to_string(vision.width) + " values.",
                     "", "pixel_values");
  }
  auto x = (*patch_embedding_)(*compute_, pixels.values, vision.height, vision.width, progress);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += position_embedding_[i];
  const auto depth = static_cast<std::int64_t>(tower_.blocks.size());
  auto state = tower_(std::move(x), vision.hidden_size, depth, {}, false, progress,
                      [&](std::int64_t done, const std::vector<float>&) {
                        progress.tell(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(depth));
                      });
  return {1, vision.patches(), vision.hidden_size, vision.patches(), std::move(state)};
}

std::vector<float> MplugOwl3::projected(const Features& features, const core::Progress& progress) {
  return apply(*compute_, features.values, features.width, progress, [&](GraphBuilder& g, Tensor x) {
    for (Linear& part : projector_) x = part.one(g, x);
    return x;
  });
}

std::shared_ptr<PictureKeys> MplugOwl3::keys_of(const Features& features, text::CacheType type,
                                                const core::Progress& progress) {
  const text::CacheShape cache{type, shape_.n_kv_heads, shape_.head_dim};
  auto keys = std::make_shared<PictureKeys>(cache, static_cast<std::int64_t>(layers_.size()), features.tokens);
  const KeysTarget target{keys.get(), 0};
  const auto states = projected(features, progress);
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    const StoreHyper store(shape_, target, static_cast<std::int64_t>(layer));
    static_cast<void>(apply(*compute_, states, config_.text.hidden_size, progress, [&](GraphBuilder& g, Tensor x) {
      return store(g, layers_[layer].v_kv_proj.one(g, layers_[layer].input_layernorm(g, x)));
    }));
  }
  return keys;
}

Reading MplugOwl3::read(std::span<const std::int32_t> ids, const Pictures& pictures) const {
  std::vector<std::int64_t> starts;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == config_.image_token_id) starts.push_back(static_cast<std::int64_t>(i));
  }
  return read(static_cast<std::int64_t>(ids.size()), starts, pictures);
}

Reading MplugOwl3::read(std::int64_t length, std::span<const std::int64_t> starts, const Pictures& pictures) const {
  if (starts.size() != pictures.size()) {
    throw GraphError("bad-input",
                     "The text has places for " + std::to_string(starts.size()) + " pictures, not for " +
                         std::to_string(pictures.size()) + ".",
                     "", "pictures");
  }
  // The gated kind sees a picture from the token after its own on, and its keys stand there.
  const std::int64_t later = kind_ == HyperKind::gated ? 1 : 0;
  Reading reading;
  Sight sight;
  const auto see_to = [&](std::int64_t position) {
    while (sight.spans.size() < starts.size() && starts[sight.spans.size()] + later <= position) {
      const auto picture = static_cast<std::int64_t>(sight.spans.size());
      sight.spans.push_back({picture, 0, pictures[sight.spans.size()]->tokens()});
    }
  };
  for (std::int64_t position = 0; position < length; ++position) {
    see_to(position);
    reading.add(sight);
  }
  see_to(length);
  reading.after = sight;
  for (const std::int64_t start : starts) reading.picture_turns.push_back(turn_of(config_.text, start + later));
  return reading;
}

class MplugOwl3::Blocks : public CrossBlocks {
 public:
  Blocks(const MplugOwl3& model, const CrossStep& step) : model_(&model) {
    for (std::size_t layer = 0; layer < model.layers_.size(); ++layer) {
      attend_.emplace_back(model.kind_, model.config_.text, step, static_cast<std::int64_t>(layer),
                           model.layers_[layer].gate);
    }
  }

  Tensor before(GraphBuilder& /*g*/, std::int64_t /*layer*/, Tensor x) override { return x; }

  Tensor attend(GraphBuilder& g, std::int64_t layer, Tensor queries, const text::Attend& own) override {
    const auto& hyper = model_->config_.hyper_layers;
    const auto found = std::find(hyper.begin(), hyper.end(), layer);
    if (found == hyper.end()) return own(g, queries);
    return attend_[static_cast<std::size_t>(found - hyper.begin())](g, queries, own);
  }

 private:
  const MplugOwl3* model_;
  std::vector<HyperAttend> attend_;
};

std::unique_ptr<CrossBlocks> MplugOwl3::blocks(const CrossStep& step, bool has_pictures) {
  if (!has_pictures) return nullptr;
  return std::make_unique<Blocks>(*this, step);
}

}  // namespace lutra::vision
