#include "cuda/device_llama.h"

#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "core/dtype.h"
#include "core/threads.h"
#include "graph/need.h"
#include "lut_layout.h"
#include "text/quantized.h"

namespace lutra::cuda {
namespace {

using core::Dtype;
using graph::GraphError;
using graph::need;

constexpr std::size_t megabyte = 1'000'000;

/// Room that a session takes beside keys and values, with what the driver keeps for itself.
constexpr std::size_t session_bytes = 500 * megabyte;

std::vector<std::uint8_t> to_f16(const core::TensorView& view) {
  std::vector<float> values(static_cast<std::size_t>(view.elements()));
  core::to_f32(view.dtype, view.bytes, values);
  std::vector<std::uint8_t> result(values.size() * 2);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = core::f32_to_f16(values[i]);
    std::memcpy(result.data() + 2 * i, &bits, 2);
  }
  return result;
}

void require_float(const core::TensorView& view, const std::string& name) {
  if (view.dtype == Dtype::f32 || view.dtype == Dtype::f16 || view.dtype == Dtype::bf16) return;
  throw GraphError("bad-file", "The tensor \"" + name + "\" is neither f32, f16 nor bf16.", "Get the file again.",
                   name);
}

}  // namespace

/// Hands a checkpoint to the card, tensor by tensor.
class DeviceLlama::Loader {
 public:
  Loader(DeviceLlama& target, const core::Safetensors& file, const std::string& folder, int threads,
         const core::Progress& progress)
      : target_(&target),
        functions_(target.functions_),
        file_(&file),
        quantized_(file, folder, target.config_),
        threads_(threads > 0 ? static_cast<std::size_t>(threads) : core::usable_cores()),
        progress_(&progress) {
    for (const auto& [name, view] : file.tensors()) total_bytes_ += view.bytes.size();
  }

  void load();

 private:
  /// A weight as it lies in the file.
  struct Source {
    std::string name;  // of the module
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::optional<lut::LutMatrix> quantized;
    core::TensorView dense;
    std::vector<float> bias;
  };

  Source source(const std::string& name, std::int64_t rows, std::int64_t columns);
  void norm(Norm kind, std::int32_t layer, const std::string& name, std::int64_t length, bool is_required = true);
  void projection(Slot slot, std::int32_t layer, std::vector<Source> sources);
  bool pack_together(Slot slot, std::int32_t layer, const std::vector<Source>& sources);
  void add_alone(Slot slot, std::int32_t layer, std::int64_t row_begin, const Source& source);
  void add_packed(const Part& part, const LutImage& image);
  void add_expanded(const Part& part, const Source& source);
  void let_go(const std::string& name);
  Model* model() const { return target_->model_.get(); }

  DeviceLlama* target_;
  const Interface* functions_;
  const core::Safetensors* file_;
  text::QuantizedReader quantized_;
  core::ThreadPool threads_;
  const core::Progress* progress_;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  Problem problem_{};
};

void DeviceLlama::Loader::load() {
  const text::Config& config = target_->config_;
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t queries = config.num_attention_heads * config.head_dim;
  const std::int64_t keys = config.num_key_value_heads * config.head_dim;
  const std::int64_t inner = config.intermediate_size;

  const bool has_head = !config.tie_word_embeddings && lut::storage_of(*file_, "lm_head") != lut::Storage::missing;
  const std::string embedding = "model.embed_tokens.weight";
  const std::array<std::int64_t, 2> shape = {config.vocab_size, hidden};
  const core::TensorView table = need(file_->get(embedding, shape));
  require_float(table, embedding);
  if (table.dtype == Dtype::f32 && !has_head) {  // as a head it must be in 16 bits
    require(functions_->set_embedding(model(), TableType::f16, to_f16(table).data(), &problem_), problem_);
  } else {
    const TableType type = table.dtype == Dtype::f32    ? TableType::f32
                           : table.dtype == Dtype::bf16 ? TableType::bf16
                                                        : TableType::f16;
    require(functions_->set_embedding(model(), type, table.bytes.data(), &problem_), problem_);
  }
  let_go("model.embed_tokens");

  for (std::int64_t index = 0; index < config.num_hidden_layers; ++index) {
    const auto layer = static_cast<std::int32_t>(index);
    const std::string block = "model.layers." + std::to_string(index) + ".";
    const std::string attention = block + "self_attn.";
    const std::string mlp = block + "mlp.";
    const auto join = [&](auto... parts) {
      std::vector<Source> all;
      (all.push_back(std::move(parts)), ...);
      return all;
    };
    norm(Norm::input, layer, block + "input_layernorm", hidden);
    auto q = source(attention + "q_proj", queries, hidden);
    auto k = source(attention + "k_proj", keys, hidden);
    auto v = source(attention + "v_proj", keys, hidden);
    projection(Slot::qkv, layer, join(std::move(q), std::move(k), std::move(v)));
    norm(Norm::q, layer, attention + "q_norm", config.head_dim, false);
    norm(Norm::k, layer, attention + "k_norm", config.head_dim, false);
    projection(Slot::o, layer, join(source(attention + "o_proj", hidden, queries)));
    norm(Norm::post_attention, layer, block + "post_attention_layernorm", hidden);
    auto gate = source(mlp + "gate_proj", inner, hidden);
    auto up = source(mlp + "up_proj", inner, hidden);
    projection(Slot::gate_up, layer, join(std::move(gate), std::move(up)));
    projection(Slot::down, layer, join(source(mlp + "down_proj", hidden, inner)));
    const auto window = static_cast<std::int32_t>(config.window_of(index));
    require(functions_->set_window(model(), layer, window, &problem_), problem_);
  }
  norm(Norm::last, 0, "model.norm", hidden);
  if (has_head) {
    std::vector<Source> head;
    head.push_back(source("lm_head", config.vocab_size, hidden));
    projection(Slot::head, 0, std::move(head));
  }
}

