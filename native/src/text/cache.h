#pragma once
#include <cstdint>
#include <vector>

#include "core/aligned_bytes.h"
#include "text/config.h"

namespace lutra::text {

/// How keys and values are kept. `q8`: signed bytes with an f32 scale per head and position.
enum class CacheType { f32, f16, q8 };

/// The keys and values of one head for 256 positions: keys (16 pieces, dim, 16 positions), so that the scores of 16
/// positions are one register; values (256 positions, dim); for q8 then scales of keys (256) and of values (256).
/// dim is head_dim rounded up to 16, the rest zero.
struct CacheShape {
  static constexpr std::int64_t block_positions = 256;
  static constexpr std::int64_t lanes = 16;

  CacheType type = CacheType::f16;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;

  [[nodiscard]] std::int64_t dim() const { return (head_dim + lanes - 1) / lanes * lanes; }
  [[nodiscard]] std::int64_t value_bytes() const { return type == CacheType::f32 ? 4 : type == CacheType::f16 ? 2 : 1; }
  [[nodiscard]] std::int64_t half_bytes() const { return block_positions * dim() * value_bytes(); }
  [[nodiscard]] std::int64_t scale_bytes() const { return type == CacheType::q8 ? block_positions * 4 : 0; }
  [[nodiscard]] std::int64_t head_bytes() const { return 2 * (half_bytes() + scale_bytes()); }
};

/// What attention has seen so far, layer by layer. Grows by blocks and never moves what is there.
class Cache {
 public:
  Cache(const Config& config, CacheType type);
  Cache(CacheShape shape, std::int64_t layers);

  [[nodiscard]] const CacheShape& shape() const { return shape_; }
  /// Room for that many positions. Throws `std::bad_alloc`; what was there stays.
  void reserve(std::int64_t positions);
  [[nodiscard]] std::int64_t capacity() const {
    return static_cast<std::int64_t>(layers_.front().size()) * CacheShape::block_positions;
  }
  [[nodiscard]] std::size_t size_bytes() const;

  [[nodiscard]] std::uint8_t* head(std::int64_t layer, std::int64_t block, std::int64_t kv_head) {
    return blocks_of(layer)[static_cast<std::size_t>(block)].data() + kv_head * shape_.head_bytes();
  }
  [[nodiscard]] const std::uint8_t* head(std::int64_t layer, std::int64_t block, std::int64_t kv_head) const {
    return layers_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(block)].data() +
           kv_head * shape_.head_bytes();
  }

  /// Keeps one head's key and value, (head_dim) each, at a position.
  void store(std::int64_t layer, std::int64_t kv_head, std::int64_t position, const float* key, const float* value);

 private:
  [[nodiscard]] std::vector<core::AlignedBytes>& blocks_of(std::int64_t layer) {
    return layers_[static_cast<std::size_t>(layer)];
  }

  CacheShape shape_;
  std::vector<std::vector<core::AlignedBytes>> layers_;
};

}  // namespace lutra::text
