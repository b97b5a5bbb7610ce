// Attention over the cache for one instruction set. Included once, after one header of simd/.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "simd/exp.h"
#include "text/attention_kernels.h"

namespace lutra::text {
namespace {

using simd::exp_below_zero;
using simd::Simd;

constexpr std::int64_t lanes = CacheShape::lanes;
constexpr std::int64_t piece = 64;  // positions between two looks at the maximum
constexpr int rows_at_once = AttentionRows::most;
constexpr std::int64_t largest_dim = 1024;
constexpr float minus_infinity = -__builtin_inff();

template <CacheType type>
struct Stored;
template <>
struct Stored<CacheType::f32> {
  using Value = float;
  static Simd::Floats load(const float* p) { return Simd::load(p); }
};
template <>
struct Stored<CacheType::f16> {
  using Value = std::uint16_t;
  static Simd::Floats load(const std::uint16_t* p) { return Simd::load_half(p); }
};
template <>
struct Stored<CacheType::q8> {
  using Value = std::int8_t;
  static Simd::Floats load(const std::int8_t* p) { return Simd::load_small(p); }
};

/// Scores of `pieces` times 16 positions for each row.
template <CacheType type, int n_rows>
inline void score(const typename Stored<type>::Value* keys, const float* key_scales, std::int64_t dim,
                  std::int64_t head_dim, const AttentionRows& rows, std::int64_t n_pieces, float (*scores)[piece]) {
  for (std::int64_t p = 0; p < n_pieces; ++p) {
    Simd::Floats sum[n_rows];
    for (auto& row : sum) row = Simd::floats(0);
    const auto* from = keys + p * dim * lanes;
    for (std::int64_t d = 0; d < head_dim; ++d) {
      const Simd::Floats key = Stored<type>::load(from + d * lanes);
      for (int r = 0; r < n_rows; ++r) sum[r] = Simd::fma(key, Simd::floats(rows.query[r][d]), sum[r]);
    }
    if constexpr (type == CacheType::q8) {
      const Simd::Floats scale = Simd::load(key_scales + p * lanes);
      for (auto& row : sum) row = Simd::multiply(row, scale);
    }
    for (int r = 0; r < n_rows; ++r) Simd::store(scores[r] + p * lanes, sum[r]);
  }
}

/// total += weights x values, two registers of every row at a time.
template <CacheType type, int n_rows, int width>
inline void gather(const typename Stored<type>::Value* values, std::int64_t dim, std::int64_t count,
                   const float (*weights)[piece], float (*totals)[largest_dim]) {
  Simd::Floats sum[n_rows][width];
  for (int r = 0; r < n_rows; ++r) {
    for (int w = 0; w < width; ++w) sum[r][w] = Simd::load(totals[r] + w * lanes);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    Simd::Floats value[width];
    for (int w = 0; w < width; ++w) value[w] = Stored<type>::load(values + i * dim + w * lanes);
    for (int r = 0; r < n_rows; ++r) {
      const Simd::Floats weight = Simd::floats(weights[r][i]);
      for (int w = 0; w < width; ++w) sum[r][w] = Simd::fma(value[w], weight, sum[r][w]);
    }
  }
  for (int r = 0; r < n_rows; ++r) {
    for (int w = 0; w < width; ++w) Simd::store(totals[r] + w * lanes, sum[r][w]);
  }
}

/// Scores to weights: exp(score - maximum). Returns their sum.
inline float soften(float* scores, std::int64_t first_position, std::int64_t first, std::int64_t end, float& maximum,
                    float& shrink) {
  for (std::int64_t i = 0; i < piece; ++i) {
    const std::int64_t position = first_position + i;
    if (position < first || position >= end) scores[i] = minus_infinity;
  }
  Simd::Floats top = Simd::load(scores);
  for (std::int64_t i = lanes; i < piece; i += lanes) top = Simd::maximum(top, Simd::load(scores + i));
  float tops[lanes];
  Simd::store(tops, top);
  float most = maximum;
  for (const float value : tops) most = most < value ? value : most;
  shrink = 1;
  if (most == minus_infinity) {
    for (std::int64_t i = 0; i < piece; ++i) scores[i] = 0;
    return 0;
  }
  if (most > maximum) shrink = maximum == minus_infinity ? 0.0F : exp_below_zero(maximum - most);
  maximum = most;
  for (std::int64_t i = 0; i < piece; ++i) scores[i] = exp_below_zero(scores[i] - most);
  Simd::Floats sum = Simd::load(scores);
  for (std::int64_t i = lanes; i < piece; i += lanes) sum = Simd::add(sum, Simd::load(scores + i));
  return Simd::sum(sum);
}

template <CacheType type, int n_rows>
void attend_rows(const Cache& cache, std::int64_t layer, std::int64_t kv_head, const AttentionRows& rows) {
  using Value = typename Stored<type>::Value;
  const CacheShape& shape = cache.shape();
  const std::int64_t dim = shape.dim();
  alignas(64) float totals[n_rows][largest_dim];
  alignas(64) float scores[n_rows][piece];
  float maximum[n_rows];
  float sum[n_rows];
  const bool is_part = rows.maximum != nullptr;
  std::int64_t first = rows.first[0];
  std::int64_t end = rows.end[0];
  for (int r = 0; r < n_rows; ++r) {
    maximum[r] = is_part ? rows.maximum[r] : minus_infinity;
    sum[r] = is_part ? rows.sum[r] : 0;
    std::memset(totals[r], 0, static_cast<std::size_t>(dim) * sizeof(float));
    if (is_part) std::memcpy(totals[r], rows.output[r], static_cast<std::size_t>(shape.head_dim) * sizeof(float));
    if (rows.first[r] < first) first = rows.first[r];
    if (rows.end[r] > end) end = rows.end[r];
  }
  for (std::int64_t at = first / piece * piece; at < end; at += piece) {
    const std::int64_t within = at % CacheShape::block_positions;
    const std::uint8_t* head = cache.head(layer, at / CacheShape::block_positions, kv_head);
    const auto* keys = reinterpret_cast<const Value*>(head) + within * dim;
    const auto* values = reinterpret_cast<const Value*>(head + shape.half_bytes()) + within * dim;
    const auto* scales = reinterpret_cast<const float*>(head + 2 * shape.half_bytes()) + within;
    const std::int64_t count = end - at < piece ? end - at : piece;
    score<type, n_rows>(keys, scales, dim, shape.head_dim, rows, (count + lanes - 1) / lanes, scores);
    for (int r = 0; r < n_rows; ++r) {
      float shrink = 1;
      const float more = soften(scores[r], at, rows.first[r], rows.end[r], maximum[r], shrink);
      if (shrink != 1) {
        for (std::int64_t d = 0; d < dim; ++d) totals[r][d] *= shrink;
      }
      sum[r] = sum[r] * shrink + more;
      if constexpr (type == CacheType::q8) {
        for (std::int64_t i = 0; i < count; ++i) scores[r][i] *= scales[CacheShape::block_positions + i];
      }
    }
    std::int64_t d = 0;
    const auto from = [&](std::int64_t column) { return reinterpret_cast<float (*)[largest_dim]>(&totals[0][column]); };
    for (; d + 2 * lanes <= dim; d += 2 * lanes) gather<type, n_rows, 2>(values + d, dim, count, scores, from(d));
    for (; d < dim; d += lanes) gather<type, n_rows, 1>(values + d, dim, count, scores, from(d));
  }
  for (int r = 0; r < n_rows; ++r) {
    const float whole = is_part ? 1.0F : sum[r];
    for (std::int64_t d = 0; d < shape.head_dim; ++d) rows.output[r][d] = totals[r][d] / whole;
    if (!is_part) continue;
    rows.maximum[r] = maximum[r];
    rows.sum[r] = sum[r];
  }
}

template <CacheType type, int n_rows>
void with_rows(const Cache& cache, std::int64_t layer, std::int64_t kv_head, const AttentionRows& rows) {
  if constexpr (n_rows > 1) {
    if (rows.count < n_rows) return with_rows<type, n_rows - 1>(cache, layer, kv_head, rows);
  }
  attend_rows<type, n_rows>(cache, layer, kv_head, rows);
}

void attend(const Cache& cache, std::int64_t layer, std::int64_t kv_head, const AttentionRows& rows) {
  switch (cache.shape().type) {
    case CacheType::f32:
      return with_rows<CacheType::f32, rows_at_once>(cache, layer, kv_head, rows);
    case CacheType::f16:
      return with_rows<CacheType::f16, rows_at_once>(cache, layer, kv_head, rows);
    case CacheType::q8:
      return with_rows<CacheType::q8, rows_at_once>(cache, layer, kv_head, rows);
  }
}

constexpr AttentionKernels these_kernels = {Simd::name, attend};

}  // namespace
}  // namespace lutra::text
