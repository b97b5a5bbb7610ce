#include "vision/config.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "text/config_fields.h"

namespace lutra::vision {
namespace {

using core::Error;
using core::Json;
using core::Result;
using dense::Activation;
using text::Fields;

constexpr std::int64_t most_width = 1 << 16;
constexpr std::int64_t most_layers = 1000;
constexpr std::int64_t most_pixels = 1 << 14;  // of a side
constexpr std::int64_t most_patches = 1 << 20;
/// What attention over a cache takes.
constexpr std::int64_t most_head_dim = 1024;

Activation activation_of(Fields& fields) {
  const std::string name = fields.text("hidden_act", "gelu");
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") return Activation::gelu_tanh;
  if (name == "quick_gelu") return Activation::quick_gelu;
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "relu") return Activation::relu;
  fields.fail("hidden_act", "is \"" + name + "\", which is not known");
  return Activation::none;
}

/// A list of whole numbers of 0 to `most`.
std::vector<std::int64_t> whole_list(Fields& fields, const char* name, std::int64_t most) {
  std::vector<std::int64_t> result;
  const Json* list = fields.list(name);
  if (list == nullptr || list->array()->size() > most_layers) {
    fields.fail(name, "is no list of numbers");
    return result;
  }
  for (const Json& item : *list->array()) {
    const auto value = item.whole();
    if (!value || *value < 0 || *value > most) {
      fields.fail(name, "holds what is no number between 0 and " + std::to_string(most));
      return {};
    }
    result.push_back(*value);
  }
  return result;
}

/// From 0 on, unlike Fields::whole.
std::int64_t count_of(Fields& fields, const Json& json, const char* name, std::int64_t most) {
  const Json* value = json.find(name);
  if (value == nullptr || value->is_null()) return 0;
  const auto number = value->whole();
  if (!number || *number < 0 || *number > most) {
    fields.fail(name, "is not between 0 and " + std::to_string(most));
    return 0;
  }
  return *number;
}

/// One number for both sides, or [height, width].
void read_size(Fields& fields, VitConfig& config) {
  const Json* list = fields.list("image_size");
  if (list == nullptr) {
    config.height = config.width = fields.whole("image_size", most_pixels);
  } else {
    const auto sides = whole_list(fields, "image_size", most_pixels);
    if (sides.size() != 2 || sides[0] < 1 || sides[1] < 1) {
      fields.fail("image_size", "is neither a number nor [height, width]");
      return;
    }
    config.height = sides[0];
    config.width = sides[1];
  }
  if (config.height < config.patch_size || config.width < config.patch_size) {
    fields.fail("image_size", "is smaller than patch_size");
  } else if (config.patches() > most_patches) {
    fields.fail("image_size", "makes more patches than a picture can have");
  }
}

void check_heads(Fields& fields, const char* name, std::int64_t width, std::int64_t heads) {
  if (width % heads != 0) fields.fail(name, "does not divide the width of " + std::to_string(width));
}

Result<VitConfig> read_vit(const Json& json) {
  Fields fields(json, "vision_config.");
  VitConfig config;
  config.hidden_size = fields.whole("hidden_size", most_width);
  config.intermediate_size = fields.whole("intermediate_size", 1 << 20);
  config.num_hidden_layers = fields.whole("num_hidden_layers", most_layers);
  config.num_attention_heads = fields.whole("num_attention_heads", 4096);
  config.patch_size = fields.whole("patch_size", 1024);
  config.hidden_act = activation_of(fields);
  config.layer_norm_eps = fields.number("layer_norm_eps", config.layer_norm_eps);
  if (!fields.problem.code.empty()) return fields.problem;
  check_heads(fields, "num_attention_heads", config.hidden_size, config.num_attention_heads);
  read_size(fields, config);
  const std::string position = fields.text("norm_position", "pre");
  config.is_post_norm = position == "post";
  if (position != "pre" && position != "post") fields.fail("norm_position", "is neither pre nor post");
  config.tapped_layers = whole_list(fields, "tapped_layers", config.num_hidden_layers);
  if (config.tapped_layers.empty()) fields.fail("tapped_layers", "names no layer");
  if (!fields.problem.code.empty()) return fields.problem;
  return config;
}

Result<EvlmCrossConfig> read_cross(const Json& json) {
  Fields fields(json, "cross_attention_config.");
  EvlmCrossConfig config;
  config.num_attention_heads = fields.whole("num_attention_heads", 4096);
  config.attention_width = fields.whole("attention_width", most_width);
  config.media_tokens = fields.whole("media_tokens", 4096);
  config.zero_vectors = count_of(fields, json, "zero_vectors", 1 << 20);
  config.hidden_act = activation_of(fields);
  config.num_experts = count_of(fields, json, "num_experts", 4096);
  if (config.num_experts == 0) {
    config.intermediate_size = fields.whole("intermediate_size", 1 << 20);
  } else {
    config.num_experts_per_token = fields.whole("num_experts_per_token", config.num_experts);
    config.expert_width = fields.whole("expert_width", 1 << 20);
    config.shared_expert_width = fields.whole("shared_expert_width", 1 << 20);
    config.normalize_top_k = fields.flag("normalize_top_k", true);
  }
  if (!fields.problem.code.empty()) return fields.problem;
  check_heads(fields, "num_attention_heads", config.attention_width, config.num_attention_heads);
  if (config.head_dim() > most_head_dim) fields.fail("attention_width", "makes heads wider than 1024");
  if (!fields.problem.code.empty()) return fields.problem;
  return config;
}

Result<Json> part_of(const Json& config, const char* name) {
  const Json* part = config.find(name);
  if (part == nullptr || part->object() == nullptr) return text::wrong_field(name, "is missing");
  return *part;
}

Result<std::int32_t> token_id(const Json& config, const char* name, std::int64_t vocab_size, std::int64_t otherwise) {
  const Json* value = config.find(name);
  const auto id = value == nullptr ? std::optional(otherwise) : value->whole();
  if (!id || *id < 0 || *id >= vocab_size) return text::wrong_field(name, "is no token of the model");
  return static_cast<std::int32_t>(*id);
}

/// What transformers' MllamaTextConfig takes for fields that a config leaves out.
text::Config mllama_text_defaults() {
  text::Config config;
  config.model_type = "mllama_text_model";
  config.vocab_size = 128'256;
  config.hidden_size = 4096;
  config.intermediate_size = 14'336;
  config.num_hidden_layers = 40;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 8;
  config.max_position_embeddings = 131'072;
  config.rms_norm_eps = 1e-5;
  config.rope_theta = 500'000;
  config.extra_embedding_rows = 8;
  return config;
}

/// Whether a version of transformers is older than 4.55.
bool is_before_outputs(const std::string& version) {
  char* end = nullptr;
  const long major = std::strtol(version.c_str(), &end, 10);
  if (end == version.c_str() || *end != '.') return false;
  const long minor = std::strtol(end + 1, nullptr, 10);
  return major < 4 || (major == 4 && minor < 55);
}

void read_aspect_ratios(Fields& fields, MllamaConfig& config) {
  if (!fields.has("supported_aspect_ratios")) {
    config.aspect_ratios = {{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 1}, {2, 2}, {3, 1}, {4, 1}};
  } else if (const Json* list = fields.list("supported_aspect_ratios"); list != nullptr) {
    for (const Json& pair : *list->array()) {
      const Json::Array* sides = pair.array();
      if (sides == nullptr || sides->size() != 2 || !(*sides)[0].whole() || !(*sides)[1].whole()) {
        fields.fail("supported_aspect_ratios", "is no list of pairs");
        return;
      }
      config.aspect_ratios.emplace_back(*(*sides)[0].whole(), *(*sides)[1].whole());
    }
  }
  const auto fits = [&](const auto& ratio) {
    const auto [high, wide] = ratio;
    return high >= 1 && wide >= 1 && high <= config.max_num_tiles && wide <= config.max_num_tiles &&
           high * wide <= config.max_num_tiles;
  };
  if (config.aspect_ratios.empty() || !std::all_of(config.aspect_ratios.begin(), config.aspect_ratios.end(), fits))
    fields.fail("supported_aspect_ratios", "does not fit max_num_tiles");
}

void read_tower(Fields& fields, MllamaConfig& config) {
  config.hidden_size = fields.whole("hidden_size", most_width, 1280);
  config.intermediate_size = fields.whole("intermediate_size", 1 << 20, 5120);
  config.num_hidden_layers = fields.whole("num_hidden_layers", most_layers, 32);
  config.num_global_layers = fields.whole("num_global_layers", most_layers, 8);
  config.attention_heads =
      fields.whole(fields.has("attention_heads") ? "attention_heads" : "num_attention_heads", 4096, 16);
  config.image_size = fields.whole("image_size", most_pixels, 448);
  config.patch_size = fields.whole("patch_size", 1024, 14);
  config.max_num_tiles = fields.whole("max_num_tiles", 64, 4);
  config.norm_eps = fields.number("norm_eps", config.norm_eps);
  config.hidden_act = activation_of(fields);
  if (fields.whole("num_channels", 1024, 3) != 3) fields.fail("num_channels", "is not 3");
  check_heads(fields, "attention_heads", config.hidden_size, config.attention_heads);
  if (config.image_size < config.patch_size) fields.fail("image_size", "is smaller than patch_size");
  if (config.image_size / config.patch_size > 1024)
    fields.fail("image_size", "makes more patches than a tile can have");
  read_aspect_ratios(fields, config);
  if (fields.has("intermediate_layers_indices"))
    config.taps = whole_list(fields, "intermediate_layers_indices", config.num_hidden_layers - 1);
  else
    config.taps = {3, 7, 15, 23, 30};
  for (const std::int64_t tap : config.taps) {
    if (tap >= config.num_hidden_layers) fields.fail("intermediate_layers_indices", "names a layer that is not there");
  }
  if (fields.whole("vision_output_dim", 1 << 24, 7680) != config.feature_width())
    fields.fail("vision_output_dim",
                "is not " + std::to_string(config.feature_width()) + ", the tower's width with its taps");
}

}  // namespace

