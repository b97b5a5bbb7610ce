#include "text/loader.h"

namespace lutra::text {
namespace {

void require_float(const core::TensorView& view, const std::string& name) {
  if (view.dtype == core::Dtype::f32 || view.dtype == core::Dtype::f16 || view.dtype == core::Dtype::bf16) return;
  refuse(core::Error{"bad-file", "The tensor \"" + name + "\" is neither f32, f16 nor bf16.", "Get the file again.",
                     name});
}

bool is_vector(const std::string& name, const core::TensorView& view) {
  return (name.ends_with("norm.weight") || name.ends_with(".bias")) && view.shape.size() == 1;
}

[[noreturn]] void refuse_length(const std::string& name) {
  refuse(core::Error{"bad-file", "The tensor \"" + name + "\" has the wrong length.", "Get the file again.", name});
}

}  // namespace

Llama::Loader::Loader(Llama& model, std::string folder, const core::Progress& progress)
    : model_(&model),
      progress_(&progress),
      threads_(static_cast<std::size_t>(model.compute_->n_threads())),
      quantized_(model.file_, std::move(folder), model.config_) {
  for (const auto& [name, view] : model.file_.tensors()) total_bytes_ += view.bytes.size();
}

void Llama::Loader::load() {
  Llama& m = *model_;
  const Config& config = m.config_;
  const int64_t hidden = config.hidden_size;
  const int64_t queries = config.num_attention_heads * config.head_dim;
  const int64_t keys = config.num_key_value_heads * config.head_dim;

  const std::string embedding = "model.embed_tokens";
  const std::array<int64_t, 2> shape = {config.vocab_size, hidden};
  const core::TensorView tokens = need(m.file_.get(embedding + ".weight", shape));
  require_float(tokens, embedding + ".weight");
  m.embed_tokens_.emplace(tokens);
  read_vectors();
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    const std::string attention = block + "self_attn.";
    const std::string mlp = block + "mlp.";
    // In the order of the paper; an unknown order of evaluation would make errors depend on the compiler.
    auto input_norm = norm(block + "input_layernorm", hidden);
    auto q = part(attention + "q_proj", queries, hidden);
    auto k = part(attention + "k_proj", keys, hidden);
    auto v = part(attention + "v_proj", keys, hidden);
    auto o = part(attention + "o_proj", hidden, queries);
    auto post_norm = norm(block + "post_attention_layernorm", hidden);
    auto gate = part(mlp + "gate_proj", config.intermediate_size, hidden);
    auto up = part(mlp + "up_proj", config.intermediate_size, hidden);
    auto down = part(mlp + "down_proj", hidden, config.intermediate_size);
    m.layers_.push_back(Block{
        input_norm,
        SelfAttention{projections(std::move(q), std::move(k), std::move(v)), projections(std::move(o)),
                      head_norm(attention + "q_norm"), head_norm(attention + "k_norm")},
        post_norm,
        Mlp{projections(std::move(gate), std::move(up)), projections(std::move(down))},
    });
  }
  m.norm_ = norm("model.norm", hidden);
  const bool has_head = !config.tie_word_embeddings && lut::storage_of(m.file_, "lm_head") != lut::Storage::missing;
  m.lm_head_ = projections(part(has_head ? "lm_head" : embedding, config.vocab_size, hidden));
}

void Llama::Loader::read_vectors() {
  const auto& tensors = model_->file_.tensors();
  for (const auto& [name, view] : tensors) {
    if (is_vector(name, view)) model_->weights_.declare(name, GGML_TYPE_F32, view.shape);
  }
  model_->weights_.allocate();
  std::vector<float> values;
  for (const auto& [name, view] : tensors) {
    if (!is_vector(name, view)) continue;
    require_float(view, name);
    values.resize(static_cast<size_t>(view.elements()));
    core::to_f32(view.dtype, view.bytes, values);
    model_->weights_.upload(name, std::as_bytes(std::span(values)));
  }
}

graph::RMSNorm Llama::Loader::norm(const std::string& prefix, std::int64_t length) const {
  graph::RMSNorm result(graph::Scope(model_->weights_, prefix + "."), static_cast<float>(model_->config_.rms_norm_eps));
  if (result.weight->ne[0] != length) refuse_length(prefix + ".weight");
  return result;
}

graph::Tensor Llama::Loader::head_norm(const std::string& prefix) const {
  graph::Tensor weight = model_->weights_.find(prefix + ".weight");
  if (weight != nullptr && weight->ne[0] != model_->config_.head_dim) refuse_length(prefix + ".weight");
  return weight;
}

Projections::Part Llama::Loader::part(const std::string& prefix, std::int64_t rows, std::int64_t columns) {
  if (progress_->cancelled()) throw graph::GraphError("cancelled", "Cancelled.");
  Projections::Part result;
  result.rows = rows;
  result.name = prefix;
  result.bias = model_->weights_.find(prefix + ".bias");
  if (result.bias != nullptr && result.bias->ne[0] != rows) refuse_length(prefix + ".bias");
  const lut::Storage storage = lut::storage_of(model_->file_, prefix);
  if (storage == lut::Storage::dense || storage == lut::Storage::missing) {
    const std::array<int64_t, 2> shape = {rows, columns};
    const core::TensorView view = need(model_->file_.get(prefix + ".weight", shape));
    require_float(view, prefix + ".weight");
    if (model_->precision_ == lut::Precision::fast)
      result.packed = std::make_unique<lut::PackedMatrix>(lut::pack_q8(view, threads_));
    else
      result.dense = std::make_unique<lut::DenseMulMat>(view);
  } else {
    const lut::LutMatrix matrix = quantized_.read(storage, prefix, rows, columns);
    if (model_->bits_ == 16) model_->bits_ = matrix.bits;
    result.packed = std::make_unique<lut::PackedMatrix>(lut::pack(matrix, model_->precision_, threads_));
  }
  model_->weight_bytes_ += result.packed ? result.packed->size_bytes() : result.dense->weight().bytes.size();
  let_go(prefix);
  return result;
}

template <typename... Parts>
Projections Llama::Loader::projections(Parts... parts) {
  std::vector<Projections::Part> all;
  (all.push_back(std::move(parts)), ...);
  return {std::move(all), model_->precision_};
}

void Llama::Loader::let_go(const std::string& prefix) {
  const auto& tensors = model_->file_.tensors();
  for (auto it = tensors.lower_bound(prefix + "."); it != tensors.end() && it->first.starts_with(prefix + "."); ++it) {
    done_bytes_ += it->second.bytes.size();
    core::MappedFile::let_go(it->second.bytes);
  }
  progress_->tell(done_bytes_, total_bytes_);
}

}  // namespace lutra::text
