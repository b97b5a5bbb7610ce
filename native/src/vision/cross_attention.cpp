#include "vision/cross_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lut/kernels.h"

namespace lutra::vision {
namespace {

using text::AttentionRows;

/// target = x / rms(x) * norm * scale
void norm_head(const float* x, const std::vector<float>& norm, double eps, float scale, float* target,
               std::int64_t count) {
  if (!norm.empty()) {
    double power = 0;
    for (std::int64_t i = 0; i < count; ++i) power += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    scale *= static_cast<float>(1 / std::sqrt(power / static_cast<double>(count) + eps));
  }
  for (std::int64_t i = 0; i < count; ++i)
    target[i] = x[i] * scale * (norm.empty() ? 1.0F : norm[static_cast<std::size_t>(i)]);
}

}  // namespace

PictureKeys::PictureKeys(text::CacheShape shape, std::int64_t layers, std::int64_t tokens)
    : cache_(shape, layers), tokens_(tokens), real_tokens_(tokens) {
  cache_.reserve(tokens);
}

void Reading::add(const Sight& sight, std::int32_t row) {
  if (sights.empty() || !(sights.back() == sight)) sights.push_back(sight);
  sight_of.push_back(sights.size() - 1);
  media_row.push_back(row);
}

CrossAttend::CrossAttend(const CrossShape& shape, const CrossStep& step, std::int64_t layer,
                         const std::vector<float>& q_norm, double eps)
    : shape_(&shape),
      step_(&step),
      layer_(layer),
      q_norm_(&q_norm),
      eps_(eps),
      kernels_(&text::attention_kernels(lut::best_kernels().name.data())) {}

graph::Tensor CrossAttend::operator()(graph::GraphBuilder& g, graph::Tensor q) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {q->ne[0], q->ne[1], 1, 1};
  return graph::custom<CrossAttend, 1>(g, *this, GGML_TYPE_F32, shape, {q});
}

void CrossAttend::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const std::int64_t rows = dst->ne[1] * (shape_->n_heads / shape_->n_kv_heads);  // that share a head's keys
  constexpr std::int64_t most = AttentionRows::most;
  const std::int64_t pieces = (rows + most - 1) / most;
  for (std::int64_t item = ith; item < pieces * shape_->n_kv_heads; item += nth) {
    const std::int64_t begin = item / shape_->n_kv_heads * most;
    attend_rows(dst, item % shape_->n_kv_heads, begin, static_cast<int>(std::min(most, rows - begin)));
  }
}

void CrossAttend::attend_rows(ggml_tensor* dst, std::int64_t kv_head, std::int64_t begin, int count) const {
  constexpr int most = AttentionRows::most;
  const std::int64_t head_dim = shape_->head_dim;
  const std::int64_t group = shape_->n_heads / shape_->n_kv_heads;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));
  thread_local std::vector<float> queries;
  queries.resize(static_cast<std::size_t>(most * head_dim));
  const bool has_zeros = shape_->zero_vectors > 0;
  AttentionRows rows;
  float maximum[most];
  float sum[most];
  rows.count = count;
  const Sight* sights[most];
  std::size_t next[most] = {};  // span of each row
  for (int i = 0; i < count; ++i) {
    const std::int64_t token = (begin + i) / group;
    const std::int64_t at = token * dst->ne[0] + (kv_head * group + (begin + i) % group) * head_dim;
    float* query = queries.data() + i * head_dim;
    norm_head(static_cast<const float*>(dst->src[0]->data) + at, *q_norm_, eps_, scale, query, head_dim);
    rows.query[i] = query;
    rows.output[i] = static_cast<float*>(dst->data) + at;
    std::fill_n(rows.output[i], head_dim, 0.0F);
    // A zero vector scores 0 and adds nothing but its weight.
    maximum[i] = has_zeros ? 0.0F : -std::numeric_limits<float>::infinity();
    sum[i] = static_cast<float>(shape_->zero_vectors);
    sights[i] = &step_->reading.at(step_->step->first + token);
  }
  rows.maximum = maximum;
  rows.sum = sum;
  // Picture by picture: rows that do not see it see none of its positions.
  while (true) {
    std::int64_t picture = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < count; ++i) {
      if (next[i] < sights[i]->spans.size()) picture = std::min(picture, sights[i]->spans[next[i]].picture);
    }
    if (picture == std::numeric_limits<std::int64_t>::max()) break;
    std::int64_t nearest = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < count; ++i) {
      rows.first[i] = rows.end[i] = -1;
      if (next[i] == sights[i]->spans.size() || sights[i]->spans[next[i]].picture != picture) continue;
      rows.first[i] = sights[i]->spans[next[i]].first;
      rows.end[i] = sights[i]->spans[next[i]].end;
      nearest = std::min(nearest, rows.first[i]);
      ++next[i];
    }
    for (int i = 0; i < count; ++i) {
      if (rows.end[i] == -1) rows.first[i] = rows.end[i] = nearest;
    }
    kernels_->attend(step_->pictures[static_cast<std::size_t>(picture)]->cache(), layer_, kv_head, rows);
  }
  for (int i = 0; i < count; ++i) {
    if (sum[i] == 0) continue;
    for (std::int64_t d = 0; d < head_dim; ++d) rows.output[i][d] /= sum[i];
  }
}

graph::Tensor GatedAdd::operator()(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor y) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {x->ne[0], x->ne[1], 1, 1};
  return graph::custom<GatedAdd, 2>(g, *this, GGML_TYPE_F32, shape, {x, y});
}

void GatedAdd::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token) {
    const bool is_left_out = step_ != nullptr && !step_->reading.at(step_->step->first + token).has_feed_forward;
    const float scale = is_left_out ? 0.0F : scale_;
    const float* x = static_cast<const float*>(dst->src[0]->data) + token * dst->ne[0];
    const float* y = static_cast<const float*>(dst->src[1]->data) + token * dst->ne[0];
    float* to = static_cast<float*>(dst->data) + token * dst->ne[0];
    for (std::int64_t i = 0; i < dst->ne[0]; ++i) to[i] = x[i] + scale * y[i];
  }
}

graph::Tensor StorePicture::operator()(graph::GraphBuilder& g, graph::Tensor k, graph::Tensor v) const {
  return graph::custom<StorePicture, 2>(g, *this, GGML_TYPE_F32, {1, 1, 1, 1}, {k, v});
}

void StorePicture::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* k = dst->src[0];
  const ggml_tensor* v = dst->src[1];
  if (ith == 0) *static_cast<float*>(dst->data) = 0;
  const auto row = [](const ggml_tensor* tensor, std::int64_t token) {
    return reinterpret_cast<const float*>(static_cast<const std::byte*>(tensor->data) +
                                          static_cast<std::size_t>(token) * tensor->nb[1]);
  };
  thread_local std::vector<float> key;
  key.resize(static_cast<std::size_t>(shape_->head_dim));
  const auto [first, last] = graph::share(k->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token) {
    for (std::int64_t head = 0; head < shape_->n_kv_heads; ++head) {
      norm_head(row(k, token) + head * shape_->head_dim, *k_norm_, eps_, 1.0F, key.data(), shape_->head_dim);
      target_->keys->cache().store(layer_, head, target_->first + token, key.data(),
                                   row(v, token) + head * shape_->head_dim);
    }
  }
}

}  // namespace lutra::vision
