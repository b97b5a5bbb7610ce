#include "vision/hyper_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lut/kernels.h"

namespace lutra::vision {

using graph::GraphBuilder;
using graph::Tensor;
using text::AttentionRows;

/// Some rows of queries that share a head's keys, and what is known of their sums so far.
struct HyperAttend::Rows {
  int count = 0;
  const float* query[AttentionRows::most] = {};
  float* output[AttentionRows::most] = {};
  float maximum[AttentionRows::most] = {};
  float sum[AttentionRows::most] = {};
  std::int64_t position[AttentionRows::most] = {};  ///< of the token in the text

  [[nodiscard]] AttentionRows over(const float* const* queries) {
    AttentionRows rows;
    rows.count = count;
    for (int i = 0; i < count; ++i) {
      rows.query[i] = queries[i];
      rows.output[i] = output[i];
    }
    rows.maximum = maximum;
    rows.sum = sum;
    return rows;
  }
};

HyperAttend::HyperAttend(HyperKind kind, const text::Config& config, const CrossStep& step, std::int64_t layer,
                         const std::vector<float>& gate)
    : kind_(kind),
      config_(&config),
      step_(&step),
      layer_(layer),
      gate_(&gate),
      kernels_(&text::attention_kernels(lut::best_kernels().name.data())) {}

Tensor HyperAttend::operator()(GraphBuilder& g, Tensor queries, const text::Attend& own) {
  own_ = &own;
  const std::array<int64_t, GGML_MAX_DIMS> shape = {queries->ne[0], queries->ne[1], 1, 1};
  if (kind_ == HyperKind::joint) return graph::custom<HyperAttend, 1>(g, *this, GGML_TYPE_F32, shape, {queries});
  return graph::custom<HyperAttend, 2>(g, *this, GGML_TYPE_F32, shape, {queries, own(g, queries)});
}

void HyperAttend::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const std::int64_t head_dim = config_->head_dim;
  const std::int64_t n_kv_heads = config_->num_key_value_heads;
  const std::int64_t group = config_->num_attention_heads / n_kv_heads;
  const std::int64_t n_rows = dst->ne[1] * group;
  constexpr std::int64_t most = AttentionRows::most;
  const std::int64_t pieces = (n_rows + most - 1) / most;
  for (std::int64_t item = ith; item < pieces * n_kv_heads; item += nth) {
    const std::int64_t kv_head = item % n_kv_heads;
    const std::int64_t begin = item / n_kv_heads * most;
    Rows rows;
    rows.count = static_cast<int>(std::min(most, n_rows - begin));
    std::int64_t at[most];
    for (int i = 0; i < rows.count; ++i) {
      const std::int64_t token = (begin + i) / group;
      at[i] = token * dst->ne[0] + (kv_head * group + (begin + i) % group) * head_dim;
      rows.query[i] = static_cast<const float*>(dst->src[0]->data) + at[i];
      rows.output[i] = static_cast<float*>(dst->data) + at[i];
      rows.position[i] = step_->step->first + token;
      rows.maximum[i] = -std::numeric_limits<float>::infinity();
      std::fill_n(rows.output[i], head_dim, 0.0F);
    }
    attend_pictures(rows, kv_head);
    if (kind_ == HyperKind::joint) attend_text(rows, kv_head);
    for (int i = 0; i < rows.count; ++i) {
      float* out = rows.output[i];
      if (kind_ == HyperKind::joint) {
        for (std::int64_t d = 0; d < head_dim; ++d) out[d] /= rows.sum[i];
        continue;
      }
      const float* text = static_cast<const float*>(dst->src[1]->data) + at[i];
      const float* gate = gate_->data() + at[i] % dst->ne[0];
      if (rows.sum[i] == 0) {
        std::copy_n(text, head_dim, out);
        continue;
      }
      for (std::int64_t d = 0; d < head_dim; ++d) out[d] = text[d] * (1 - gate[d]) + out[d] / rows.sum[i] * gate[d];
    }
  }
}

void HyperAttend::attend_pictures(Rows& rows, std::int64_t kv_head) const {
  const std::int64_t head_dim = config_->head_dim;
  const std::int64_t half = head_dim / 2;
  thread_local std::vector<float> turned;
  turned.resize(static_cast<std::size_t>(AttentionRows::most * head_dim));
  const float* queries[AttentionRows::most];
  for (int i = 0; i < rows.count; ++i) queries[i] = turned.data() + i * head_dim;
  for (std::size_t picture = 0; picture < step_->pictures.size(); ++picture) {
    AttentionRows part = rows.over(queries);
    const std::int64_t tokens = step_->pictures[picture]->tokens();
    bool is_seen = false;
    for (int i = 0; i < rows.count; ++i) {
      const auto& spans = step_->reading.at(rows.position[i]).spans;
      // A token sees the pictures up to some one.
      part.first[i] = 0;
      part.end[i] = picture < spans.size() ? tokens : 0;
      is_seen = is_seen || part.end[i] > 0;
    }
    if (!is_seen) continue;
    const float* cosines = step_->reading.picture_turns[picture].data();
    const float* sines = cosines + half;
    for (int i = 0; i < rows.count; ++i) {
      const float* query = rows.query[i];
      float* target = turned.data() + i * head_dim;
      for (std::int64_t d = 0; d < half; ++d) {
        target[d] = query[d] * cosines[d] + query[half + d] * sines[d];
        target[half + d] = query[half + d] * cosines[d] - query[d] * sines[d];
      }
    }
    kernels_->attend(step_->pictures[picture]->cache(), layer_, kv_head, part);
  }
}

void HyperAttend::attend_text(Rows& rows, std::int64_t kv_head) const {
  AttentionRows part = rows.over(rows.query);
  for (int i = 0; i < rows.count; ++i) part.end[i] = rows.position[i] + 1;
  kernels_->attend(own_->cache(), own_->layer(), kv_head, part);
}

std::vector<float> turn_of(const text::Config& config, std::int64_t position) {
  const std::int64_t half = config.head_dim / 2;
  std::vector<float> turn(static_cast<std::size_t>(config.head_dim));
  for (std::int64_t i = 0; i < half; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(config.head_dim);
    const double factor = config.rope_factors.empty() ? 1.0 : config.rope_factors[static_cast<std::size_t>(i)];
    const double angle = static_cast<double>(position) * std::pow(config.rope_theta, -exponent) / factor;
    turn[static_cast<std::size_t>(i)] = static_cast<float>(std::cos(angle));
    turn[static_cast<std::size_t>(half + i)] = static_cast<float>(std::sin(angle));
  }
  return turn;
}

Tensor StoreHyper::operator()(GraphBuilder& g, Tensor kv) const {
  return graph::custom<StoreHyper, 1>(g, *this, GGML_TYPE_F32, {1, 1, 1, 1}, {kv});
}

void StoreHyper::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* kv = dst->src[0];
  if (ith == 0) *static_cast<float*>(dst->data) = 0;
  const auto [first, last] = graph::share(kv->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token) {
    const auto* row = reinterpret_cast<const float*>(static_cast<const std::byte*>(kv->data) +
                                                     static_cast<std::size_t>(token) * kv->nb[1]);
    for (std::int64_t head = 0; head < shape_->n_kv_heads; ++head) {
      const float* key = row + 2 * head * shape_->head_dim;
      target_->keys->cache().store(layer_, head, target_->first + token, key, key + shape_->head_dim);
    }
  }
}

}  // namespace lutra::vision
