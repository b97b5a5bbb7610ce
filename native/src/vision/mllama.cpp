#include "vision/mllama.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/error.h"

namespace lutra::vision {

using graph::GraphBuilder;
using graph::GraphError;
using graph::Tensor;

namespace {

float gate(text::WeightReader& reader, const std::string& name) {
  return std::tanh(reader.floats(name, std::array<std::int64_t, 1>{1}).front());
}

void scale(std::vector<float>& values, float factor) {
  for (float& value : values) value *= factor;
}

/// transformers has renamed its modules; both kinds of names are on disk.
struct Names {
  std::string vision = "vision_model.";
  std::string projector = "multi_modal_projector";
  std::string model = "language_model.model.";
  std::string head = "language_model.lm_head";
};

Names names_in(const core::Safetensors& file) {
  if (file.find("model.vision_model.class_embedding") == nullptr) return {};
  return {"model.vision_model.", "model.multi_modal_projector", "model.language_model.", "lm_head"};
}

/// transformers' LayerNorms outside of the blocks keep PyTorch's default.
constexpr double outer_eps = 1e-5;

}  // namespace

Mllama::Mllama(const std::string& folder, MllamaConfig config, const core::Safetensors& file,
               const graph::Compute& compute, lut::Precision precision, const core::Progress& progress)
    : config_(std::move(config)),
      compute_(&compute),
      vectors_(compute, 2 * config_.cross_layers.size() + 1),
      transformer_(compute, config_.attention_heads),
      global_transformer_(compute, config_.attention_heads),
      shape_{config_.text.num_attention_heads, config_.text.num_key_value_heads, config_.text.head_dim, 0} {
  text::WeightReader reader(file, folder, config_.text, precision, static_cast<std::size_t>(compute.n_threads()),
                            progress);
  const Names names = names_in(file);
  read_tower(reader, names.vision);
  projector_.emplace(reader, std::vector<Linear::Part>{{names.projector, config_.text.hidden_size}},
                     config_.feature_width());
  std::vector<std::pair<std::string, std::int64_t>> norms;
  for (const std::int64_t layer : config_.cross_layers) {
    const std::string name = names.model + "layers." + std::to_string(layer) + ".";
    norms.emplace_back(name + "input_layernorm", config_.text.hidden_size);
    norms.emplace_back(name + "post_attention_layernorm", config_.text.hidden_size);
  }
  vectors_.read(reader, norms);
  for (const std::int64_t layer : config_.cross_layers)
    layers_.push_back(cross_layer(reader, names.model + "layers." + std::to_string(layer) + ".", layer));
  const core::Progress rest(progress.stop_token(), [&](std::uint64_t done, std::uint64_t total) {
    progress.tell(std::min(reader.done_bytes() + done, total), total);
  });
  text_ = text::Llama::load({config_.text, file, folder, names.model, names.head, config_.self_layers}, compute,
                            precision, rest);
  weight_bytes_ = text_->weight_bytes() + reader.weight_bytes() + transformer_.size_bytes() +
                  global_transformer_.size_bytes() + projector_->size_bytes();
}

void Mllama::read_tower(text::WeightReader& reader, const std::string& name) {
  const std::int64_t width = config_.hidden_size;
  const std::int64_t tokens = config_.tokens_per_tile();
  const std::int64_t tiles = config_.max_num_tiles;
  const auto ids = static_cast<std::int64_t>(config_.aspect_ratios.size()) + 1;
  patch_embedding_.emplace(reader, name + "patch_embedding", width, config_.patch_size);
  class_embedding_ = reader.floats(name + "class_embedding", std::array{width});
  const std::string positions = name + "gated_positional_embedding.";
  const float position_gate = gate(reader, positions + "gate");
  position_embedding_ = reader.floats(positions + "embedding", std::array{tokens, width});
  scale(position_embedding_, 1 - position_gate);
  tile_embedding_ = reader.floats(positions + "tile_embedding.weight", std::array{ids, tiles * tokens * width});
  scale(tile_embedding_, position_gate);
  const auto per_tile = [&](const std::string& own) {
    const float own_gate = gate(reader, own + "gate");
    auto values = reader.floats(own + "embedding.weight", std::array{ids, tiles * width});
    scale(values, own_gate);
    return values;
  };
  pre_tile_ = per_tile(name + "pre_tile_positional_embedding.");
  post_tile_ = per_tile(name + "post_tile_positional_embedding.");
  layernorm_pre_.emplace(layer_norm(reader, name + "layernorm_pre", width, outer_eps));
  layernorm_post_.emplace(layer_norm(reader, name + "layernorm_post", width, outer_eps));
  for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    transformer_.blocks.push_back(vision_block(reader, name + "transformer.layers." + std::to_string(i) + ".", false));
  }
  for (std::int64_t i = 0; i < config_.num_global_layers; ++i) {
    global_transformer_.blocks.push_back(
        vision_block(reader, name + "global_transformer.layers." + std::to_string(i) + ".", true));
  }
}