const char* name_of(Family family) {
  switch (family) {
    case Family::evlm:
      return "evlm";
    case Family::mllama:
      return "mllama";
    case Family::mplugowl3:
      return "mplugowl3";
  }
  return "";
}

Result<Family> family_of(const Json& config) {
  const std::string type = Fields(config).text("model_type", "");
  for (const Family family : {Family::evlm, Family::mllama, Family::mplugowl3}) {
    if (type == name_of(family)) return family;
  }
  return Error{"not-supported", "Models of type \"" + type + "\" are not known as models that look.",
               "Known are evlm, mllama and mplugowl3.", "model_type"};
}

Result<EvlmConfig> EvlmConfig::read(const Json& json) {
  EvlmConfig config;
  const auto text_part = part_of(json, "text_config");
  if (!text_part) return text_part.error();
  const std::string type = Fields(*text_part).text("model_type", "");
  if (!text::Config::knows(type)) {
    return Error{"not-supported", "Text models of type \"" + type + "\" are not known here.",
                 "Known are llama, mistral, qwen2 and qwen3.", "text_config.model_type"};
  }
  auto text = text::Config::parse(*text_part, json, "text_config.", {});
  if (!text) return text.error();
  config.text = std::move(*text);
  const auto vision_part = part_of(json, "vision_config");
  if (!vision_part) return vision_part.error();
  auto vision = read_vit(*vision_part);
  if (!vision) return vision.error();
  config.vision = std::move(*vision);
  const auto cross_part = part_of(json, "cross_attention_config");
  if (!cross_part) return cross_part.error();
  auto cross = read_cross(*cross_part);
  if (!cross) return cross.error();
  config.cross = *cross;
  const auto media = token_id(json, "media_token_id", config.text.vocab_size, -1);
  if (!media) return media.error();
  config.media_token_id = *media;
  return config;
}

