#include "text/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "lut/kernels.h"

namespace lutra::text {

extern const AttentionKernels scalar_attention;
#ifdef LUTRA_X86
extern const AttentionKernels avx2_attention;
extern const AttentionKernels avx512_attention;
#endif
#ifdef LUTRA_NEON
extern const AttentionKernels neon_attention;
#endif

const AttentionKernels& attention_kernels(const char* name) {
  const std::string_view wanted = name;
#ifdef LUTRA_X86
  if (wanted == "avx2") return avx2_attention;
  if (wanted == "avx512") return avx512_attention;
#endif
#ifdef LUTRA_NEON
  if (wanted == "neon") return neon_attention;
#endif
  static_cast<void>(wanted);
  return scalar_attention;
}

void Step::turn(const Config& config, std::int64_t start, std::int64_t n) {
  const std::int64_t half = config.head_dim / 2;
  cos.resize(static_cast<std::size_t>(n * half));
  sin.resize(cos.size());
  for (std::int64_t i = 0; i < half; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(config.head_dim);
    const double factor = config.rope_factors.empty() ? 1.0 : config.rope_factors[static_cast<std::size_t>(i)];
    const double frequency = std::pow(config.rope_theta, -exponent) / factor;
    for (std::int64_t token = 0; token < n; ++token) {
      const double angle = static_cast<double>(start + token) * frequency;
      cos[static_cast<std::size_t>(token * half + i)] = static_cast<float>(std::cos(angle));
      sin[static_cast<std::size_t>(token * half + i)] = static_cast<float>(std::sin(angle));
    }
  }
}

graph::Tensor StoreKeys::operator()(graph::GraphBuilder& g, graph::Tensor q, graph::Tensor k, graph::Tensor v) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {q->ne[0], q->ne[1], 1, 1};
  return graph::custom<StoreKeys, 3>(g, *this, GGML_TYPE_F32, shape, {q, k, v});
}

void StoreKeys::turn(const float* x, const float* norm, std::int64_t token, float* target) const {
  const std::int64_t half = config_->head_dim / 2;
  float scale = 1;
  if (norm != nullptr) {
    float power = 0;
    for (std::int64_t i = 0; i < config_->head_dim; ++i) power += x[i] * x[i];
    scale = 1.0F / std::sqrt(power / static_cast<float>(config_->head_dim) + static_cast<float>(config_->rms_norm_eps));
  }
  const float* cos = step_->cos.data() + token * half;
  const float* sin = step_->sin.data() + token * half;
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = norm == nullptr ? x[i] : x[i] * scale * norm[i];
    const float b = norm == nullptr ? x[half + i] : x[half + i] * scale * norm[half + i];
    target[i] = a * cos[i] - b * sin[i];
    target[half + i] = b * cos[i] + a * sin[i];
  }
}

void StoreKeys::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const std::int64_t head_dim = config_->head_dim;
  const std::int64_t n_heads = config_->num_attention_heads;
  const std::int64_t n_kv_heads = config_->num_key_value_heads;
  const std::int64_t n = dst->ne[1];
  const auto row = [](const ggml_tensor* tensor, std::int64_t token) {
    return reinterpret_cast<const float*>(static_cast<const std::byte*>(tensor->data) +
                                          static_cast<std::size_t>(token) * tensor->nb[1]);
  };
  const auto data = [](graph::Tensor tensor) {
    return tensor == nullptr ? nullptr : static_cast<const float*>(tensor->data);
  };
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  thread_local std::vector<float> key;
  key.resize(static_cast<std::size_t>(head_dim));
  // One item: a key/value head of a token, with the query heads that look at it.
  const auto [first, last] = graph::share(n * n_kv_heads, ith, nth);
  for (std::int64_t item = first; item < last; ++item) {
    const std::int64_t token = item / n_kv_heads;
    const std::int64_t kv_head = item % n_kv_heads;
    const std::int64_t group = n_heads / n_kv_heads;
    float* queries = static_cast<float*>(dst->data) + token * dst->ne[0];
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      float* target = queries + head * head_dim;
      turn(row(dst->src[0], token) + head * head_dim, data(q_norm_), token, target);
      for (std::int64_t i = 0; i < head_dim; ++i) target[i] *= scale;
    }
    turn(row(dst->src[1], token) + kv_head * head_dim, data(k_norm_), token, key.data());
    cache_->store(layer_, kv_head, step_->first + token, key.data(), row(dst->src[2], token) + kv_head * head_dim);
  }
}

Attend::Attend(const Config& config, const Cache& cache, const Step& step, std::int64_t layer)
    : config_(&config),
      cache_(&cache),
      step_(&step),
      layer_(layer),
      kernels_(&attention_kernels(lut::best_kernels().name.data())) {}

graph::Tensor Attend::operator()(graph::GraphBuilder& g, graph::Tensor queries) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {queries->ne[0], queries->ne[1], 1, 1};
  return graph::custom<Attend, 1>(g, *this, GGML_TYPE_F32, shape, {queries});
}

void Attend::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const std::int64_t head_dim = config_->head_dim;
  const std::int64_t group = config_->num_attention_heads / config_->num_key_value_heads;
  const std::int64_t window = config_->window_of(layer_);
  const std::int64_t n_rows = dst->ne[1] * group;  // of one key/value head: tokens, and the heads of each
  constexpr std::int64_t most = AttentionRows::most;
  const std::int64_t pieces = (n_rows + most - 1) / most;
  // Later tokens see more: every thread takes its share of them.
  for (std::int64_t item = ith; item < pieces * config_->num_key_value_heads; item += nth) {
    const std::int64_t kv_head = item % config_->num_key_value_heads;
    const std::int64_t begin = item / config_->num_key_value_heads * most;
    AttentionRows rows;
    rows.count = static_cast<int>(std::min(most, n_rows - begin));
    for (int i = 0; i < rows.count; ++i) {
      const std::int64_t token = (begin + i) / group;
      const std::int64_t head = kv_head * group + (begin + i) % group;
      const std::int64_t at = token * dst->ne[0] + head * head_dim;
      rows.query[i] = static_cast<const float*>(dst->src[0]->data) + at;
      rows.output[i] = static_cast<float*>(dst->data) + at;
      rows.end[i] = step_->first + token + 1;
      rows.first[i] = window == 0 ? 0 : std::max<std::int64_t>(0, rows.end[i] - window);
    }
    kernels_->attend(*cache_, layer_, kv_head, rows);
  }
}

}  // namespace lutra::text