void DeviceLlama::Loader::norm(Norm kind, std::int32_t layer, const std::string& name, std::int64_t length,
                               bool is_required) {
  const std::string tensor = name + ".weight";
  if (!is_required && !file_->tensors().contains(tensor)) return;
  const std::array<std::int64_t, 1> shape = {length};
  const core::TensorView view = need(file_->get(tensor, shape));
  require_float(view, tensor);
  std::vector<float> values(static_cast<std::size_t>(length));
  core::to_f32(view.dtype, view.bytes, values);
  require(functions_->set_norm(model(), kind, layer, values.data(), static_cast<std::int32_t>(length), &problem_),
          problem_);
}

DeviceLlama::Loader::Source DeviceLlama::Loader::source(const std::string& name, std::int64_t rows,
                                                        std::int64_t columns) {
  if (progress_->cancelled()) throw GraphError("cancelled", "Cancelled.");
  Source result;
  result.name = name;
  result.rows = rows;
  result.columns = columns;
  if (file_->tensors().contains(name + ".bias")) {
    const std::array<std::int64_t, 1> shape = {rows};
    const core::TensorView bias = need(file_->get(name + ".bias", shape));
    require_float(bias, name + ".bias");
    result.bias.resize(static_cast<std::size_t>(rows));
    core::to_f32(bias.dtype, bias.bytes, result.bias);
  }
  const lut::Storage storage = lut::storage_of(*file_, name);
  if (storage == lut::Storage::dense || storage == lut::Storage::missing) {
    const std::array<std::int64_t, 2> shape = {rows, columns};
    result.dense = need(file_->get(name + ".weight", shape));
    require_float(result.dense, name + ".weight");
  } else {
    result.quantized = quantized_.read(storage, name, rows, columns);
    if (target_->bits_ == 16) target_->bits_ = result.quantized->bits;
  }
  return result;
}

void DeviceLlama::Loader::projection(Slot slot, std::int32_t layer, std::vector<Source> sources) {
  if (!pack_together(slot, layer, sources)) {
    std::int64_t row = 0;
    for (const Source& source : sources) {
      add_alone(slot, layer, row, source);
      row += source.rows;
    }
  }
  for (const Source& source : sources) let_go(source.name);
}

/// One product of all where their weights are cut alike. False where they are not.
bool DeviceLlama::Loader::pack_together(Slot slot, std::int32_t layer, const std::vector<Source>& sources) {
  std::vector<const lut::LutMatrix*> matrices;
  std::vector<float> bias;
  for (const Source& source : sources) {
    if (!source.quantized || source.bias.empty() != sources.front().bias.empty()) return false;
    matrices.push_back(&*source.quantized);
    bias.insert(bias.end(), source.bias.begin(), source.bias.end());
  }
  const auto image = slot == Slot::gate_up ? pack_gated(*matrices[0], *matrices[1], Scalar::f16, threads_)
                                           : pack(matrices, Scalar::f16, threads_);
  if (!image) return false;
  add_packed({slot, layer, 0, bias.empty() ? nullptr : bias.data()}, *image);
  return true;
}

