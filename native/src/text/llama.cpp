#include "text/llama.h"

#include "graph/error.h"
#include "text/loader.h"

namespace lutra::text {

using graph::GraphBuilder;
using graph::need;
using graph::Tensor;

Tensor Llama::Embedding::operator()(GraphBuilder& g, Tensor ids) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {weight_.shape[1], ids->ne[0], 1, 1};
  return graph::custom<Embedding, 1>(g, *this, GGML_TYPE_F32, shape, {ids});
}

void Llama::Embedding::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const auto* ids = static_cast<const std::int32_t*>(dst->src[0]->data);
  const auto width = static_cast<size_t>(dst->ne[0]);
  const size_t row_bytes = width * core::size_of(weight_.dtype);
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  for (int64_t i = first; i < last; ++i) {
    float* row = static_cast<float*>(dst->data) + static_cast<size_t>(i) * width;
    core::to_f32(weight_.dtype, weight_.bytes.subspan(static_cast<size_t>(ids[i]) * row_bytes, row_bytes),
                 {row, width});
  }
}

Llama::Llama(Config config, core::Safetensors file, const graph::Compute& compute, lut::Precision precision)
    : config_(std::move(config)),
      file_(std::move(file)),
      compute_(&compute),
      precision_(precision),
      weights_(compute, file_.tensors().size() + 1) {}

std::unique_ptr<Llama> Llama::load(const std::string& folder, const graph::Compute& compute, lut::Precision precision,
                                   const core::Progress& progress) {
  LlamaSource source{need(Config::read(folder)), need(core::Safetensors::open(folder)), folder};
  return load(std::move(source), compute, precision, progress);
}

std::unique_ptr<Llama> Llama::load(LlamaSource source, const graph::Compute& compute, lut::Precision precision,
                                   const core::Progress& progress) {
  std::unique_ptr<Llama> model(new Llama(source.config, source.file, compute, precision));
  Loader(*model, std::move(source), progress).load();
  return model;
}

std::string Llama::kernel() const {
  const std::string kind = precision_ == lut::Precision::fast ? "int8" : "f32";
  constexpr int q8_bits = 8;  // what 16-bit weights become
  const int bits = bits_ == 16 && precision_ == lut::Precision::fast ? q8_bits : bits_;
  return std::to_string(bits) + "-bit " + std::string(lut::best_kernels().name) + " " + kind;
}

void Llama::observe(AllStatistics& all) {
  for (auto& [input_layernorm, self_attn, post_attention_layernorm, mlp] : layers_) {
    for (Projections* projections : {&self_attn.qkv_proj, &self_attn.o_proj, &mlp.gate_up_proj, &mlp.down_proj}) {
      projections->observe(all);
    }
  }
}

std::vector<LayerAttention> Llama::attention_over(Cache& cache, const Step& step) const {
  std::vector<LayerAttention> result;
  for (std::int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    const SelfAttention& attention = layers_[static_cast<size_t>(layer)].self_attn;
    result.push_back({StoreKeys(config_, cache, step, layer, attention.q_norm, attention.k_norm),
                      Attend(config_, cache, step, layer)});
  }
  return result;
}

void Llama::forward(GraphBuilder& g, std::int64_t n, std::span<const LayerAttention> layers, bool all_logits,
                    const ResidualTap& tap, const ResidualTap& before, const AttentionTap& attend) {
  Tensor x = (*embed_tokens_)(g, g.input("ids", GGML_TYPE_I32, {n}));  // (hidden_size, n)
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    auto& [input_layernorm, self_attn, post_attention_layernorm, mlp] = layers_[i];
    if (before) x = before(g, static_cast<std::int64_t>(i), x);
    const auto qkv = self_attn.qkv_proj(g, x, &input_layernorm);
    Tensor q = layers[i].store(g, qkv[0], qkv[1], qkv[2]);  // (head_dim * n_heads, n)
    Tensor y = attend ? attend(g, static_cast<std::int64_t>(i), q, layers[i].attend) : layers[i].attend(g, q);
    x = self_attn.o_proj.added(g, y, x);
    x = mlp.down_proj.added(g, mlp.gate_up_proj.gated(g, x, post_attention_layernorm), x);
    if (tap) x = tap(g, static_cast<std::int64_t>(i), x);
  }
  if (before) x = before(g, config_.num_hidden_layers, x);
  if (!lm_head_) {
    g.output("residual", x);
    return;
  }
  if (!all_logits) x = ggml_view_2d(g, x, x->ne[0], 1, x->nb[1], static_cast<size_t>(x->ne[1] - 1) * x->nb[1]);
  g.output("logits", (*lm_head_)(g, x, &*norm_).front());  // (vocab_size, n or 1)
}

}  // namespace lutra::text
