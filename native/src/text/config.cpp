#include "text/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

#include "text/config_fields.h"

namespace lutra::text {
namespace {

using core::Error;
using core::Json;

/// What attention over a cache takes.
constexpr std::int64_t most_head_dim = 1024;

constexpr std::array<std::string_view, 4> known_types = {"llama", "mistral", "qwen2", "qwen3"};

/// Llama 3's scaling (transformers, modeling_rope_utils.py): long waves are stretched by `factor`, short ones are kept,
/// and between them it fades.
std::vector<float> llama3_factors(Fields& scaling, const Config& config) {
  const double factor = scaling.number("factor", 1);
  const double low = scaling.number("low_freq_factor", 1);
  const double high = scaling.number("high_freq_factor", 4);
  const double original = scaling.number("original_max_position_embeddings", 8192);
  std::vector<float> factors;
  for (std::int64_t i = 0; i < config.head_dim / 2; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(config.head_dim);
    const double wave = 2 * std::numbers::pi * std::pow(config.rope_theta, exponent);
    if (wave < original / high)
      factors.push_back(1);
    else if (wave > original / low)
      factors.push_back(static_cast<float>(factor));
    else {
      const double smooth = (original / wave - low) / (high - low);
      factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
  }
  return factors;
}

void read_rope(Fields& fields, Config& config) {
  config.rope_theta = fields.number("rope_theta", config.rope_theta);
  // Newer configs keep all of it in rope_parameters.
  const Json* object =
      fields.object("rope_parameters") != nullptr ? fields.object("rope_parameters") : fields.object("rope_scaling");
  if (object == nullptr) return;
  Fields scaling(*object);
  config.rope_theta = scaling.number("rope_theta", config.rope_theta);
  const std::string type = scaling.text("rope_type", scaling.text("type", "default"));
  if (type == "llama3")
    config.rope_factors = llama3_factors(scaling, config);
  else if (type == "linear") {
    config.rope_factors.assign(static_cast<std::size_t>(config.head_dim / 2),
                               static_cast<float>(scaling.number("factor", 1)));
  } else if (type != "default") {
    fields.problem = Error{"not-supported", "config.json: rotary scaling of type \"" + type + "\" is not known.",
                           "A newer Lutra may know it.", "rope_scaling"};
  }
  if (fields.problem.code.empty()) fields.problem = scaling.problem;
}

void read_quantization(Fields& fields, Config& config) {
  const Json* object = fields.object("quantization_config");
  if (object == nullptr) return;
  Fields quantization(*object);
  config.quant_method = quantization.text("quant_method", "");
  if (config.quant_method != "lut") return;
  config.lut_bits = static_cast<int>(quantization.whole("bits", 4));
  config.lut_group_size = quantization.whole("group_size", 1 << 20);
  if (fields.problem.code.empty()) fields.problem = quantization.problem;
}

/// Newer configs name each layer's kind; older Mistral ones slide everywhere, Qwen2 only where it is switched on.
void read_window(Fields& fields, const Json& json, Config& config) {
  const Json* window = json.find("sliding_window");
  if (window == nullptr || window->is_null()) return;
  config.sliding_window = fields.whole("sliding_window", 1 << 30);
  const Json* types = json.find("layer_types");
  if (types != nullptr && types->array() != nullptr) {
    for (const Json& type : *types->array())
      config.layer_slides.push_back(type.string() != nullptr && *type.string() == "sliding_attention");
    if (static_cast<std::int64_t>(config.layer_slides.size()) != config.num_hidden_layers)
      fields.fail("layer_types", "does not name every layer");
    return;
  }
  const auto layers = static_cast<std::size_t>(config.num_hidden_layers);
  if (config.model_type == "mistral") config.layer_slides.assign(layers, true);
  if (config.model_type.starts_with("qwen") && fields.flag("use_sliding_window", false)) {
    config.layer_slides.assign(layers, true);
    const std::int64_t full = fields.whole("max_window_layers", 1000, config.num_hidden_layers);
    for (std::size_t i = 0; i < std::min(layers, static_cast<std::size_t>(full)); ++i) config.layer_slides[i] = false;
  }
}

}  // namespace

core::Result<Config> Config::read(const std::string& folder) {
  const auto json = read_config_json(folder);
  if (!json) return json.error();
  const std::string type = Fields(*json).text("model_type", "");
  if (!knows(type)) {
    return Error{"not-supported", "Models of type \"" + type + "\" are not known here.",
                 "Known are llama, mistral, qwen2 and qwen3.", "model_type"};
  }
  return parse(*json, *json, {}, {});
}

bool Config::knows(const std::string& model_type) {
  return std::find(known_types.begin(), known_types.end(), model_type) != known_types.end();
}

core::Result<Config> Config::parse(const Json& json, const Json& whole, const std::string& place,
                                   const Config& defaults) {
  Fields fields(json, place);
  Config config = defaults;
  config.model_type = fields.text("model_type", defaults.model_type);
  config.vocab_size = fields.whole("vocab_size", 10'000'000, defaults.vocab_size);
  config.hidden_size = fields.whole("hidden_size", 1 << 20, defaults.hidden_size);
  config.intermediate_size = fields.whole("intermediate_size", 1 << 22, defaults.intermediate_size);
  config.num_hidden_layers = fields.whole("num_hidden_layers", 1000, defaults.num_hidden_layers);
  config.num_attention_heads = fields.whole("num_attention_heads", 4096, defaults.num_attention_heads);
  config.num_key_value_heads =
      fields.whole("num_key_value_heads", 4096,
                   defaults.num_key_value_heads > 0 ? defaults.num_key_value_heads : config.num_attention_heads);
  config.max_position_embeddings = fields.whole("max_position_embeddings", 1 << 30, defaults.max_position_embeddings);
  if (!fields.problem.code.empty()) return fields.problem;
  config.head_dim = fields.whole("head_dim", most_head_dim,
                                 std::max<std::int64_t>(1, config.hidden_size / config.num_attention_heads));
  config.rms_norm_eps = fields.number("rms_norm_eps", config.rms_norm_eps);
  config.tie_word_embeddings = fields.flag("tie_word_embeddings", false);
  if (fields.text("hidden_act", "silu") != "silu") fields.fail("hidden_act", "is not silu");
  if (config.num_attention_heads % config.num_key_value_heads != 0)
    fields.fail("num_key_value_heads", "does not divide num_attention_heads");
  if (config.head_dim % 2 != 0) fields.fail("head_dim", "is odd");
  if (config.head_dim > most_head_dim) fields.fail("num_attention_heads", "makes heads wider than 1024");
  read_rope(fields, config);
  read_window(fields, json, config);
  Fields outer(whole);
  read_quantization(fields.object("quantization_config") != nullptr ? fields : outer, config);
  if (!fields.problem.code.empty()) return fields.problem;
  if (!outer.problem.code.empty()) return outer.problem;
  return config;
}

}  // namespace lutra::text
