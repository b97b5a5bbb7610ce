#pragma once
#include <cstdint>
#include <cstring>

#include "simd/half.h"

namespace lutra::simd {
namespace {

/// Plain C++, for every machine; the reference of the others.
struct Simd {
  static constexpr const char* name = "scalar";
  static constexpr int byte_offset = 0;
  static constexpr int gemm_tokens = 4;
  static constexpr int tile_rows = 4;  ///< of a convolution: accumulators and inputs fit into the registers
  static constexpr int tile_vectors = 1;

  struct Floats {
    float lane[16];
  };
  struct Ints {
    std::int32_t lane[16];
  };
  struct Bytes {
    std::uint8_t lane[64];
  };

  template <typename Result, typename Body>
  static Result each(const Body& body) {
    Result result;
    for (int i = 0; i < static_cast<int>(sizeof(result.lane) / sizeof(result.lane[0])); ++i) result.lane[i] = body(i);
    return result;
  }

  static Floats floats(float value) {
    return each<Floats>([&](int) { return value; });
  }
  static Floats load(const float* p) {
    return each<Floats>([&](int i) { return p[i]; });
  }
  static Floats load_half(const std::uint16_t* p) {
    return each<Floats>([&](int i) { return half_to_float(p[i]); });
  }
  static Floats load_small(const std::int8_t* p) {
    return each<Floats>([&](int i) { return static_cast<float>(p[i]); });
  }
  static void store(float* p, Floats a) { std::memcpy(p, a.lane, sizeof(a.lane)); }
  static Floats add(Floats a, Floats b) {
    return each<Floats>([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static Floats multiply(Floats a, Floats b) {
    return each<Floats>([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  /// a b + c
  static Floats fma(Floats a, Floats b, Floats c) {
    return each<Floats>([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static Floats maximum(Floats a, Floats b) {
    return each<Floats>([&](int i) { return a.lane[i] < b.lane[i] ? b.lane[i] : a.lane[i]; });
  }
  static float sum(Floats a) {
    float total = 0;
    for (const float value : a.lane) total += value;
    return total;
  }
  static Floats to_floats(Ints a) {
    return each<Floats>([&](int i) { return static_cast<float>(a.lane[i]); });
  }
  static Ints ints(std::int32_t value) {
    return each<Ints>([&](int) { return value; });
  }

  static Bytes load_bytes(const void* p) {
    Bytes result;
    std::memcpy(result.lane, p, sizeof(result.lane));
    return result;
  }
  static void store_bytes(void* p, Bytes a) { std::memcpy(p, a.lane, sizeof(a.lane)); }
  template <int count>
  static Bytes shift_right(Bytes a) {
    return each<Bytes>([&](int i) { return static_cast<std::uint8_t>(a.lane[i] >> count); });
  }
  template <int count>
  static Bytes shift_left(Bytes a) {
    return each<Bytes>([&](int i) { return static_cast<std::uint8_t>(a.lane[i] << count); });
  }
  /// The bits of `mask` from a, the others from b.
  template <int mask>
  static Bytes merge(Bytes a, Bytes b) {
    return each<Bytes>([&](int i) { return static_cast<std::uint8_t>((a.lane[i] & mask) | (b.lane[i] & ~mask)); });
  }
  /// acc + the products of each lane's four weights (from a lookup, or `signed_bytes`) with four activations
  static Ints dot(Ints acc, Bytes weights, const std::int8_t* x) {
    return each<Ints>([&](int i) {
      std::int32_t total = acc.lane[i];
      for (int j = 0; j < 4; ++j) total += static_cast<std::int8_t>(weights.lane[4 * i + j]) * x[j];
      return total;
    });
  }
  /// Signed bytes as `dot` takes them.
  static Bytes signed_bytes(const void* p) { return load_bytes(p); }

  /// One table for all rows: (2^bits) signed bytes.
  template <int bits>
  struct ByteTable {
    std::int8_t entries[1 << bits];
    explicit ByteTable(const std::int8_t* table) { std::memcpy(entries, table, sizeof(entries)); }
    /// Bits above `bits` are ignored.
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      return each<Bytes>([&](int i) { return static_cast<std::uint8_t>(entries[codes.lane[i] & ((1 << bits) - 1)]); });
    }
  };
  /// A table for each of 16 rows: (16, 2^bits).
  template <int bits>
  struct RowByteTable {
    const std::int8_t* entries;
    explicit RowByteTable(const std::int8_t* tables) : entries(tables) {}
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      return each<Bytes>([&](int i) {
        return static_cast<std::uint8_t>(entries[(i / 4 << bits) | (codes.lane[i] & ((1 << bits) - 1))]);
      });
    }
  };
  template <int bits>
  struct FloatTable {
    const float* entries;
    explicit FloatTable(const float* table) : entries(table) {}
    /// The weights of each lane's byte `j`.
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      return each<Floats>([&](int i) { return entries[codes.lane[4 * i + j] & ((1 << bits) - 1)]; });
    }
  };
  template <int bits>
  struct RowFloatTable {
    const float* entries;
    explicit RowFloatTable(const float* tables) : entries(tables) {}
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      return each<Floats>([&](int i) { return entries[(i << bits) | (codes.lane[4 * i + j] & ((1 << bits) - 1))]; });
    }
  };
};

}  // namespace
}  // namespace lutra::simd
