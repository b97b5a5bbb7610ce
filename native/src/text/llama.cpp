#include "text/llama.h"

#include <cmath>
#include <limits>

#include "graph/error.h"
#include "lut/formats.h"

namespace lutra::text {
namespace {

using graph::GraphBuilder;
using graph::GraphError;
using graph::Tensor;

constexpr const char* rope_factors_name = "lutra.rope_factors";

[[noreturn]] void refuse(const core::Error& error) {
  throw GraphError(error.code, error.message, error.hint, error.subject);
}

template <typename Value>
Value need(core::Result<Value> result) {
  if (!result) refuse(result.error());
  return std::move(result).value();
}

ggml_type type_of(const core::TensorView& view, const std::string& name) {
  switch (view.dtype) {
    case core::Dtype::f32:
      return GGML_TYPE_F32;
    case core::Dtype::f16:
      return GGML_TYPE_F16;
    case core::Dtype::bf16:
      return GGML_TYPE_BF16;
    default:
      refuse(core::Error{"bad-file", "The tensor \"" + name + "\" is neither f32, f16 nor bf16.", "Get the file again.",
                         name});
  }
}

bool is_vector(const std::string& name) { return name.ends_with("norm.weight") || name.ends_with(".bias"); }

}  // namespace

Tensor Linear::operator()(GraphBuilder& g, Tensor x) const {
  Tensor y = lut ? (*lut)(g, x) : (*dense)(g, x);
  return bias == nullptr ? y : ggml_add(g, y, bias);
}

Tensor Attention::operator()(GraphBuilder& g, Tensor x, Tensor positions, Tensor mask, const graph::Rope& rope) const {
  const int64_t n = x->ne[1];
  const int64_t head_dim = config->head_dim;
  const auto heads = [&](const Linear& projection, int64_t count) {
    return ggml_reshape_3d(g, projection(g, x), head_dim, count, n);  // (head_dim, count, n)
  };
  Tensor q = heads(q_proj, config->num_attention_heads);
  Tensor k = heads(k_proj, config->num_key_value_heads);
  Tensor v = heads(v_proj, config->num_key_value_heads);
  if (q_norm) q = (*q_norm)(g, q);
  if (k_norm) k = (*k_norm)(g, k);
  const auto by_head = [&](Tensor y) { return ggml_permute(g, y, 0, 2, 1, 3); };  // (head_dim, n, count)
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  Tensor y = graph::plain_attention(g, by_head(rope(g, q, positions)), by_head(rope(g, k, positions)), by_head(v), mask,
                                    scale);
  return o_proj(g, y);
}

Tensor Mlp::operator()(GraphBuilder& g, Tensor x) const {
  return down_proj(g, ggml_mul(g, ggml_silu(g, gate_proj(g, x)), up_proj(g, x)));
}

Tensor Block::operator()(GraphBuilder& g, Tensor x, Tensor positions, Tensor mask, const graph::Rope& rope) const {
  x = ggml_add(g, x, self_attn(g, input_layernorm(g, x), positions, mask, rope));
  return ggml_add(g, x, mlp(g, post_attention_layernorm(g, x)));
}

std::unique_ptr<Llama> Llama::load(const std::string& folder, const graph::Compute& compute) {
  Config config = need(Config::read(folder));
  core::Safetensors file = need(core::Safetensors::open(folder));
  std::unique_ptr<Llama> model(new Llama(std::move(config), std::move(file), compute));
  model->declare_weights();
  model->upload_weights();
  model->read_blocks();
  return model;
}

Llama::Llama(Config config, core::Safetensors file, const graph::Compute& compute)
    : config_(std::move(config)),
      file_(std::move(file)),
      compute_(&compute),
      weights_(compute, file_.tensors().size() + 2) {}

void Llama::declare_weights() {
  const std::string embedding = "model.embed_tokens.weight";
  const std::array<int64_t, 2> shape = {config_.vocab_size, config_.hidden_size};
  const core::TensorView view = need(file_.get(embedding, shape));
  weights_.declare(embedding, type_of(view, embedding), shape);
  // Norms and biases are small; they are kept in f32.
  for (const auto& [name, vector] : file_.tensors()) {
    if (is_vector(name) && vector.shape.size() == 1) weights_.declare(name, GGML_TYPE_F32, vector.shape);
  }
  if (!config_.rope_factors.empty()) {
    const std::array<int64_t, 1> factors = {config_.head_dim / 2};
    weights_.declare(rope_factors_name, GGML_TYPE_F32, factors);
  }
}

void Llama::upload_weights() {
  weights_.allocate();
  weights_.upload("model.embed_tokens.weight", file_.find("model.embed_tokens.weight")->bytes);
  std::vector<float> values;
  for (const auto& [name, vector] : file_.tensors()) {
    if (!is_vector(name) || vector.shape.size() != 1) continue;
    type_of(vector, name);
    values.resize(static_cast<size_t>(vector.elements()));
    core::to_f32(vector.dtype, vector.bytes, values);
    weights_.upload(name, std::as_bytes(std::span(values)));
  }
  if (!config_.rope_factors.empty()) weights_.upload(rope_factors_name, std::as_bytes(std::span(config_.rope_factors)));
}

Linear Llama::linear(const std::string& prefix, std::int64_t rows, std::int64_t columns) const {
  Linear result;
  result.bias = weights_.find(prefix + ".bias");
  if (result.bias != nullptr && result.bias->ne[0] != rows) {
    refuse(core::Error{"bad-file", "The tensor \"" + prefix + ".bias\" has the wrong length.", "Get the file again.",
                       prefix});
  }
  switch (lut::storage_of(file_, prefix)) {
    case lut::Storage::bitsandbytes:
      result.lut = std::make_unique<lut::LutMulMat>(need(lut::read_bitsandbytes(file_, prefix, rows, columns)));
      return result;
    case lut::Storage::lut:
      result.lut = std::make_unique<lut::LutMulMat>(
          need(lut::read_lut(file_, prefix, rows, columns, config_.lut_bits, config_.lut_group_size)));
      return result;
    case lut::Storage::dense:
    case lut::Storage::missing: {
      const std::array<int64_t, 2> shape = {rows, columns};
      const core::TensorView view = need(file_.get(prefix + ".weight", shape));
      type_of(view, prefix + ".weight");
      result.dense = std::make_unique<lut::DenseMulMat>(view);
      return result;
    }
  }
  return result;
}

void Llama::read_blocks() {
  const auto eps = static_cast<float>(config_.rms_norm_eps);
  const int64_t hidden = config_.hidden_size;
  const int64_t queries = config_.num_attention_heads * config_.head_dim;
  const int64_t keys = config_.num_key_value_heads * config_.head_dim;
  const auto norm = [&](const std::string& prefix, int64_t length) {
    graph::RMSNorm result(graph::Scope(weights_, prefix + "."), eps);
    if (result.weight->ne[0] == length) return result;
    refuse(core::Error{"bad-file", "The tensor \"" + prefix + ".weight\" has the wrong length.", "Get the file again.",
                       prefix});
  };
  const auto head_norm = [&](const std::string& prefix) -> std::optional<graph::RMSNorm> {
    if (weights_.find(prefix + ".weight") == nullptr) return std::nullopt;
    return norm(prefix, config_.head_dim);
  };
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    const std::string attention = block + "self_attn.";
    const std::string mlp = block + "mlp.";
    layers_.push_back(Block{
        norm(block + "input_layernorm", hidden),
        Attention{linear(attention + "q_proj", queries, hidden), linear(attention + "k_proj", keys, hidden),
                  linear(attention + "v_proj", keys, hidden), linear(attention + "o_proj", hidden, queries),
                  head_norm(attention + "q_norm"), head_norm(attention + "k_norm"), &config_},
        norm(block + "post_attention_layernorm", hidden),
        Mlp{linear(mlp + "gate_proj", config_.intermediate_size, hidden),
            linear(mlp + "up_proj", config_.intermediate_size, hidden),
            linear(mlp + "down_proj", hidden, config_.intermediate_size)},
    });
  }
  const bool has_head = lut::storage_of(file_, "lm_head") != lut::Storage::missing;
  lm_head_ =
      linear(has_head && !config_.tie_word_embeddings ? "lm_head" : "model.embed_tokens", config_.vocab_size, hidden);
  norm("model.norm", hidden);
}

