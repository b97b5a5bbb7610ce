#include "audio/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string_view>

#include "dense/parameters.h"
#include "graph/need.h"

namespace lutra::audio {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::TensorView;
using graph::need;
using graph::refuse;

[[noreturn]] void bad(const std::string& tensor, const std::string& what) {
  refuse(Error{"bad-file", "The tensor \"" + tensor + "\" " + what + ".", "Get the model's files again.", tensor});
}

void require_float(const TensorView& view, const std::string& name) {
  if (view.dtype == core::Dtype::f32 || view.dtype == core::Dtype::f16 || view.dtype == core::Dtype::bf16) return;
  bad(name, "is neither f32, f16 nor bf16");
}

/// Rows [first, first + rows) of a matrix.
TensorView rows_of(const TensorView& view, std::int64_t first, std::int64_t rows) {
  TensorView part = view;
  const auto row_bytes = view.bytes.size() / static_cast<std::size_t>(view.shape[0]);
  part.shape[0] = rows;
  part.bytes =
      view.bytes.subspan(static_cast<std::size_t>(first) * row_bytes, static_cast<std::size_t>(rows) * row_bytes);
  return part;
}

bool replace_start(std::string& text, std::string_view from, std::string_view to) {
  if (!text.starts_with(from)) return false;
  text.replace(0, from.size(), to);
  return true;
}

/// Which part of a joint matrix a name means: the `part`-th of `parts` equal ones.
struct SingleName {
  std::string name;
  std::int64_t part = 0;
  std::int64_t parts = 1;
};

/// The transformer's names in stable-audio-tools.
SingleName single_name(std::string name) {
  static const std::vector<std::pair<std::string_view, std::string_view>> starts = {
      {"time_proj.", "timestep_features."},    {"timestep_proj.", "to_timestep_embed."},
      {"global_proj.", "to_global_embed."},    {"cross_attention_proj.", "to_cond_embed."},
      {"proj_in.", "transformer.project_in."}, {"proj_out.", "transformer.project_out."},
  };
  for (const auto& [from, to] : starts) {
    if (replace_start(name, from, to)) return {name};
  }
  constexpr std::string_view blocks = "transformer_blocks.";
  if (!name.starts_with(blocks)) return {name};
  const std::size_t dot = name.find('.', blocks.size());
  const std::string block = "transformer.layers." + name.substr(blocks.size(), dot - blocks.size()) + ".";
  std::string rest = name.substr(dot + 1);
  const auto has = [&](std::string_view from, std::string_view to) { return replace_start(rest, from, to); };
  if (has("norm1.", "pre_norm.") || has("norm2.", "cross_attend_norm.") || has("norm3.", "ff_norm.")) {
    const std::size_t last = rest.rfind('.');
    return {block + rest.substr(0, last) + (rest.substr(last) == ".weight" ? ".gamma" : ".beta")};
  }
  if (has("attn1.to_q.", "self_attn.to_qkv.")) return {block + rest, 0, 3};
  if (has("attn1.to_k.", "self_attn.to_qkv.")) return {block + rest, 1, 3};
  if (has("attn1.to_v.", "self_attn.to_qkv.")) return {block + rest, 2, 3};
  if (has("attn2.to_k.", "cross_attn.to_kv.")) return {block + rest, 0, 2};
  if (has("attn2.to_v.", "cross_attn.to_kv.")) return {block + rest, 1, 2};
  static_cast<void>(has("attn1.to_out.0.", "self_attn.to_out.") || has("attn2.to_out.0.", "cross_attn.to_out.") ||
                    has("attn2.to_q.", "cross_attn.to_q.") || has("attn1.norm_", "self_attn.norm_") ||
                    has("attn2.norm_", "cross_attn.norm_") || has("ff.net.", "ff.ff."));
  for (const char which : {'q', 'k'}) {
    const std::string from = std::string(".norm_") + which + ".";
    const std::size_t at = rest.find(from);
    if (at != std::string::npos) rest.replace(at, from.size(), std::string(".") + which + "_norm.");
  }
  return {block + rest};
}

/// A configuration of that model type, or nothing.
bool is_t5(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.json", ignored) && T5Config::read(folder.string()).ok();
}

/// A folder with T5 beside the model's file.
std::string find_t5(const fs::path& folder) {
  std::error_code error;
  for (const char* usual : {"t5-base", "text_encoder", "t5"}) {
    for (const fs::path& place : {folder / usual, folder.parent_path() / usual}) {
      if (is_t5(place)) return place.string();
    }
  }
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error)) others.push_back(entry.path());
  }
  std::sort(others.begin(), others.end());
  for (const fs::path& place : others) {
    if (is_t5(place)) return place.string();
  }
  return {};
}

/// The start of the shortest name that ends so, averaged copies left out; nothing where there is none.
std::optional<std::string> prefix_before(const core::Safetensors& file, std::string_view ending) {
  std::optional<std::string> best;
  for (const auto& [name, view] : file.tensors()) {
    if (!name.ends_with(ending) || name.find("ema") != std::string::npos) continue;
    const std::string prefix = name.substr(0, name.size() - ending.size());
    if (!best || prefix.size() < best->size()) best = prefix;
  }
  return best;
}

}  // namespace

