#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace lutra::simd {
namespace {

/// AVX-512 with VBMI (byte permutation) and VNNI (dot products of bytes): Ice Lake, Zen 4 and later.
struct Simd {
  static constexpr const char* name = "avx512";
  static constexpr int byte_offset = 128;
  static constexpr int gemm_tokens = 6;
  static constexpr int tile_rows = 8;  ///< of a convolution: accumulators and inputs fit into the registers
  static constexpr int tile_vectors = 3;

  using Floats = __m512;
  using Ints = __m512i;
  using Bytes = __m512i;

  static Floats floats(float value) { return _mm512_set1_ps(value); }
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static Floats load_half(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Floats load_small(const std::int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static void store(float* p, Floats a) { _mm512_storeu_ps(p, a); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats maximum(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static float sum(Floats a) { return _mm512_reduce_add_ps(a); }
  static Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
  static Ints ints(std::int32_t value) { return _mm512_set1_epi32(value); }

  static Bytes load_bytes(const void* p) { return _mm512_loadu_si512(p); }
  static void store_bytes(void* p, Bytes a) { _mm512_storeu_si512(p, a); }
  template <int count>
  static Bytes shift_right(Bytes a) {
    return count == 0 ? a : _mm512_srli_epi16(a, count);
  }
  template <int count>
  static Bytes shift_left(Bytes a) {
    return count == 0 ? a : _mm512_slli_epi16(a, count);
  }
  template <int mask>
  static Bytes merge(Bytes a, Bytes b) {
    constexpr int choose = 0xCA;  // first ? second : third
    return _mm512_ternarylogic_epi32(_mm512_set1_epi8(mask), a, b, choose);
  }
  static Ints dot(Ints acc, Bytes weights, const std::int8_t* x) {
    std::int32_t four = 0;
    std::memcpy(&four, x, sizeof(four));
    return _mm512_dpbusd_epi32(acc, weights, _mm512_set1_epi32(four));
  }
  static Bytes signed_bytes(const void* p) {
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(0x80)));
  }

  template <int bits>
  struct ByteTable {
    __m512i entries;  // repeated, because the permutation reads six bits of each code
    explicit ByteTable(const std::int8_t* table) {
      alignas(64) std::uint8_t all[64];
      for (int i = 0; i < 64; ++i) all[i] = static_cast<std::uint8_t>(table[i & ((1 << bits) - 1)] + byte_offset);
      entries = _mm512_load_si512(all);
    }
    [[nodiscard]] Bytes operator()(Bytes codes) const { return _mm512_permutexvar_epi8(codes, entries); }
  };
  template <int bits>
  struct RowByteTable {
    static constexpr __mmask64 upper_rows = 0xFFFFFFFF00000000ULL;
    __m512i part[bits == 4 ? 4 : 2];
    __m512i row;  // the row's place in the index
    explicit RowByteTable(const std::int8_t* tables) {
      alignas(64) std::uint8_t all[256] = {};
      for (int i = 0; i < 16 << bits; ++i) all[i] = static_cast<std::uint8_t>(tables[i] + byte_offset);
      for (int i = 0; i < (bits == 4 ? 4 : 2); ++i) part[i] = _mm512_load_si512(all + 64 * i);
      alignas(64) std::uint8_t rows[64];
      for (int i = 0; i < 64; ++i) rows[i] = static_cast<std::uint8_t>(i / 4 << bits);
      row = _mm512_load_si512(rows);
    }
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      const __m512i index = merge<(1 << bits) - 1>(codes, row);
      const __m512i low = _mm512_permutex2var_epi8(part[0], index, part[1]);
      if constexpr (bits < 4) return low;
      // Seven bits choose among eight rows; the upper eight are looked up apart.
      else
        return _mm512_mask_blend_epi8(upper_rows, low, _mm512_permutex2var_epi8(part[2], index, part[3]));
    }
  };
  template <int bits>
  struct FloatTable {
    __m512 entries;  // repeated, because the permutation reads four bits
    explicit FloatTable(const float* table) {
      alignas(64) float all[16];
      for (int i = 0; i < 16; ++i) all[i] = table[i & ((1 << bits) - 1)];
      entries = _mm512_load_ps(all);
    }
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      return _mm512_permutexvar_ps(j == 0 ? codes : _mm512_srli_epi32(codes, 8 * j), entries);
    }
  };
  template <int bits>
  struct RowFloatTable {
    const float* entries;
    explicit RowFloatTable(const float* tables) : entries(tables) {}
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      const __m512i row =
          _mm512_slli_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), bits);
      const __m512i code = _mm512_and_si512(_mm512_srli_epi32(codes, 8 * j), _mm512_set1_epi32((1 << bits) - 1));
      return _mm512_i32gather_ps(_mm512_or_si512(row, code), entries, 4);
    }
  };
};

}  // namespace
}  // namespace lutra::simd