void DeviceLlama::Loader::add_alone(Slot slot, std::int32_t layer, std::int64_t row_begin, const Source& source) {
  const Part part{slot, layer, static_cast<std::int32_t>(row_begin),
                  source.bias.empty() ? nullptr : source.bias.data()};
  if (!source.quantized) {
    DenseWeight weight{part, source.dense.dtype == Dtype::bf16, static_cast<std::int32_t>(source.rows),
                       static_cast<std::int32_t>(source.columns), source.dense.bytes.data()};
    std::vector<std::uint8_t> rounded;
    if (source.dense.dtype == Dtype::f32) {
      rounded = to_f16(source.dense);
      weight.bytes = rounded.data();
    }
    require(functions_->add_dense(model(), &weight, &problem_), problem_);
    return;
  }
  const lut::LutMatrix* matrix = &*source.quantized;
  const auto image = pack(std::span(&matrix, 1), Scalar::f16, threads_);
  if (image) {
    add_packed(part, *image);
  } else if (matrix->hadamard_size != 0 || matrix->columns != source.columns) {
    throw GraphError("not-supported", image.error().message, "Choose the CPU in the settings.", source.name);
  } else {
    add_expanded(part, source);
  }
}

void DeviceLlama::Loader::add_packed(const Part& part, const LutImage& image) {
  const PackedWeight weight{part, &image.layout, image.bytes.data()};
  require(functions_->add_packed(model(), &weight, &problem_), problem_);
}

/// A quantized weight that the kernels do not know, in 16 bits.
void DeviceLlama::Loader::add_expanded(const Part& part, const Source& source) {
  ++target_->expanded_;
  const auto columns = static_cast<std::size_t>(source.columns);
  std::vector<std::uint16_t> values(static_cast<std::size_t>(source.rows) * columns);
  std::vector<float> row(columns);
  for (std::int64_t i = 0; i < source.rows; ++i) {
    source.quantized->dequantize_row(i, row);
    for (std::size_t j = 0; j < columns; ++j)
      values[static_cast<std::size_t>(i) * columns + j] = core::f32_to_f16(row[j]);
  }
  const DenseWeight weight{part, false, static_cast<std::int32_t>(source.rows),
                           static_cast<std::int32_t>(source.columns), values.data()};
  require(functions_->add_dense(model(), &weight, &problem_), problem_);
}

void DeviceLlama::Loader::let_go(const std::string& name) {
  const auto& tensors = file_->tensors();
  for (auto it = tensors.lower_bound(name + "."); it != tensors.end() && it->first.starts_with(name + "."); ++it) {
    done_bytes_ += it->second.bytes.size();
    core::MappedFile::let_go(it->second.bytes);
  }
  progress_->tell(done_bytes_, total_bytes_);
}

DeviceLlama::DeviceLlama(const Library& library, const Card& card, text::Config config)
    : functions_(library.functions()),
      config_(std::move(config)),
      card_name_(card.facts.name),
      architecture_("sm_" + std::to_string(card.facts.major) + std::to_string(card.facts.minor)),
      model_(nullptr, Free{library.functions()}) {
  const auto whole = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  const ModelShape shape = {whole(config_.vocab_size),
                            whole(config_.hidden_size),
                            whole(config_.intermediate_size),
                            whole(config_.num_hidden_layers),
                            whole(config_.num_attention_heads),
                            whole(config_.num_key_value_heads),
                            whole(config_.head_dim),
                            static_cast<float>(config_.rms_norm_eps)};
  Model* model = nullptr;
  Problem problem{};
  require(functions_->create_model(card.index, &shape, &model, &problem), problem);
  model_.reset(model);
}

std::unique_ptr<DeviceLlama> DeviceLlama::load(const Library& library, const Card& card, const std::string& folder,
                                               int threads, const core::Progress& progress) {
  text::Config config = need(text::Config::read(folder));
  const core::Safetensors file = need(core::Safetensors::open(folder));
  std::size_t bytes = 0;
  for (const auto& [name, view] : file.tensors()) bytes += view.bytes.size();
  // Told before minutes of loading, not after.
  const std::size_t wanted = bytes + std::min(session_bytes, card.facts.memory_total_bytes / 8);
  if (wanted > card.facts.memory_free_bytes) {
    throw GraphError(
        "out-of-memory",
        "The model needs about " + std::to_string(wanted / megabyte) + " MB on " + card.facts.name + ", which has " +
            std::to_string(card.facts.memory_free_bytes / megabyte) + " MB free of " +
            std::to_string(card.facts.memory_total_bytes / megabyte) + " MB.",
        "Close other programs that use the card, choose a smaller model, or choose the CPU in the settings.");
  }
  std::unique_ptr<DeviceLlama> model(new DeviceLlama(library, card, std::move(config)));
  Loader(*model, file, folder, threads, progress).load();
  return model;
}

std::string DeviceLlama::kernel() const {
  const std::string plain = std::to_string(bits_) + "-bit CUDA " + architecture_;
  return expanded_ == 0 ? plain : plain + ", " + std::to_string(expanded_) + " weights kept in 16 bits";
}

}  // namespace lutra::cuda