VisionBlock Mllama::vision_block(text::WeightReader& reader, const std::string& name, bool is_gated) const {
  auto block = read_block(reader, name,
                          {"input_layernorm", "self_attn.", "self_attn.o_proj", "post_attention_layernorm"},
                          {config_.hidden_size, config_.intermediate_size, config_.norm_eps, config_.hidden_act});
  if (is_gated) {
    block.attention_scale = gate(reader, name + "gate_attn");
    block.mlp_scale = gate(reader, name + "gate_ffn");
  }
  return block;
}

Mllama::CrossLayer Mllama::cross_layer(text::WeightReader& reader, const std::string& name, std::int64_t number) {
  const text::Config& text = config_.text;
  const std::int64_t hidden = text.hidden_size;
  const std::int64_t queries = text.num_attention_heads * text.head_dim;
  const std::int64_t keys = text.num_key_value_heads * text.head_dim;
  const std::string attention = name + "cross_attn.";
  const auto before =
      std::lower_bound(config_.self_layers.begin(), config_.self_layers.end(), number) - config_.self_layers.begin();
  auto q = projection_of(reader, attention + "q_proj", queries, hidden);
  Linear kv(reader, {{attention + "k_proj", keys}, {attention + "v_proj", keys}}, hidden);
  auto o = projection_of(reader, attention + "o_proj", hidden, queries);
  auto q_norm = reader.floats(attention + "q_norm.weight", std::array{text.head_dim});
  auto k_norm = reader.floats(attention + "k_norm.weight", std::array{text.head_dim});
  std::vector<text::Projections::Part> gate_up;
  gate_up.push_back(reader.part(name + "mlp.gate_proj", text.intermediate_size, hidden, nullptr));
  gate_up.push_back(reader.part(name + "mlp.up_proj", text.intermediate_size, hidden, nullptr));
  auto down = projection_of(reader, name + "mlp.down_proj", hidden, text.intermediate_size);
  const float attn_gate = gate(reader, name + "cross_attn_attn_gate");
  const float mlp_gate = gate(reader, name + "cross_attn_mlp_gate");
  return {before,
          vectors_.norm(name + "input_layernorm", text.rms_norm_eps),
          std::move(q),
          std::move(kv),
          std::move(o),
          std::move(q_norm),
          std::move(k_norm),
          attn_gate,
          vectors_.norm(name + "post_attention_layernorm", text.rms_norm_eps),
          {std::move(gate_up), reader.precision()},
          std::move(down),
          mlp_gate};
}

std::vector<float> Mllama::embed(const Pixels& pixels, const core::Progress& progress) const {
  const std::int64_t side = config_.image_size;
  const std::int64_t width = config_.hidden_size;
  const std::int64_t tokens = config_.tokens_per_tile();
  const auto tile_pixels = static_cast<std::size_t>(3 * side * side);
  std::vector<float> x(static_cast<std::size_t>(config_.max_num_tiles * config_.padded_tokens() * width), 0.0F);
  std::vector<float> sum(static_cast<std::size_t>(width));
  for (std::int64_t tile = 0; tile < config_.max_num_tiles; ++tile) {
    const auto own = std::span(pixels.values).subspan(static_cast<std::size_t>(tile) * tile_pixels, tile_pixels);
    const auto patches = (*patch_embedding_)(*compute_, own, side, side, progress);
    const std::int64_t place = pixels.aspect_ratio_id * config_.max_num_tiles + tile;
    const float* pre = pre_tile_.data() + place * width;
    const float* tile_position = tile_embedding_.data() + place * tokens * width;
    for (std::int64_t token = 0; token < tokens; ++token) {
      const float* from = token == 0 ? class_embedding_.data() : patches.data() + (token - 1) * width;
      for (std::int64_t i = 0; i < width; ++i) {
        sum[static_cast<std::size_t>(i)] = from[i] + (token == 0 ? 0.0F : pre[i]) +
                                           position_embedding_[static_cast<std::size_t>(token * width + i)] +
                                           tile_position[token * width + i];
      }
      layernorm_pre_->apply(sum.data(), x.data() + (tile * config_.padded_tokens() + token) * width);
    }
  }
  return x;
}