std::vector<float> Checkpoint::floats(const TensorView& view, const std::string& name) {
  return dense::floats(view, name);
}

Checkpoint Checkpoint::open(const std::string& path) {
  std::error_code error;
  const fs::path place(path);
  if (fs::is_regular_file(place, error)) {
    if (place.extension() != ".safetensors") {
      refuse(Error{"not-supported", path + ": only safetensors files are opened.",
                   "A .ckpt file can hold programs: convert it to safetensors first.", path});
    }
    for (const fs::path& config :
         {fs::path(place).replace_extension(".json"), place.parent_path() / "model_config.json"}) {
      if (fs::is_regular_file(config, error)) return open_single(path, config.string());
    }
    refuse(Error{"bad-file", path + ": there is no model_config.json beside it.", "Get the model's configuration too.",
                 "model_config.json"});
  }
  if (fs::is_regular_file(place / "model_index.json", error)) return open_diffusers(path);
  if (fs::is_regular_file(place / "model_config.json", error)) {
    fs::path file = place / "model.safetensors";
    std::uintmax_t largest = 0;
    if (!fs::is_regular_file(file, error)) {
      for (const auto& entry : fs::directory_iterator(place, error)) {
        if (entry.path().extension() != ".safetensors" || entry.file_size(error) <= largest) continue;
        largest = entry.file_size(error);
        file = entry.path();
      }
    }
    return open_single(file.string(), (place / "model_config.json").string());
  }
  refuse(Error{"bad-file", path + ": there is neither a model_index.json nor a model_config.json in it.",
               "Choose the folder of a Stable Audio model.", path});
}

Checkpoint Checkpoint::open_single(const std::string& file, const std::string& config) {
  Checkpoint result(need(Config::read_single(config)));
  result.is_single_ = true;
  result.main_ = need(core::Safetensors::open(file));
  result.text_encoder_ = find_t5(fs::path(config).parent_path());
  result.tokenizer_ = result.text_encoder_;
  result.find_prefixes();
  return result;
}

Checkpoint Checkpoint::open_diffusers(const std::string& folder) {
  Checkpoint result(need(Config::read_diffusers(folder)));
  result.main_ = need(core::Safetensors::open(folder + "/transformer"));
  result.vae_ = need(core::Safetensors::open(folder + "/vae"));
  result.projection_ = need(core::Safetensors::open(folder + "/projection_model"));
  if (is_t5(folder + "/text_encoder")) result.text_encoder_ = folder + "/text_encoder";
  std::error_code error;
  if (fs::is_directory(folder + "/tokenizer", error)) result.tokenizer_ = folder + "/tokenizer";
  return result;
}

void Checkpoint::find_prefixes() {
  const auto dit = prefix_before(main_, "transformer.project_in.weight");
  if (!dit) bad("model.model.transformer.project_in.weight", "is missing");
  dit_prefix_ = *dit;
  for (const char* ending : {"decoder.layers.0.weight_v", "decoder.layers.0.weight"}) {
    if (const auto vae = prefix_before(main_, ending)) {
      vae_prefix_ = *vae;
      break;
    }
    vae_prefix_ = "pretransform.model.";
  }
  numbers_prefix_ = "conditioner.conditioners.";
  if (config_.numbers.empty()) return;
  const auto numbers = prefix_before(main_, config_.numbers.front().id + ".embedder.embedding.0.weights");
  if (numbers) numbers_prefix_ = *numbers;
}

std::optional<TensorView> Checkpoint::find_dit(const std::string& name) const {
  const SingleName own = is_single_ ? single_name(name) : SingleName{name};
  const TensorView* view = main_.find(dit_prefix_ + own.name);
  if (view == nullptr) return std::nullopt;
  require_float(*view, dit_prefix_ + own.name);
  if (own.parts == 1) return *view;
  if (view->shape.empty() || view->shape[0] % own.parts != 0)
    bad(dit_prefix_ + own.name, "has a shape that cannot be right");
  const std::int64_t rows = view->shape[0] / own.parts;
  return rows_of(*view, own.part * rows, rows);
}

TensorView Checkpoint::dit(const std::string& name) const {
  if (const auto view = find_dit(name)) return *view;
  bad(dit_prefix_ + (is_single_ ? single_name(name).name : name), "is missing");
}

TensorView Checkpoint::dit(const std::string& name, std::span<const std::int64_t> shape) const {
  TensorView view = dit(name);
  if (!std::equal(view.shape.begin(), view.shape.end(), shape.begin(), shape.end())) {
    std::string wanted;
    std::string found;
    for (const auto n : shape) wanted += (wanted.empty() ? "" : ", ") + std::to_string(n);
    for (const auto n : view.shape) found += (found.empty() ? "" : ", ") + std::to_string(n);
    bad(dit_prefix_ + (is_single_ ? single_name(name).name : name),
        "has the shape [" + found + "] instead of [" + wanted + "]");
  }
  return view;
}

