#include "text/cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/dtype.h"

namespace lutra::text {
namespace {

/// Signed bytes of a vector, and their scale.
float round_to_bytes(const float* values, std::int64_t count, std::int8_t* target, std::int64_t stride) {
  constexpr float largest = 127;
  float most = 0;
  for (std::int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(values[i]));
  const float inverse = most > 0 ? largest / most : 0;
  for (std::int64_t i = 0; i < count; ++i)
    target[i * stride] = static_cast<std::int8_t>(std::nearbyint(values[i] * inverse));
  return most / largest;
}

}  // namespace

Cache::Cache(const Config& config, CacheType type)
    : Cache(CacheShape{type, config.num_key_value_heads, config.head_dim}, config.num_hidden_layers) {}

Cache::Cache(CacheShape shape, std::int64_t layers) : shape_(shape), layers_(static_cast<std::size_t>(layers)) {}

void Cache::reserve(std::int64_t positions) {
  const auto blocks =
      static_cast<std::size_t>((positions + CacheShape::block_positions - 1) / CacheShape::block_positions);
  for (auto& layer : layers_) {
    while (layer.size() < blocks)
      layer.push_back(core::AlignedBytes::zeroed(static_cast<std::size_t>(shape_.n_kv_heads * shape_.head_bytes())));
  }
}

std::size_t Cache::size_bytes() const {
  std::size_t bytes = 0;
  for (const auto& layer : layers_) {
    for (const auto& block : layer) bytes += block.size();
  }
  return bytes;
}

void Cache::store(std::int64_t layer, std::int64_t kv_head, std::int64_t position, const float* key,
                  const float* value) {
  const std::int64_t within = position % CacheShape::block_positions;
  const std::int64_t dim = shape_.dim();
  constexpr std::int64_t lanes = CacheShape::lanes;
  std::uint8_t* head_bytes = head(layer, position / CacheShape::block_positions, kv_head);
  const std::int64_t key_at = within / lanes * dim * lanes + within % lanes;
  const std::int64_t value_at = within * dim;
  std::uint8_t* value_bytes = head_bytes + shape_.half_bytes();
  switch (shape_.type) {
    case CacheType::f32: {
      auto* keys = reinterpret_cast<float*>(head_bytes) + key_at;
      for (std::int64_t i = 0; i < shape_.head_dim; ++i) keys[i * lanes] = key[i];
      std::copy(value, value + shape_.head_dim, reinterpret_cast<float*>(value_bytes) + value_at);
      return;
    }
    case CacheType::f16: {
      auto* keys = reinterpret_cast<std::uint16_t*>(head_bytes) + key_at;
      auto* values = reinterpret_cast<std::uint16_t*>(value_bytes) + value_at;
      for (std::int64_t i = 0; i < shape_.head_dim; ++i) {
        keys[i * lanes] = core::f32_to_f16(key[i]);
        values[i] = core::f32_to_f16(value[i]);
      }
      return;
    }
    case CacheType::q8: {
      auto* scales = reinterpret_cast<float*>(head_bytes + 2 * shape_.half_bytes());
      scales[within] = round_to_bytes(key, shape_.head_dim, reinterpret_cast<std::int8_t*>(head_bytes) + key_at, lanes);
      scales[CacheShape::block_positions + within] =
          round_to_bytes(value, shape_.head_dim, reinterpret_cast<std::int8_t*>(value_bytes) + value_at, 1);
      return;
    }
  }
}

}  // namespace lutra::text
