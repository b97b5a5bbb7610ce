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
thread_local std::vector<float> sums_of_values;

constexpr int most_frames = 48;
constexpr int most_rows = 8;
constexpr int most_tile_floats = most_rows * most_frames;
/// Tiles of queries that go through the keys together, a chunk of keys at a time, so that keys and values are read from
/// a core's second cache.
constexpr std::int64_t group_tiles = 8;
constexpr std::int64_t chunk_floats = 24 * 1024;
constexpr float hidden = -3e38F;

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
  const std::int64_t n_keys = k->ne[2];
  const std::int64_t rows = kernels_->rows;
  const std::int64_t key_blocks = round_up(n_keys, rows) / rows;
  const std::int64_t value_blocks = round_up(dim, rows) / rows;
  const std::int64_t tiles = (q->ne[2] + kernels_->frames - 1) / kernels_->frames;

  // With few heads, several threads share one: each lays its keys out again.
  const std::int64_t all_heads = heads * q->ne[3];
  const std::int64_t parts = std::clamp<std::int64_t>(2 * nth / all_heads, 1, tiles);
  const std::int64_t per_part = (tiles + parts - 1) / parts;
  float* packed_keys = scratch(keys, key_blocks * dim * rows);
  float* packed_values = scratch(values, value_blocks * n_keys * rows);

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
    const std::int64_t end = std::min(begin + per_part, tiles);
    for (std::int64_t tile = begin; tile < end; tile += group_tiles) {
      if (stop_.stop_requested()) return;
      attend_group(dst, {head, batch, n_keys, packed_keys, packed_values}, tile, std::min(group_tiles, end - tile));
    }
  }
}

void Attend::attend_group(ggml_tensor* dst, const Head& head, std::int64_t first_tile, std::int64_t tiles) const {
  const ggml_tensor* q = dst->src[0];
  const std::int64_t dim = q->ne[0];
  const std::int64_t n = q->ne[2];
  const std::int64_t rows = kernels_->rows;
  const std::int64_t frames = kernels_->frames;
  const std::int64_t value_blocks = round_up(dim, rows) / rows;
  const std::int64_t totals_size = value_blocks * rows * frames;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
  const std::int64_t chunk = std::max<std::int64_t>(1, chunk_floats / dim / rows) * rows;
  float* turned = scratch(queries, tiles * dim * frames);
  float* weights = scratch(scores, chunk * frames);
  float* totals = scratch(sums_of_values, tiles * totals_size);
  std::fill_n(totals, tiles * totals_size, 0.0F);
  float most[group_tiles][most_frames];
  float sums[group_tiles][most_frames] = {};
  float shrink[most_frames];
  const float no_bias[most_rows] = {};
  float out[most_tile_floats];
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    std::fill_n(most[tile], most_frames, hidden);
    for (std::int64_t f = 0; f < frames; ++f) {
      const std::int64_t query = (first_tile + tile) * frames + f;
      const float* from = query < n ? at(q, head.head, query, head.batch) : nullptr;
      float* target = turned + tile * dim * frames + f;
      for (std::int64_t i = 0; i < dim; ++i) target[i * frames] = from == nullptr ? 0.0F : from[i] * scale;
    }
  }
  for (std::int64_t start = 0; start < head.n_keys; start += chunk) {
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t query = (first_tile + tile) * frames;
      const std::int64_t count = std::min(chunk, keys_of(query, head.n_keys) - start);
      for (std::int64_t key = 0; key < count; key += rows) {
        kernels_->multiply({turned + tile * dim * frames, frames, dim, 1, 1, head.keys + (start + key) * dim, no_bias,
                            weights + key * frames});
      }
      if (count <= 0) continue;
      hide(weights, query, start, count);
      kernels_->soften(weights, count, most[tile], sums[tile], shrink);
      for (std::int64_t b = 0; b < value_blocks; ++b) {
        kernels_->multiply(
            {weights, frames, count, 1, 1, head.values + (b * head.n_keys + start) * rows, no_bias, out});
        float* total = totals + tile * totals_size + b * rows * frames;
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t f = 0; f < frames; ++f)
            total[r * frames + f] = total[r * frames + f] * shrink[f] + out[r * frames + f];
        }
      }
    }
  }
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const std::int64_t query = (first_tile + tile) * frames;
    for (std::int64_t f = 0; f < std::min(frames, n - query); ++f) {
      auto* target =
          reinterpret_cast<float*>(static_cast<char*>(dst->data) + static_cast<std::size_t>(query + f) * dst->nb[1] +
                                   static_cast<std::size_t>(head.batch) * dst->nb[2]) +
          head.head * dim;
      for (std::int64_t i = 0; i < dim; ++i) target[i] = totals[tile * totals_size + i * frames + f] / sums[tile][f];
    }
  }
}

std::int64_t Attend::keys_of(std::int64_t query, std::int64_t n_keys) const {
  return short_sight_ && query >= short_sight_->first ? short_sight_->keys : n_keys;
}

void Attend::hide(float* scores, std::int64_t query, std::int64_t start, std::int64_t count) const {
  const std::int64_t frames = kernels_->frames;
  if (!short_sight_ || query >= short_sight_->first || query + frames <= short_sight_->first) return;
  for (std::int64_t key = std::max<std::int64_t>(0, short_sight_->keys - start); key < count; ++key) {
    for (std::int64_t f = short_sight_->first - query; f < frames; ++f) scores[key * frames + f] = hidden;
  }
}

}  // namespace lutra::dense
