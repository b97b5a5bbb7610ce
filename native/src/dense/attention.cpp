#include "dense/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lutra::dense {
namespace {

thread_local std::vector<float> keys;
thread_local std::vector<float> values;
thread_local std::vector<float> queries;
thread_local std::vector<float> scores;

constexpr int most_frames = 48;
constexpr int most_tile_floats = 8 * most_frames;

float* scratch(std::vector<float>& memory, std::int64_t floats) {
  if (memory.size() < static_cast<std::size_t>(floats)) memory.resize(static_cast<std::size_t>(floats));
  return memory.data();
}

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

/// A head's vector at a position.
const float* at(const ggml_tensor* x, std::int64_t head, std::int64_t position, std::int64_t batch) {
  return reinterpret_cast<const float*>(static_cast<const char*>(x->data) + static_cast<std::size_t>(head) * x->nb[1] +
                                        static_cast<std::size_t>(position) * x->nb[2] +
                                        static_cast<std::size_t>(batch) * x->nb[3]);
}

}  // namespace

graph::Tensor Attend::operator()(graph::GraphBuilder& g, graph::Tensor q, graph::Tensor k, graph::Tensor v) const {
  return graph::custom<Attend, 3>(g, *this, GGML_TYPE_F32, {q->ne[0] * q->ne[1], q->ne[2], q->ne[3], 1}, {q, k, v});
}

void Attend::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* q = dst->src[0];
  const ggml_tensor* k = dst->src[1];
  const ggml_tensor* v = dst->src[2];
  const std::int64_t dim = q->ne[0];
  const std::int64_t heads = q->ne[1];
  const std::int64_t n = q->ne[2];
  const std::int64_t n_keys = k->ne[2];
  const std::int64_t rows = kernels_->rows;
  const std::int64_t frames = kernels_->frames;
  const std::int64_t key_blocks = round_up(n_keys, rows) / rows;
  const std::int64_t value_blocks = round_up(dim, rows) / rows;
  const std::int64_t query_blocks = (n + frames - 1) / frames;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));

  // With few heads, several threads share one: each lays its keys out again.
  const std::int64_t all_heads = heads * q->ne[3];
  const std::int64_t parts = std::clamp<std::int64_t>(2 * nth / all_heads, 1, query_blocks);
  const std::int64_t per_part = (query_blocks + parts - 1) / parts;
  float* packed_keys = scratch(keys, key_blocks * dim * rows);
  float* packed_values = scratch(values, value_blocks * n_keys * rows);
  float* turned = scratch(queries, dim * frames);
  float* weights = scratch(scores, key_blocks * rows * frames);
  const std::vector<float> no_bias(static_cast<std::size_t>(rows), 0.0F);
  float out[most_tile_floats];
  float sums[most_frames];

  const auto [first, last] = graph::share(all_heads * parts, ith, nth);
  for (std::int64_t item = first; item < last; ++item) {
    const std::int64_t batch = item / parts / heads;
    const std::int64_t head = item / parts % heads;
    const std::int64_t kv_head = head / (heads / k->ne[1]);
    for (std::int64_t key = 0; key < key_blocks * rows; ++key) {
      float* target = packed_keys + key / rows * dim * rows + key % rows;
      const float* from = key < n_keys ? at(k, kv_head, key, batch) : nullptr;
      for (std::int64_t i = 0; i < dim; ++i) target[i * rows] = from == nullptr ? 0.0F : from[i];
    }
    for (std::int64_t key = 0; key < n_keys; ++key) {
      const float* from = at(v, kv_head, key, batch);
      for (std::int64_t block = 0; block < value_blocks; ++block) {
        float* target = packed_values + (block * n_keys + key) * rows;
        for (std::int64_t r = 0; r < rows; ++r) target[r] = block * rows + r < dim ? from[block * rows + r] : 0.0F;
      }
    }
    const std::int64_t begin = item % parts * per_part;
    for (std::int64_t block = begin; block < std::min(begin + per_part, query_blocks); ++block) {
      if (stop_.stop_requested()) return;
      const std::int64_t start = block * frames;
      const std::int64_t count = std::min(frames, n - start);
      for (std::int64_t f = 0; f < frames; ++f) {
        const float* from = f < count ? at(q, head, start + f, batch) : nullptr;
        for (std::int64_t i = 0; i < dim; ++i) turned[i * frames + f] = from == nullptr ? 0.0F : from[i] * scale;
      }
      for (std::int64_t b = 0; b < key_blocks; ++b) {
        kernels_->multiply(
            {turned, frames, dim, 1, 1, packed_keys + b * dim * rows, no_bias.data(), weights + b * rows * frames});
      }
      const std::int64_t seen = hide(weights, start, n_keys);
      kernels_->softmax(weights, seen, sums);
      for (std::int64_t b = 0; b < value_blocks; ++b) {
        kernels_->multiply({weights, frames, seen, 1, 1, packed_values + b * n_keys * rows, no_bias.data(), out});
        const std::int64_t used = std::min(rows, dim - b * rows);
        for (std::int64_t f = 0; f < count; ++f) {
          auto* target = reinterpret_cast<float*>(static_cast<char*>(dst->data) +
                                                  static_cast<std::size_t>(start + f) * dst->nb[1] +
                                                  static_cast<std::size_t>(batch) * dst->nb[2]);
          for (std::int64_t r = 0; r < used; ++r) target[head * dim + b * rows + r] = out[r * frames + f] / sums[f];
        }
      }
    }
  }
}

std::int64_t Attend::hide(float* scores, std::int64_t start, std::int64_t n_keys) const {
  const std::int64_t frames = kernels_->frames;
  if (!short_sight_ || start + frames <= short_sight_->first) return n_keys;
  if (start >= short_sight_->first) return short_sight_->keys;
  constexpr float hidden = -3e38F;
  for (std::int64_t key = short_sight_->keys; key < n_keys; ++key) {
    for (std::int64_t f = short_sight_->first - start; f < frames; ++f) scores[key * frames + f] = hidden;
  }
  return n_keys;
}

}  // namespace lutra::dense
