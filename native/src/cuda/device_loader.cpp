#include "cuda/device_loader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/dtype.h"
#include "graph/need.h"

namespace lutra::cuda {
namespace {

using core::Dtype;
using graph::GraphError;
using graph::need;

constexpr std::size_t megabyte = 1'000'000;

/// What the driver keeps for itself, and products that exchange their sums.
constexpr std::size_t spare_bytes = 400 * megabyte;
/// The most tokens that a session takes at once.
constexpr std::int64_t piece_tokens = 512;

/// A weight is laid out anew on the card: rows are filled up, and scales may take more than in the file.
constexpr double layout_growth = 1.06;

std::size_t bytes_below(const core::Safetensors& file, const std::string& prefix) {
  std::size_t bytes = 0;
  const auto& tensors = file.tensors();
  for (auto it = tensors.lower_bound(prefix); it != tensors.end() && it->first.starts_with(prefix); ++it)
    bytes += it->second.bytes.size();
  return bytes;
}

std::string block_of(std::int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

std::string in_megabytes(std::size_t bytes) { return std::to_string(bytes / megabyte) + " MB"; }

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

std::size_t DeviceLlama::Loader::free_bytes() {
  DeviceFacts facts{};
  require(functions_->describe(card_.index, &facts, &problem_), problem_);
  return facts.memory_free_bytes;
}

/// Keys and values of a whole chat over that many layers, and room to work (cuda::Session).
std::size_t DeviceLlama::Loader::wanted_beside(std::int64_t layers) const {
  const text::Config& config = target_->config_;
  const CacheLayout cache{static_cast<std::int32_t>(layers), static_cast<std::int32_t>(config.num_key_value_heads),
                          static_cast<std::int32_t>(config.head_dim), room_.cache_type == text::CacheType::q8};
  const auto pages = static_cast<std::size_t>((room_.context_size + page_positions - 1) / page_positions);
  const std::int64_t queries = config.num_attention_heads * config.head_dim;
  const std::int64_t qkv = queries + 2 * config.num_key_value_heads * config.head_dim;
  const std::int64_t widest = std::max({config.hidden_size, config.intermediate_size, queries});
  const std::int64_t of_token =
      4 * config.hidden_size + 4 * qkv + 4 * queries + 10 * config.intermediate_size + 2 * widest;
  return pages * static_cast<std::size_t>(cache.page_bytes()) +
         static_cast<std::size_t>(std::min(piece_tokens, room_.context_size) * of_token) +
         static_cast<std::size_t>(std::min<std::uint64_t>(spare_bytes, card_.facts.memory_total_bytes / 8));
}

/// Layer 0 brings the embedding along.
bool DeviceLlama::Loader::layer_fits(std::int64_t index) {
  std::size_t bytes = bytes_below(*file_, block_of(index));
  if (index == 0 && has_head_) bytes += bytes_below(*file_, "model.embed_tokens.");
  const std::int64_t layers = target_->config_.num_hidden_layers - index;
  return static_cast<std::size_t>(static_cast<double>(bytes) * layout_growth) + wanted_beside(layers) <= free_bytes();
}

std::int64_t DeviceLlama::Loader::load() {
  const std::int64_t layers = target_->config_.num_hidden_layers;
  if (has_head_)
    head();
  else
    embedding();
  norm(Norm::last, 0, "model.norm", target_->config_.hidden_size);
  std::int64_t first = layers;
  while (first > 0 && layer_fits(first - 1)) {
    try {
      layer(first - 1);
      if (first == 1 && has_head_) embedding();
    } catch (const GraphError& error) {
      // Others use the card, too: what was free may be gone.
      if (error.code() != "out-of-memory" || first == layers) throw;
      break;
    }
    --first;
  }
  if (first == layers) {
    const std::size_t wanted = bytes_below(*file_, block_of(layers - 1)) + wanted_beside(1);
    throw GraphError(
        "out-of-memory",
        "Beside its head, the model needs about " + in_megabytes(wanted) + " for one layer and a chat on " +
            card_.facts.name + ", which has " + in_megabytes(free_bytes()) + " free of " +
            in_megabytes(card_.facts.memory_total_bytes) + ".",
        "Close other programs that use the card, lower the context size, choose a smaller model, or choose "
        "the CPU in the settings.");
  }
  require(functions_->begin_at(model(), static_cast<std::int32_t>(first), &problem_), problem_);
  return first;
}

void DeviceLlama::Loader::require_computer_room(std::int64_t first) const {
  const std::int64_t layers = target_->config_.num_hidden_layers;
  std::size_t bytes = 0;
  for (std::int64_t layer = 0; layer < first; ++layer) bytes += bytes_below(*file_, block_of(layer));
  if (room_.computer_bytes > 0 && bytes > room_.computer_bytes) {
    throw GraphError("out-of-memory",
                     std::to_string(layers - first) + " of " + std::to_string(layers) + " layers fit on " +
                         card_.facts.name + "; the others need about " + in_megabytes(bytes) +
                         " of the computer's memory, which has " + in_megabytes(room_.computer_bytes) + " free.",
                     "Close other programs, or choose a smaller model.");
  }
}

void DeviceLlama::Loader::embedding() {
  const std::string embedding = "model.embed_tokens.weight";
  const std::array<std::int64_t, 2> shape = {target_->config_.vocab_size, target_->config_.hidden_size};
  const core::TensorView table = need(file_->get(embedding, shape));
  require_float(table, embedding);
  if (table.dtype == Dtype::f32 && !has_head_) {  // as a head it must be in 16 bits
    require(functions_->set_embedding(model(), TableType::f16, to_f16(table).data(), &problem_), problem_);
  } else {
    const TableType type = table.dtype == Dtype::f32    ? TableType::f32
                           : table.dtype == Dtype::bf16 ? TableType::bf16
                                                        : TableType::f16;
    require(functions_->set_embedding(model(), type, table.bytes.data(), &problem_), problem_);
  }
  let_go("model.embed_tokens");
}

void DeviceLlama::Loader::head() {
  std::vector<Source> head;
  head.push_back(source("lm_head", target_->config_.vocab_size, target_->config_.hidden_size));
  projection(Slot::head, 0, std::move(head));
}

void DeviceLlama::Loader::layer(std::int64_t index) {
  const text::Config& config = target_->config_;
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t queries = config.num_attention_heads * config.head_dim;
  const std::int64_t keys = config.num_key_value_heads * config.head_dim;
  const std::int64_t inner = config.intermediate_size;
  const auto layer = static_cast<std::int32_t>(index);
  const std::string block = block_of(index);
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
  done_bytes_ += file_->let_go(name);
  progress_->tell(done_bytes_, total_bytes_);
}

}  // namespace lutra::cuda