Features Mllama::look(const Pixels& pixels, const core::Progress& progress) {
  const std::int64_t tiles = config_.max_num_tiles;
  const std::int64_t width = config_.hidden_size;
  const std::int64_t tokens = config_.tokens_per_tile();
  const std::int64_t padded = config_.padded_tokens();
  if (pixels.shape != std::vector<std::int64_t>{tiles, 3, config_.image_size, config_.image_size}) {
    throw GraphError("bad-input",
                     "This model takes pictures of " + std::to_string(tiles) + " x 3 x " +
                         std::to_string(config_.image_size) + " x " + std::to_string(config_.image_size) + " values.",
                     "", "pixel_values");
  }
  if (pixels.aspect_ratio_id < 0 || pixels.aspect_ratio_id > static_cast<std::int32_t>(config_.aspect_ratios.size()))
    throw GraphError("bad-input", "There is no such aspect ratio.", "", "aspect_ratio_ids");
  if (static_cast<std::int64_t>(pixels.tiles.size()) != tiles)
    throw GraphError("bad-input", "Every tile must be said to be there or not.", "", "aspect_ratio_mask");

  // What stands for something comes first, and then what only fills up: the latter does not see the likes of it.
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> fill;
  for (std::int64_t at = 0; at < tiles * padded; ++at) {
    const bool is_real = pixels.tiles[static_cast<std::size_t>(at / padded)] && at % padded < tokens;
    (is_real ? order : fill).push_back(at);
  }
  const auto real = static_cast<std::int64_t>(order.size());
  order.insert(order.end(), fill.begin(), fill.end());
  const auto row = static_cast<std::size_t>(width);
  const auto ordered = [&](const std::vector<float>& x) {
    std::vector<float> result(x.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      std::copy_n(x.begin() + order[i] * width, row, result.begin() + static_cast<std::ptrdiff_t>(i * row));
    return result;
  };
  const dense::ShortSight sight{real, real};
  const bool is_empty = real == 0;

  Features features{1, tiles * tokens, config_.feature_width(), 0, {}};
  // Empty tiles come last, so what is real is a beginning.
  while (features.real_tokens < tiles * tokens && pixels.tiles[static_cast<std::size_t>(features.real_tokens / tokens)])
    features.real_tokens += tokens;
  features.values.resize(static_cast<std::size_t>(features.tokens * features.width));
  // Column `first`, and every `step`-th after it, of each token's features.
  const auto put = [&](const std::vector<float>& x, std::int64_t first, std::int64_t step) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::int64_t tile = order[i] / padded;
      const std::int64_t token = order[i] % padded;
      if (token >= tokens) continue;
      float* target = features.values.data() + (tile * tokens + token) * features.width + first;
      for (std::int64_t d = 0; d < width; ++d) target[d * step] = x[i * row + static_cast<std::size_t>(d)];
    }
  };
  const auto taps = static_cast<std::int64_t>(config_.taps.size());
  const auto blocks = static_cast<std::uint64_t>(config_.num_hidden_layers + config_.num_global_layers);
  auto x = transformer_(ordered(embed(pixels, progress)), width, config_.num_hidden_layers,
                        is_empty ? std::nullopt : std::optional(sight), is_empty, progress,
                        [&](std::int64_t done, const std::vector<float>& state) {
                          for (std::int64_t tap = 0; tap < taps; ++tap) {
                            const std::int64_t wanted = config_.taps[static_cast<std::size_t>(tap)];
                            if (done == (config_.taps_are_inputs ? wanted : wanted + 1)) put(state, width + tap, taps);
                          }
                          progress.tell(static_cast<std::uint64_t>(done), blocks);
                        });
  std::vector<float> normed(row);
  for (std::size_t i = 0; i < order.size(); ++i) {
    float* token = x.data() + i * row;
    layernorm_post_->apply(token, normed.data());
    const float* post = post_tile_.data() + (pixels.aspect_ratio_id * tiles + order[i] / padded) * width;
    for (std::size_t d = 0; d < row; ++d) token[d] = normed[d] + post[d];
  }
  x = global_transformer_(std::move(x), width, config_.num_global_layers,
                          is_empty ? std::nullopt : std::optional(sight), is_empty, progress,
                          [&](std::int64_t done, const std::vector<float>&) {
                            progress.tell(static_cast<std::uint64_t>(config_.num_hidden_layers + done), blocks);
                          });
  put(x, 0, 1);
  return features;
}

std::vector<float> Mllama::projected(const Features& features, const core::Progress& progress) {
  return apply(*compute_, features.values, features.width, progress,
               [&](GraphBuilder& g, Tensor x) { return projector_->one(g, x); });
}