void Llama::forward(GraphBuilder& g, std::int64_t n) const {
  const graph::Scope scope(weights_, "model.");
  Tensor ids = g.input("ids", GGML_TYPE_I32, {n});
  Tensor positions = g.input("positions", GGML_TYPE_I32, {n});
  Tensor mask = g.input("mask", GGML_TYPE_F32, {n, n});
  graph::Rope rope{static_cast<int>(config_.head_dim), static_cast<float>(config_.rope_theta)};
  rope.freq_factors = weights_.find(rope_factors_name);

  Tensor x = graph::Embedding(scope / "embed_tokens")(g, ids);  // (hidden_size, n)
  for (const Block& layer : layers_) x = layer(g, x, positions, mask, rope);
  x = graph::RMSNorm(scope / "norm", static_cast<float>(config_.rms_norm_eps))(g, x);
  g.output("logits", lm_head_(g, x));  // (vocab_size, n)
}

std::vector<float> Llama::logits(std::span<const std::int32_t> tokens, const std::stop_token& stop) {
  const auto n = static_cast<int64_t>(tokens.size());
  if (n < 1 || n > config_.max_position_embeddings) {
    throw GraphError("bad-input",
                     "The model takes 1 to " + std::to_string(config_.max_position_embeddings) + " tokens, not " +
                         std::to_string(n) + ".",
                     "", "tokens");
  }
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= config_.vocab_size) {
      throw GraphError(
          "bad-input",
          "Token " + std::to_string(token) + " is not in the vocabulary of " + std::to_string(config_.vocab_size) + ".",
          "", "tokens");
    }
  }
  std::vector<std::int32_t> positions(tokens.size());
  std::vector<float> mask(tokens.size() * tokens.size(), 0.0F);
  for (size_t query = 0; query < tokens.size(); ++query) {
    positions[query] = static_cast<std::int32_t>(query);
    for (size_t key = query + 1; key < tokens.size(); ++key)
      mask[query * tokens.size() + key] = -std::numeric_limits<float>::infinity();
  }
  // About thirty nodes a layer.
  graph::Runner runner(*compute_, static_cast<size_t>(64 + 64 * config_.num_hidden_layers));
  runner.build([&](GraphBuilder& g) { forward(g, n); });
  runner.set("ids", std::as_bytes(tokens));
  runner.set("positions", positions);
  runner.set("mask", mask);
  runner.compute(stop);
  return runner.get("logits");
}

}  // namespace lutra::text
