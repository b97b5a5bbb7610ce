#include "audio/config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "core/mapped_file.h"

namespace lutra::audio {
namespace {

using core::Error;
using core::Json;
using core::Result;

Result<Json> read_json(const std::string& path) {
  const auto file = core::MappedFile::open(path);
  if (!file) return file.error();
  constexpr std::size_t most = 20'000'000;
  if (file->bytes().size() > most) return core::bad_file(path, "it is too large");
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  return core::parse_json(text, path);
}

/// Walks into a JSON file and keeps the first thing that is wrong.
class Fields {
 public:
  explicit Fields(std::string file) : file_(std::move(file)) {}

  /// Null where a step of the way is missing.
  static const Json* at(const Json& json, std::initializer_list<const char*> way) {
    const Json* here = &json;
    for (const char* name : way) {
      here = here->find(name);
      if (here == nullptr || here->is_null()) return nullptr;
    }
    return here;
  }
  std::int64_t whole(const Json& json, std::initializer_list<const char*> way, std::int64_t most,
                     std::int64_t otherwise = 0) {
    const Json* value = at(json, way);
    if (value == nullptr) {
      if (otherwise == 0) fail(way, "is missing");
      return std::max<std::int64_t>(otherwise, 1);
    }
    const auto number = value->whole();
    if (!number || *number < 1 || *number > most) {
      fail(way, "is not between 1 and " + std::to_string(most));
      return 1;
    }
    return *number;
  }
  double number(const Json& json, std::initializer_list<const char*> way, double otherwise) {
    const Json* value = at(json, way);
    if (value == nullptr) return otherwise;
    const auto found = value->number();
    if (!found || !std::isfinite(*found)) fail(way, "is no number");
    return found.value_or(otherwise);
  }
  static std::string text(const Json& json, std::initializer_list<const char*> way, std::string otherwise) {
    const Json* value = at(json, way);
    return value != nullptr && value->string() != nullptr ? *value->string() : std::move(otherwise);
  }
  std::vector<std::int64_t> wholes(const Json& json, std::initializer_list<const char*> way) {
    const Json* value = at(json, way);
    std::vector<std::int64_t> result;
    if (value == nullptr || value->array() == nullptr || value->array()->empty()) {
      fail(way, "is no list of whole numbers");
      return {1};
    }
    constexpr std::int64_t most = 64;
    for (const Json& item : *value->array()) {
      const std::int64_t one = item.whole().value_or(0);
      if (one < 1 || one > most || result.size() == static_cast<std::size_t>(most)) {
        fail(way, "holds what is not between 1 and " + std::to_string(most));
        return {1};
      }
      result.push_back(one);
    }
    return result;
  }
  std::vector<std::string> names(const Json& json, std::initializer_list<const char*> way) {
    const Json* value = at(json, way);
    std::vector<std::string> result;
    if (value == nullptr) return result;
    if (value->array() == nullptr) fail(way, "is no list of names");
    for (const Json& item : value->array() == nullptr ? Json::Array{} : *value->array()) {
      if (item.string() == nullptr)
        fail(way, "is no list of names");
      else
        result.push_back(*item.string());
    }
    return result;
  }
  void fail(std::initializer_list<const char*> way, const std::string& what) {
    std::string field;
    for (const char* name : way) field += (field.empty() ? "" : ".") + std::string(name);
    fail(field, what);
  }
  void fail(const std::string& field, const std::string& what) {
    if (!problem.code.empty()) return;
    problem = Error{"bad-file", file_ + ": \"" + field + "\" " + what + ".", "Get the model's files again.", field};
  }

  Error problem;

