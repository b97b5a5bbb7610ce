#include "audio/t5.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "audio/checkpoint.h"
#include "graph/need.h"

namespace lutra::audio {

using graph::GraphBuilder;
using graph::GraphError;
using graph::need;
using graph::Tensor;

namespace {

constexpr std::size_t tensors_per_layer = 12;

/// Which distance a pair of positions counts as (transformers' T5Attention._relative_position_bucket, both ways): half
/// of the buckets for each side, half of those exact, the rest by the logarithm.
std::int64_t bucket_of(std::int64_t relative, std::int64_t buckets, std::int64_t most_distance) {
  const std::int64_t side = buckets / 2;
  const std::int64_t first = relative > 0 ? side : 0;
  const std::int64_t distance = std::abs(relative);
  const std::int64_t exact = side / 2;
  if (distance < exact) return first + distance;
  const float share = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(most_distance) / static_cast<double>(exact)));
  const auto far = exact + static_cast<std::int64_t>(share * static_cast<float>(side - exact));
  return first + std::min(far, side - 1);
}

}  // namespace

T5::T5(const std::string& folder, const graph::Compute& compute, const core::Progress& progress)
    : config_(need(T5Config::read(folder))),
      file_(need(core::Safetensors::open(folder))),
      compute_(&compute),
      parameters_(compute, WeightType::f32, static_cast<std::size_t>(config_.num_layers) * tensors_per_layer + 4) {
  const std::int64_t d = config_.d_model;
  const std::int64_t inner = config_.num_heads * config_.d_kv;
  using Shape = std::vector<std::int64_t>;
  const auto get = [&](const std::string& name, const Shape& shape) { return need(file_.get(name, shape)); };
  const auto dense = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    return parameters_.dense(name, get(name + ".weight", Shape{rows, columns}), nullptr, progress);
  };
  embedding_ = get(file_.find("shared.weight") != nullptr ? "shared.weight" : "encoder.embed_tokens.weight",
                   Shape{config_.vocab_size, d});
  for (std::int64_t i = 0; i < config_.num_layers; ++i) {
    const std::string block = "encoder.block." + std::to_string(i) + ".layer.";
    const std::string attention = block + "0.SelfAttention.";
    const std::string feed_forward = block + "1.DenseReluDense.";
    Tensor attention_norm = parameters_.tensor(block + "0.layer_norm", get(block + "0.layer_norm.weight", Shape{d}));
    Dense q = dense(attention + "q", inner, d);
    Dense k = dense(attention + "k", inner, d);
    Dense v = dense(attention + "v", inner, d);
    Dense o = dense(attention + "o", d, inner);
    Tensor feed_forward_norm = parameters_.tensor(block + "1.layer_norm", get(block + "1.layer_norm.weight", Shape{d}));
    std::vector<Dense> wi;
    for (const char* name : {"wi_0", "wi_1"}) {
      if (config_.is_gated) wi.push_back(dense(feed_forward + name, config_.d_ff, d));
    }
    if (!config_.is_gated) wi.push_back(dense(feed_forward + "wi", config_.d_ff, d));
    Dense wo = dense(feed_forward + "wo", d, config_.d_ff);
    layers_.push_back({attention_norm, std::move(q), std::move(k), std::move(v), std::move(o), feed_forward_norm,
                       std::move(wi), std::move(wo)});
  }
  const std::string relative = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
  relative_ =
      Checkpoint::floats(get(relative, Shape{config_.relative_attention_num_buckets, config_.num_heads}), relative);
  final_norm_ = parameters_.tensor("encoder.final_layer_norm", get("encoder.final_layer_norm.weight", Shape{d}));
  parameters_.upload(progress);
}

Tensor T5::norm(GraphBuilder& g, Tensor x, Tensor weight) const {
  return ggml_mul(g, ggml_rms_norm(g, x, static_cast<float>(config_.layer_norm_epsilon)), weight);
}

std::vector<float> T5::scores_bias(std::span<const std::int32_t> mask) const {
  const auto n = static_cast<std::int64_t>(mask.size());
  std::vector<float> bias(static_cast<std::size_t>(config_.num_heads * n * n));
  float* next = bias.data();
  for (std::int64_t head = 0; head < config_.num_heads; ++head) {
    for (std::int64_t q = 0; q < n; ++q) {
      for (std::int64_t k = 0; k < n; ++k) {
        const std::int64_t bucket =
            bucket_of(k - q, config_.relative_attention_num_buckets, config_.relative_attention_max_distance);
        *next++ = mask[static_cast<std::size_t>(k)] == 0
                      ? -std::numeric_limits<float>::infinity()
                      : relative_[static_cast<std::size_t>(bucket * config_.num_heads + head)];
      }
    }
  }
  return bias;
}

std::vector<float> T5::encode(std::span<const std::int32_t> ids, std::span<const std::int32_t> mask,
                              const std::stop_token& stop) {
  const auto n = static_cast<std::int64_t>(ids.size());
  const auto d = static_cast<std::size_t>(config_.d_model);
  if (n == 0 || mask.size() != ids.size())
    throw GraphError("bad-input", "There are no tokens, or not as many mask values.");
  if (std::all_of(mask.begin(), mask.end(), [](std::int32_t one) { return one == 0; }))
    return std::vector<float>(ids.size() * d);
  std::vector<float> embedded(ids.size() * d);
  const std::size_t row_bytes = d * core::size_of(embedding_.dtype);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= config_.vocab_size)
      throw GraphError("bad-input", "The token " + std::to_string(ids[i]) + " is not in T5's vocabulary.",
                       "The tokenizer belongs to another model.", "input_ids");
    core::to_f32(embedding_.dtype, embedding_.bytes.subspan(static_cast<std::size_t>(ids[i]) * row_bytes, row_bytes),
                 {embedded.data() + i * d, d});
  }
  graph::Runner runner(*compute_);
  runner.build([&](GraphBuilder& g) {
    Tensor x = g.input("x", GGML_TYPE_F32, {config_.d_model, n});
    Tensor bias = g.input("bias", GGML_TYPE_F32, {n, n, config_.num_heads});
    const auto heads = [&](Tensor y) {  // (d_kv, n, heads)
      return ggml_cont(g, ggml_permute(g, ggml_reshape_3d(g, y, config_.d_kv, config_.num_heads, n), 0, 2, 1, 3));
    };
    for (Layer& layer : layers_) {
      Tensor y = norm(g, x, layer.attention_norm);
      y = graph::plain_attention(g, heads(layer.q(g, y)), heads(layer.k(g, y)), heads(layer.v(g, y)), bias, 1.0F);
      x = ggml_add(g, x, layer.o(g, y));
      y = norm(g, x, layer.feed_forward_norm);
      Tensor inner = layer.wi[0](g, y);
      if (config_.is_gated)
        inner = ggml_mul(g, ggml_gelu(g, inner), layer.wi[1](g, y));
      else
        inner = ggml_relu(g, inner);
      x = ggml_add(g, x, layer.wo(g, inner));
    }
    g.output("states", norm(g, x, final_norm_));
  });
  runner.set("x", embedded);
  runner.set("bias", scores_bias(mask));
  runner.compute(stop);
  auto states = runner.get("states");
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (mask[i] == 0) std::fill_n(states.begin() + static_cast<std::ptrdiff_t>(i * d), d, 0.0F);
  }
  return states;
}

}  // namespace lutra::audio
