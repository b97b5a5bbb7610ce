#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace lutra::simd {
namespace {

/// AVX2 with FMA and F16C: Haswell, Zen and later. Sixteen lanes are two registers.
struct Simd {
  static constexpr const char* name = "avx2";
  static constexpr int byte_offset = 0;
  static constexpr int gemm_tokens = 3;
  static constexpr int tile_rows = 6;  ///< of a convolution: accumulators and inputs fit into the registers
  static constexpr int tile_vectors = 1;

  struct Floats {
    __m256 low, high;
  };
  struct Ints {
    __m256i low, high;
  };
  struct Bytes {
    __m256i low, high;
  };

  static Floats floats(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static Floats load_half(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(load_128(p)), _mm256_cvtph_ps(load_128(p + 8))};
  }
  static Floats load_small(const std::int8_t* p) {
    const __m128i all = load_128(p);
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(all, 8)))};
  }
  static void store(float* p, Floats a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
  }
  static Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static Floats multiply(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static Floats fma(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static Floats maximum(Floats a, Floats b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static float sum(Floats a) {
    const __m256 all = _mm256_add_ps(a.low, a.high);
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  static Floats to_floats(Ints a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
  static Ints ints(std::int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }

  static Bytes load_bytes(const void* p) {
    const auto* half = static_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(half), _mm256_loadu_si256(half + 1)};
  }
  static void store_bytes(void* p, Bytes a) {
    auto* half = static_cast<__m256i*>(p);
    _mm256_storeu_si256(half, a.low);
    _mm256_storeu_si256(half + 1, a.high);
  }
  template <int count>
  static Bytes shift_right(Bytes a) {
    return {_mm256_srli_epi16(a.low, count), _mm256_srli_epi16(a.high, count)};
  }
  template <int count>
  static Bytes shift_left(Bytes a) {
    return {_mm256_slli_epi16(a.low, count), _mm256_slli_epi16(a.high, count)};
  }
  template <int mask>
  static Bytes merge(Bytes a, Bytes b) {
    const __m256i keep = _mm256_set1_epi8(mask);
    return {_mm256_or_si256(_mm256_and_si256(keep, a.low), _mm256_andnot_si256(keep, b.low)),
            _mm256_or_si256(_mm256_and_si256(keep, a.high), _mm256_andnot_si256(keep, b.high))};
  }
  /// Unsigned times signed is all there is: the weight's sign goes over to the activation. 127 * 127 * 2 fits 16 bits.
  static __m256i dot_half(__m256i acc, __m256i weights, __m256i x) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static Ints dot(Ints acc, Bytes weights, const std::int8_t* x) {
    std::int32_t four = 0;
    std::memcpy(&four, x, sizeof(four));
    const __m256i all = _mm256_set1_epi32(four);
    return {dot_half(acc.low, weights.low, all), dot_half(acc.high, weights.high, all)};
  }
  static Bytes signed_bytes(const void* p) { return load_bytes(p); }

  template <int bits>
  struct ByteTable {
    __m256i entries;
    explicit ByteTable(const std::int8_t* table) {
      alignas(16) std::int8_t all[16];
      for (int i = 0; i < 16; ++i) all[i] = table[i & ((1 << bits) - 1)];
      entries = _mm256_broadcastsi128_si256(load_128(all));
    }
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      const __m256i mask = _mm256_set1_epi8((1 << bits) - 1);
      return {_mm256_shuffle_epi8(entries, _mm256_and_si256(codes.low, mask)),
              _mm256_shuffle_epi8(entries, _mm256_and_si256(codes.high, mask))};
    }
  };
  template <int bits>
  struct RowByteTable {
    const std::int8_t* entries;
    explicit RowByteTable(const std::int8_t* tables) : entries(tables) {}
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      alignas(32) std::uint8_t all[64];
      store_bytes(all, codes);
      for (int i = 0; i < 64; ++i)
        all[i] = static_cast<std::uint8_t>(entries[(i / 4 << bits) | (all[i] & ((1 << bits) - 1))]);
      return load_bytes(all);
    }
  };
  template <int bits>
  struct FloatTable {
    __m256 first, second;
    explicit FloatTable(const float* table) {
      alignas(32) float all[16];
      for (int i = 0; i < 16; ++i) all[i] = table[i & ((1 << bits) - 1)];
      first = _mm256_load_ps(all);
      second = _mm256_load_ps(all + 8);
    }
    [[nodiscard]] __m256 eight(__m256i index) const {
      const __m256 low = _mm256_permutevar8x32_ps(first, index);
      if constexpr (bits < 4) return low;
      // Bit 3 of the code chooses; blendv looks at the sign.
      else
        return _mm256_blendv_ps(low, _mm256_permutevar8x32_ps(second, index),
                                _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
    }
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      return {eight(_mm256_srli_epi32(codes.low, 8 * j)), eight(_mm256_srli_epi32(codes.high, 8 * j))};
    }
  };
  template <int bits>
  struct RowFloatTable {
    const float* entries;
    explicit RowFloatTable(const float* tables) : entries(tables) {}
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      alignas(32) std::uint8_t all[64];
      store_bytes(all, codes);
      alignas(32) float values[16];
      for (int i = 0; i < 16; ++i) values[i] = entries[(i << bits) | (all[4 * i + j] & ((1 << bits) - 1))];
      return load(values);
    }
  };
};

}  // namespace
}  // namespace lutra::simd