 private:
  std::string file_;
};

constexpr std::int64_t most_width = 1 << 20;
constexpr std::int64_t most_layers = 1000;
constexpr std::int64_t most_rate = 768'000;
constexpr std::int64_t most_window = std::int64_t{1} << 31;
constexpr std::int64_t most_tokens = 4096;

/// What must hold whatever the layout.
core::Status check(const Config& config, Fields& fields) {
  if (!fields.problem.code.empty()) return fields.problem;
  constexpr std::int64_t most_hop = 1 << 20;
  if (config.vae.hop() > most_hop) fields.fail("strides", "give more than a million samples per latent frame");
  if (config.most_latents() < 1) fields.fail("sample_size", "is shorter than one latent frame");
  const auto is_known = [&](const std::string& id) {
    return id == "prompt" || std::any_of(config.numbers.begin(), config.numbers.end(),
                                         [&](const NumberConditioner& number) { return number.id == id; });
  };
  for (const auto& id : config.cross_ids) {
    if (!is_known(id)) fields.fail("cross_attention_cond_ids", "names \"" + id + "\", which has no conditioner");
  }
  for (const auto& id : config.global_ids) {
    if (!is_known(id) || id == "prompt") fields.fail("global_cond_ids", "names \"" + id + "\", which is no number");
  }
  if (std::find(config.cross_ids.begin(), config.cross_ids.end(), "prompt") == config.cross_ids.end())
    fields.fail("cross_attention_cond_ids", "does not name the prompt");
  if (!fields.problem.code.empty()) return fields.problem;
  return core::success();
}

Error not_supported(const std::string& path, const std::string& what) {
  return Error{"not-supported", path + ": " + what + ".", "A newer Lutra may know it.", path};
}

}  // namespace

std::int64_t VaeConfig::hop() const {
  std::int64_t product = 1;
  for (const std::int64_t stride : strides) product *= stride;
  return product;
}

Result<Config> Config::read_single(const std::string& path) {
  const auto json = read_json(path);
  if (!json) return json.error();
  Fields fields("model_config.json");
  Config config;
  const std::string kind = Fields::text(*json, {"model_type"}, "");
  if (kind != "diffusion_cond" && kind != "diffusion_cond_inpaint")
    return not_supported(path, "models of type \"" + kind + "\" are not known here");
  if (kind == "diffusion_cond_inpaint")
    return not_supported(path, "models with inputs of their own for inpainting are not known here");
  const std::string objective = Fields::text(*json, {"model", "diffusion", "diffusion_objective"}, "v");
  if (objective == "rectified_flow" || objective == "rf_denoiser")
    config.objective = Objective::rectified_flow;
  else if (objective != "v")
    return not_supported(path, "the objective \"" + objective + "\" is not known here");
  for (const auto& way : {std::initializer_list<const char*>{"model", "diffusion", "type"},
                          std::initializer_list<const char*>{"model", "pretransform", "config", "decoder", "type"}}) {
    const std::string type = Fields::text(*json, way, "");
    if (type != "dit" && type != "oobleck")
      return not_supported(path, "a part of type \"" + type + "\" is not known here");
  }
  config.sample_rate = fields.whole(*json, {"sample_rate"}, most_rate);
  config.sample_size = fields.whole(*json, {"sample_size"}, most_window);
  config.audio_channels = fields.whole(*json, {"audio_channels"}, 64, 2);
  config.dit.num_heads = fields.whole(*json, {"model", "diffusion", "config", "num_heads"}, most_width);
  const auto transformer =
      Fields::text(*json, {"model", "diffusion", "config", "transformer_type"}, "continuous_transformer");
  if (transformer != "continuous_transformer")
    return not_supported(path, "a transformer of type \"" + transformer + "\" is not known here");
  const auto global_type = Fields::text(*json, {"model", "diffusion", "config", "global_cond_type"}, "prepend");
  if (global_type != "prepend")
    return not_supported(path, "global conditioning by \"" + global_type + "\" is not known here");
  config.vae.strides = fields.wholes(*json, {"model", "pretransform", "config", "decoder", "config", "strides"});
  config.cross_ids = fields.names(*json, {"model", "diffusion", "cross_attention_cond_ids"});
  config.global_ids = fields.names(*json, {"model", "diffusion", "global_cond_ids"});
  const Json* conditioners = Fields::at(*json, {"model", "conditioning", "configs"});
  if (conditioners == nullptr || conditioners->array() == nullptr) {
    fields.fail("model.conditioning.configs", "is missing");
    return fields.problem;
  }
  for (const Json& one : *conditioners->array()) {
    const std::string type = Fields::text(one, {"type"}, "");
    const std::string id = Fields::text(one, {"id"}, "");
    if (type == "number") {
      config.numbers.push_back(
          {id, fields.number(one, {"config", "min_val"}, 0), fields.number(one, {"config", "max_val"}, 1)});
      if (!(config.numbers.back().minimum < config.numbers.back().maximum)) fields.fail(id, "has no range");
    } else if (type == "t5" && id == "prompt") {
      config.prompt_length = fields.whole(one, {"config", "max_length"}, most_tokens, 128);
    } else {
      return not_supported(path, "a conditioner of type \"" + type + "\" is not known here");
    }
  }
  if (const auto status = check(config, fields); !status) return status.error();
  return config;
}

Result<Config> Config::read_diffusers(const std::string& folder) {
  const auto transformer = read_json(folder + "/transformer/config.json");
  if (!transformer) return transformer.error();
  const auto vae = read_json(folder + "/vae/config.json");
  if (!vae) return vae.error();
  const auto projection = read_json(folder + "/projection_model/config.json");
  if (!projection) return projection.error();
  Config config;
  Fields fields("transformer/config.json");
  config.dit.num_heads = fields.whole(*transformer, {"num_attention_heads"}, most_width);
  const std::int64_t window = fields.whole(*transformer, {"sample_size"}, most_window);
  if (!fields.problem.code.empty()) return fields.problem;
  fields = Fields("vae/config.json");
  config.sample_rate = fields.whole(*vae, {"sampling_rate"}, most_rate);
  config.audio_channels = fields.whole(*vae, {"audio_channels"}, 64, 2);
  config.vae.strides = fields.wholes(*vae, {"downsampling_ratios"});
  if (!fields.problem.code.empty()) return fields.problem;
  config.sample_size = window * config.vae.hop();
  fields = Fields("projection_model/config.json");
  const double least = fields.number(*projection, {"min_value"}, 0);
  const double most = fields.number(*projection, {"max_value"}, 512);
  if (!(least < most)) fields.fail("max_value", "is not above min_value");
  config.numbers = {{"seconds_start", least, most}, {"seconds_total", least, most}};
  config.cross_ids = {"prompt", "seconds_start", "seconds_total"};
  config.global_ids = {"seconds_start", "seconds_total"};
  if (const auto tokenizer = read_json(folder + "/tokenizer/tokenizer_config.json")) {
    constexpr std::int64_t endless = 100'000;  // transformers writes 1e30 where there is no limit
    const Json* length = tokenizer->find("model_max_length");
    const double stated = length == nullptr ? 0 : length->number().value_or(0);
    if (stated >= 1 && stated < static_cast<double>(endless)) config.prompt_length = static_cast<std::int64_t>(stated);
  }
  if (const auto status = check(config, fields); !status) return status.error();
  return config;
}

Result<T5Config> T5Config::read(const std::string& folder) {
  const auto json = read_json(folder + "/config.json");
  if (!json) return json.error();
  const std::string type = Fields::text(*json, {"model_type"}, "");
  if (type != "t5") {
    return Error{"not-supported", folder + ": the text encoder is of type \"" + type + "\", not t5.",
                 "Choose a folder with T5's encoder.", "model_type"};
  }
  Fields fields("T5's config.json");
  T5Config config;
  config.d_model = fields.whole(*json, {"d_model"}, most_width);
  config.d_kv = fields.whole(*json, {"d_kv"}, most_width);
  config.d_ff = fields.whole(*json, {"d_ff"}, most_width);
  config.num_layers = fields.whole(*json, {"num_layers"}, most_layers);
  config.num_heads = fields.whole(*json, {"num_heads"}, most_width);
  config.vocab_size = fields.whole(*json, {"vocab_size"}, 10'000'000);
  config.relative_attention_num_buckets = fields.whole(*json, {"relative_attention_num_buckets"}, 4096, 32);
  config.relative_attention_max_distance = fields.whole(*json, {"relative_attention_max_distance"}, 1 << 20, 128);
  config.layer_norm_epsilon = fields.number(*json, {"layer_norm_epsilon"}, 1e-6);
  std::string act = Fields::text(*json, {"feed_forward_proj"}, "relu");
  constexpr std::string_view gated = "gated-";
  config.is_gated = act.starts_with(gated);
  if (config.is_gated) act = act.substr(gated.size());
  config.act = act == "gelu" && config.is_gated ? "gelu_new" : act;
  if (config.act != "relu" && config.act != "gelu_new")
    fields.fail("feed_forward_proj", "is neither relu nor gated-gelu");
  if (!fields.problem.code.empty()) return fields.problem;
  return config;
}

}  // namespace lutra::audio