std::shared_ptr<PictureKeys> Mllama::keys_of(const Features& features, text::CacheType type,
                                             const core::Progress& progress) {
  const text::CacheShape cache{type, shape_.n_kv_heads, shape_.head_dim};
  auto keys =
      std::make_shared<PictureKeys>(cache, static_cast<std::int64_t>(config_.cross_layers.size()), features.tokens);
  keys->set_real_tokens(features.real_tokens);
  const auto states = projected(features, progress);
  const KeysTarget target{keys.get(), 0};
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    const StorePicture store(shape_, target, static_cast<std::int64_t>(layer), layers_[layer].k_norm,
                             config_.text.rms_norm_eps);
    static_cast<void>(apply(*compute_, states, config_.text.hidden_size, progress, [&](GraphBuilder& g, Tensor x) {
      const auto kv = layers_[layer].kv_proj(g, x);
      return store(g, kv[0], kv[1]);
    }));
  }
  return keys;
}

Sight Mllama::open_sight(const Pictures& pictures) const {
  Sight all;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    all.spans.push_back({static_cast<std::int64_t>(i), 0, pictures[i]->tokens()});
  return all;
}

Sight Mllama::nothing_seen(const Pictures& pictures) const {
  Sight sight = hidden_rows_ == HiddenRows::attend ? open_sight(pictures) : Sight{};
  sight.has_feed_forward = false;
  return sight;
}

Sight Mllama::sight_of(std::span<const float> row, const Pictures& pictures) const {
  const std::int64_t tokens = config_.tokens_per_tile();
  Sight sight;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] == 0) continue;
    const auto picture = static_cast<std::int64_t>(i) / config_.max_num_tiles;
    const std::int64_t first = static_cast<std::int64_t>(i) % config_.max_num_tiles * tokens;
    Sight::Span* last = sight.spans.empty() ? nullptr : &sight.spans.back();
    if (last != nullptr && last->picture == picture && last->end == first)
      last->end += tokens;
    else
      sight.spans.push_back({picture, first, first + tokens});
  }
  return sight.spans.empty() ? nothing_seen(pictures) : sight;
}

Reading Mllama::read(std::span<const std::int32_t> ids, const Pictures& pictures) const {
  const auto places = std::count(ids.begin(), ids.end(), config_.image_token_id);
  if (places != static_cast<std::int64_t>(pictures.size())) {
    throw GraphError("bad-input",
                     "The text has " + std::to_string(places) + " places for pictures; " +
                         std::to_string(pictures.size()) + " are given.",
                     "", "pictures");
  }
  Reading reading;
  // A picture is seen from its place to the next one's; those side by side are seen together from each one's place on.
  Sight seen = nothing_seen(pictures);
  bool was_picture = false;
  std::int64_t next = 0;
  for (const std::int32_t id : ids) {
    const bool is_picture = id == config_.image_token_id;
    if (is_picture) {
      if (!was_picture) seen = {};
      seen.spans.push_back({next, 0, pictures[static_cast<std::size_t>(next)]->real_tokens()});
      ++next;
    }
    was_picture = is_picture;
    reading.add(seen);
  }
  reading.after = seen;
  return reading;
}

class Mllama::Blocks : public CrossBlocks {
 public:
  Blocks(Mllama& model, const CrossStep& step) : model_(&model) {
    for (std::size_t layer = 0; layer < model.layers_.size(); ++layer) {
      CrossLayer& cross = model.layers_[layer];
      attend_.emplace_back(model.shape_, step, static_cast<std::int64_t>(layer), cross.q_norm,
                           model.config_.text.rms_norm_eps);
      add_attention_.emplace_back(cross.attn_gate);
      add_mlp_.emplace_back(cross.mlp_gate, &step);
    }
  }

  Tensor before(GraphBuilder& g, std::int64_t layer, Tensor x) override {
    for (std::size_t i = 0; i < model_->layers_.size(); ++i) {
      CrossLayer& cross = model_->layers_[i];
      if (cross.before != layer) continue;
      Tensor q = ggml_cont(g, cross.q_proj(g, x, &cross.input_layernorm).front());
      x = add_attention_[i](g, x, cross.o_proj(g, attend_[i](g, q), nullptr).front());
      Tensor inner = cross.gate_up_proj.gated(g, x, cross.post_attention_layernorm);
      x = add_mlp_[i](g, x, cross.down_proj(g, inner, nullptr).front());
    }
    return x;
  }

 private:
  Mllama* model_;
  std::vector<CrossAttend> attend_;
  std::vector<GatedAdd> add_attention_;
  std::vector<GatedAdd> add_mlp_;
};

std::unique_ptr<CrossBlocks> Mllama::blocks(const CrossStep& step, bool has_pictures) {
  if (!has_pictures) return nullptr;
  return std::make_unique<Blocks>(*this, step);
}

}  // namespace lutra::vision
