#pragma once
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace lutra::simd {
namespace {

/// 64-bit ARM with dot products (ARMv8.2): Apple's chips, Graviton 2, Cortex-A76 and later. Four registers of four.
struct Simd {
  static constexpr const char* name = "neon";
  static constexpr int byte_offset = 0;
  static constexpr int gemm_tokens = 4;
  static constexpr int tile_rows = 6;  ///< of a convolution: accumulators and inputs fit into the registers
  static constexpr int tile_vectors = 1;

  struct Floats {
    float32x4_t part[4];
  };
  struct Ints {
    int32x4_t part[4];
  };
  struct Bytes {
    uint8x16_t part[4];
  };

  template <typename Result, typename Body>
  static Result each(const Body& body) {
    return {{body(0), body(1), body(2), body(3)}};
  }

  static Floats floats(float value) {
    return each<Floats>([&](int) { return vdupq_n_f32(value); });
  }
  static Floats load(const float* p) {
    return each<Floats>([&](int i) { return vld1q_f32(p + 4 * i); });
  }
  static Floats load_half(const std::uint16_t* p) {
    return each<Floats>([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
  }
  static Floats load_small(const std::int8_t* p) {
    const int8x16_t all = vld1q_s8(p);
    const int16x8_t half[2] = {vmovl_s8(vget_low_s8(all)), vmovl_s8(vget_high_s8(all))};
    return each<Floats>([&](int i) {
      const int16x8_t from = half[i / 2];
      return vcvtq_f32_s32(vmovl_s16(i % 2 == 0 ? vget_low_s16(from) : vget_high_s16(from)));
    });
  }
  static void store(float* p, Floats a) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.part[i]);
  }
  static Floats add(Floats a, Floats b) {
    return each<Floats>([&](int i) { return vaddq_f32(a.part[i], b.part[i]); });
  }
  static Floats multiply(Floats a, Floats b) {
    return each<Floats>([&](int i) { return vmulq_f32(a.part[i], b.part[i]); });
  }
  static Floats fma(Floats a, Floats b, Floats c) {
    return each<Floats>([&](int i) { return vfmaq_f32(c.part[i], a.part[i], b.part[i]); });
  }
  static Floats maximum(Floats a, Floats b) {
    return each<Floats>([&](int i) { return vmaxq_f32(a.part[i], b.part[i]); });
  }
  static float sum(Floats a) {
    return vaddvq_f32(vaddq_f32(vaddq_f32(a.part[0], a.part[1]), vaddq_f32(a.part[2], a.part[3])));
  }
  static Floats to_floats(Ints a) {
    return each<Floats>([&](int i) { return vcvtq_f32_s32(a.part[i]); });
  }
  static Ints ints(std::int32_t value) {
    return each<Ints>([&](int) { return vdupq_n_s32(value); });
  }

  static Bytes load_bytes(const void* p) {
    return each<Bytes>([&](int i) { return vld1q_u8(static_cast<const std::uint8_t*>(p) + 16 * i); });
  }
  static void store_bytes(void* p, Bytes a) {
    for (int i = 0; i < 4; ++i) vst1q_u8(static_cast<std::uint8_t*>(p) + 16 * i, a.part[i]);
  }
  template <int count>
  static Bytes shift_right(Bytes a) {
    if constexpr (count == 0)
      return a;
    else
      return each<Bytes>([&](int i) { return vshrq_n_u8(a.part[i], count); });
  }
  template <int count>
  static Bytes shift_left(Bytes a) {
    return each<Bytes>([&](int i) { return vshlq_n_u8(a.part[i], count); });
  }
  template <int mask>
  static Bytes merge(Bytes a, Bytes b) {
    return each<Bytes>([&](int i) { return vbslq_u8(vdupq_n_u8(mask), a.part[i], b.part[i]); });
  }
  static Ints dot(Ints acc, Bytes weights, const std::int8_t* x) {
    std::int32_t four = 0;
    std::memcpy(&four, x, sizeof(four));
    const int8x16_t all = vreinterpretq_s8_s32(vdupq_n_s32(four));
    return each<Ints>([&](int i) { return vdotq_s32(acc.part[i], vreinterpretq_s8_u8(weights.part[i]), all); });
  }
  static Bytes signed_bytes(const void* p) { return load_bytes(p); }

  template <int bits>
  struct ByteTable {
    uint8x16_t entries;
    explicit ByteTable(const std::int8_t* table) {
      std::uint8_t all[16];
      for (int i = 0; i < 16; ++i) all[i] = static_cast<std::uint8_t>(table[i & ((1 << bits) - 1)]);
      entries = vld1q_u8(all);
    }
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      const uint8x16_t mask = vdupq_n_u8((1 << bits) - 1);
      return each<Bytes>([&](int i) { return vqtbl1q_u8(entries, vandq_u8(codes.part[i], mask)); });
    }
  };
  template <int bits>
  struct RowByteTable {
    const std::int8_t* entries;
    explicit RowByteTable(const std::int8_t* tables) : entries(tables) {}
    [[nodiscard]] Bytes operator()(Bytes codes) const {
      std::uint8_t all[64];
      store_bytes(all, codes);
      for (int i = 0; i < 64; ++i)
        all[i] = static_cast<std::uint8_t>(entries[(i / 4 << bits) | (all[i] & ((1 << bits) - 1))]);
      return load_bytes(all);
    }
  };
  template <int bits>
  struct FloatTable {
    const float* entries;
    explicit FloatTable(const float* table) : entries(table) {}
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      std::uint8_t all[64];
      store_bytes(all, codes);
      float values[16];
      for (int i = 0; i < 16; ++i) values[i] = entries[all[4 * i + j] & ((1 << bits) - 1)];
      return load(values);
    }
  };
  template <int bits>
  struct RowFloatTable {
    const float* entries;
    explicit RowFloatTable(const float* tables) : entries(tables) {}
    template <int j>
    [[nodiscard]] Floats at(Bytes codes) const {
      std::uint8_t all[64];
      store_bytes(all, codes);
      float values[16];
      for (int i = 0; i < 16; ++i) values[i] = entries[(i << bits) | (all[4 * i + j] & ((1 << bits) - 1))];
      return load(values);
    }
  };
};

}  // namespace
}  // namespace lutra::simd
