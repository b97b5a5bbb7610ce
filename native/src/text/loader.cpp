#include "text/loader.h"

namespace lutra::text {

using graph::need;

Llama::Loader::Loader(Llama& model, LlamaSource source, const core::Progress& progress)
    : model_(&model),
      source_(std::move(source)),
      reader_(model.file_, source_.folder, model.config_, model.precision_,
              static_cast<std::size_t>(model.compute_->n_threads()), progress) {}

void Llama::Loader::load() {
  Llama& m = *model_;
  const Config& config = m.config_;
  const int64_t hidden = config.hidden_size;
  const int64_t queries = config.num_attention_heads * config.head_dim;
  const int64_t keys = config.num_key_value_heads * config.head_dim;

  const std::string embedding = source_.model + "embed_tokens";
  const std::array<int64_t, 2> shape = {config.input_vocab_size(), hidden};
  const core::TensorView tokens = need(m.file_.get(embedding + ".weight", shape));
  require_float(tokens, embedding + ".weight");
  m.embed_tokens_.emplace(tokens);
  read_vectors();
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::int64_t number = source_.layers.empty() ? layer : source_.layers[static_cast<size_t>(layer)];
    const std::string block = source_.model + "layers." + std::to_string(number) + ".";
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
  if (source_.has_head) {
    m.norm_ = norm(source_.model + "norm", hidden);
    const bool is_own = !config.tie_word_embeddings && reader_.has_matrix(source_.head);
    m.lm_head_ = projections(part(is_own ? source_.head : embedding, config.vocab_size, hidden));
  }
  m.weight_bytes_ = reader_.weight_bytes();
  m.bits_ = reader_.bits();
}

bool Llama::Loader::is_own_vector(const std::string& name, const core::TensorView& view) const {
  const bool is_own = name.starts_with(source_.model) || name.starts_with(source_.head);
  return is_own && (name.ends_with("norm.weight") || name.ends_with(".bias")) && view.shape.size() == 1;
}

void Llama::Loader::read_vectors() {
  const auto& tensors = model_->file_.tensors();
  for (const auto& [name, view] : tensors) {
    if (is_own_vector(name, view)) model_->weights_.declare(name, GGML_TYPE_F32, view.shape);
  }
  model_->weights_.allocate();
  std::vector<float> values;
  for (const auto& [name, view] : tensors) {
    if (!is_own_vector(name, view)) continue;
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
  return reader_.part(prefix, rows, columns, model_->weights_.find(prefix + ".bias"));
}

template <typename... Parts>
Projections Llama::Loader::projections(Parts... parts) {
  std::vector<Projections::Part> all;
  (all.push_back(std::move(parts)), ...);
  return {std::move(all), model_->precision_};
}

}  // namespace lutra::text
