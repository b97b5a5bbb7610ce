#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/mapped_file.h"
#include "text/config_fields.h"
#include "vision/config.h"

namespace lutra::vision {
namespace {

using core::Error;
using core::Json;
using core::Result;
using text::Fields;

constexpr const char* image_token = "<|image|>";

/// What configuration_mplugowl3.py takes for SigLIP's fields that a config leaves out.
Result<VitConfig> read_siglip(const Json& json) {
  static const Json empty{Json::Object{}};
  const Json* part = json.find("vision_config");
  Fields fields(part != nullptr && part->object() != nullptr ? *part : empty, "vision_config.");
  VitConfig config;
  config.hidden_size = fields.whole("hidden_size", 1 << 16, 1152);
  config.intermediate_size = fields.whole("intermediate_size", 1 << 20, 4304);
  config.num_hidden_layers = fields.whole("num_hidden_layers", 1000, 27);
  config.num_attention_heads = fields.whole("num_attention_heads", 4096, 16);
  config.height = config.width = fields.whole("image_size", 1 << 14, 384);
  config.patch_size = fields.whole("patch_size", 1024, 14);
  config.layer_norm_eps = fields.number("layer_norm_eps", 1e-6);
  const std::string act = fields.text("hidden_act", "gelu_pytorch_tanh");
  if (act == "gelu")
    config.hidden_act = dense::Activation::gelu;
  else if (act == "gelu_pytorch_tanh" || act == "gelu_new" || act == "gelu_fast")
    config.hidden_act = dense::Activation::gelu_tanh;
  else
    fields.fail("hidden_act", "is \"" + act + "\", which is not known");
  if (config.hidden_size % config.num_attention_heads != 0)
    fields.fail("num_attention_heads", "does not divide the width of " + std::to_string(config.hidden_size));
  if (config.height < config.patch_size) fields.fail("image_size", "is smaller than patch_size");
  if (config.height / config.patch_size > 1024) fields.fail("image_size", "makes more patches than a picture can have");
  if (!fields.problem.code.empty()) return fields.problem;
  return config;
}

/// A file of the tokenizer, or nothing where it is not there or no JSON: the tokenizer's own reader will say.
Json json_or_null(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::exists(std::filesystem::path(reinterpret_cast<const char8_t*>(path.c_str())), code)) return {};
  const auto file = core::MappedFile::open(path);
  constexpr std::size_t most = 100'000'000;
  if (!file || file->bytes().size() > most) return {};
  auto json = core::parse_json({reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}, path);
  return json ? std::move(*json) : Json();
}

bool is_image(const Json& token) {
  const Json* content = token.find("content");
  return content != nullptr && content->string() != nullptr && *content->string() == image_token;
}

/// As the tokenizer's files have it, small ones first; -1 where none does.
std::int64_t id_in(const std::string& folder) {
  const Json added = json_or_null(folder + "/added_tokens.json");
  if (const Json* id = added.find(image_token); id != nullptr && id->whole()) return *id->whole();
  const Json settings = json_or_null(folder + "/tokenizer_config.json");
  if (const Json* decoder = settings.find("added_tokens_decoder"); decoder != nullptr && decoder->object() != nullptr) {
    for (const auto& [id, token] : *decoder->object()) {
      if (is_image(token)) return std::strtoll(id.c_str(), nullptr, 10);
    }
  }
  const Json tokenizer = json_or_null(folder + "/tokenizer.json");
  if (const Json* tokens = tokenizer.find("added_tokens"); tokens != nullptr && tokens->array() != nullptr) {
    for (const Json& token : *tokens->array()) {
      const Json* id = token.find("id");
      if (is_image(token) && id != nullptr && id->whole()) return *id->whole();
    }
  }
  return -1;
}

}  // namespace

Result<MplugOwl3Config> MplugOwl3Config::read(const Json& json, const std::string& folder) {
  MplugOwl3Config config;
  auto text = text::Config::parse(json, json, "", {});
  if (!text) return text.error();
  config.text = std::move(*text);
  config.text.model_type = "qwen2";
  auto vision = read_siglip(json);
  if (!vision) return vision.error();
  config.vision = std::move(*vision);
  Fields fields(json);
  if (fields.flag("use_sliding_window", false)) {
    return Error{"not-supported", "config.json: \"use_sliding_window\" is true, which is not known with pictures.", "",
                 "use_sliding_window"};
  }
  const Json* layers = fields.list("hyper_layers");
  if (layers == nullptr || layers->array()->empty()) return text::wrong_field("hyper_layers", "names no layer");
  for (const Json& layer : *layers->array()) {
    const auto number = layer.whole();
    if (!number || *number < 1 || *number > config.text.num_hidden_layers)
      return text::wrong_field("hyper_layers", "names a layer that is not there");
    config.hyper_layers.push_back(*number - 1);
  }
  std::sort(config.hyper_layers.begin(), config.hyper_layers.end());
  config.hyper_layers.erase(std::unique(config.hyper_layers.begin(), config.hyper_layers.end()),
                            config.hyper_layers.end());
  const Json* own = json.find("image_token_id");
  const std::int64_t id = own != nullptr && own->whole() ? *own->whole() : id_in(folder);
  if (id >= config.text.vocab_size)
    return text::wrong_field("vocab_size", "has no place for the tokenizer's <|image|>");
  config.image_token_id = static_cast<std::int32_t>(id);
  return config;
}

}  // namespace lutra::vision