std::string Checkpoint::vae_name(const std::string& name) const {
  if (!is_single_) return name;
  const std::size_t n = config_.vae.strides.size();
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= name.size();) {
    const std::size_t dot = std::min(name.find('.', from), name.size());
    parts.push_back(name.substr(from, dot - from));
    from = dot + 1;
  }
  const bool is_decoder = parts[0] == "decoder";
  std::string result = vae_prefix_ + parts[0] + ".layers.";
  if (parts[1] != "block") {
    if (parts[1] == "conv1") return result + "0";
    return result + std::to_string(n + (parts[1] == "snake1" ? 1 : 2));
  }
  result += std::to_string(std::stoul(parts[2]) + 1) + ".layers.";
  const std::string& part = parts[3];
  if (part == "snake1") return result + (is_decoder ? "0" : "3");
  if (part == "conv_t1") return result + "1";
  if (part == "conv1") return result + "4";
  const std::size_t unit = std::stoul(part.substr(std::string_view("res_unit").size())) - 1;
  result += std::to_string(unit + (is_decoder ? 2 : 0)) + ".layers.";
  static const std::map<std::string, std::string> inner = {
      {"snake1", "0"}, {"conv1", "1"}, {"snake2", "2"}, {"conv2", "3"}};
  return result + inner.at(parts[4]);
}

ConvWeights Checkpoint::conv(const std::string& name, bool is_transposed) const {
  const core::Safetensors& file = is_single_ ? main_ : vae_;
  const std::string own = vae_name(name);
  const TensorView* v = nullptr;
  const TensorView* g = nullptr;
  for (const auto& [direction, length] :
       {std::pair{".weight_v", ".weight_g"},
        std::pair{".parametrizations.weight.original1", ".parametrizations.weight.original0"},
        std::pair{".weight", ""}}) {
    v = file.find(own + direction);
    if (v == nullptr) continue;
    g = *length == '\0' ? nullptr : file.find(own + length);
    if (*length != '\0' && g == nullptr) bad(own + length, "is missing");
    break;
  }
  if (v == nullptr) bad(own + ".weight_v", "is missing");
  constexpr std::size_t dimensions = 3;
  if (v->shape.size() != dimensions) bad(own, "has not three dimensions");
  ConvWeights result;
  result.n_in = v->shape[is_transposed ? 0 : 1];
  result.n_out = v->shape[is_transposed ? 1 : 0];
  result.kernel = v->shape[2];
  result.values = floats(*v, own);
  if (g != nullptr) {
    const auto lengths = floats(*g, own + ".weight_g");
    if (static_cast<std::int64_t>(lengths.size()) != v->shape[0]) bad(own + ".weight_g", "has the wrong length");
    const std::size_t row = result.values.size() / lengths.size();
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < row; ++j)
        sum += static_cast<double>(result.values[i * row + j]) * result.values[i * row + j];
      const auto scale = static_cast<float>(lengths[i] / std::sqrt(sum));
      if (!std::isfinite(scale)) bad(own + ".weight_v", "has a row of zeros");
      for (std::size_t j = 0; j < row; ++j) result.values[i * row + j] *= scale;
    }
  }
  if (const TensorView* bias = file.find(own + ".bias")) {
    result.bias = floats(*bias, own + ".bias");
    if (static_cast<std::int64_t>(result.bias.size()) != result.n_out) bad(own + ".bias", "has the wrong length");
  }
  return result;
}

Snake Checkpoint::snake(const std::string& name, std::int64_t channels) const {
  const core::Safetensors& file = is_single_ ? main_ : vae_;
  const std::string own = vae_name(name);
  Snake result;
  for (auto& [part, target] :
       {std::pair<const char*, std::vector<float>*>{".alpha", &result.alpha}, {".beta", &result.inverse_beta}}) {
    const TensorView* view = file.find(own + part);
    if (view == nullptr) bad(own + part, "is missing");
    *target = floats(*view, own + part);
    if (static_cast<std::int64_t>(target->size()) != channels) bad(own + part, "has the wrong length");
  }
  constexpr float least = 1e-9F;  // as the original adds it
  for (float& value : result.alpha) value = std::exp(value);
  for (float& value : result.inverse_beta) value = 1.0F / (std::exp(value) + least);
  return result;
}

bool Checkpoint::has_encoder() const {
  const core::Safetensors& file = is_single_ ? main_ : vae_;
  const std::string own = vae_name("encoder.conv1");
  return file.find(own + ".weight_v") != nullptr || file.find(own + ".weight") != nullptr ||
         file.find(own + ".parametrizations.weight.original1") != nullptr;
}

std::vector<float> Checkpoint::number(const std::string& id, const std::string& which) const {
  const core::Safetensors& file = is_single_ ? main_ : projection_;
  const std::string name = is_single_ ? numbers_prefix_ + id + ".embedder.embedding." + which
                                      : std::string(id == "seconds_start" ? "start" : "end") +
                                            "_number_conditioner.time_positional_embedding." + which;
  const TensorView* view = file.find(name);
  if (view == nullptr) bad(name, "is missing");
  return floats(*view, name);
}

}  // namespace lutra::audio