Result<MllamaConfig> MllamaConfig::read(const Json& json) {
  MllamaConfig config;
  const auto text_part = part_of(json, "text_config");
  if (!text_part) return text_part.error();
  auto text = text::Config::parse(*text_part, json, "text_config.", mllama_text_defaults());
  if (!text) return text.error();
  config.text = std::move(*text);
  Fields text_fields(*text_part, "text_config.");
  std::vector<std::int64_t> cross = {3, 8, 13, 18, 23, 28, 33, 38};
  if (text_fields.has("cross_attention_layers"))
    cross = whole_list(text_fields, "cross_attention_layers", config.text.num_hidden_layers - 1);
  std::sort(cross.begin(), cross.end());
  cross.erase(std::unique(cross.begin(), cross.end()), cross.end());
  if (!cross.empty() && cross.back() >= config.text.num_hidden_layers)
    text_fields.fail("cross_attention_layers", "names a layer that is not there");
  if (!text_fields.problem.code.empty()) return text_fields.problem;
  for (std::int64_t layer = 0; layer < config.text.num_hidden_layers; ++layer) {
    const bool is_cross = std::binary_search(cross.begin(), cross.end(), layer);
    (is_cross ? config.cross_layers : config.self_layers).push_back(layer);
  }
  if (config.cross_layers.empty()) return text::wrong_field("text_config.cross_attention_layers", "names no layer");
  if (config.self_layers.empty())
    return text::wrong_field("text_config.cross_attention_layers", "leaves no other layer");
  config.text.num_hidden_layers = static_cast<std::int64_t>(config.self_layers.size());

  const auto vision_part = part_of(json, "vision_config");
  if (!vision_part) return vision_part.error();
  Fields fields(*vision_part, "vision_config.");
  read_tower(fields, config);
  if (!fields.problem.code.empty()) return fields.problem;
  const char* image = json.find("image_token_id") != nullptr ? "image_token_id" : "image_token_index";
  const auto id = token_id(json, image, config.text.input_vocab_size(), 128'256);
  if (!id) return id.error();
  config.image_token_id = *id;
  config.taps_are_inputs = is_before_outputs(Fields(json).text("transformers_version", ""));
  return config;
}

}  // namespace lutra::vision
