#include "core/dtype.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>
#define LUTRA_F16C 1
#endif

namespace lutra::core {
namespace {

struct Entry {
  Dtype dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<Entry, 15> entries = {{
    {Dtype::boolean, "BOOL", 1},
    {Dtype::u8, "U8", 1},
    {Dtype::i8, "I8", 1},
    {Dtype::u16, "U16", 2},
    {Dtype::i16, "I16", 2},
    {Dtype::u32, "U32", 4},
    {Dtype::i32, "I32", 4},
    {Dtype::u64, "U64", 8},
    {Dtype::i64, "I64", 8},
    {Dtype::f8_e4m3, "F8_E4M3", 1},
    {Dtype::f8_e5m2, "F8_E5M2", 1},
    {Dtype::f16, "F16", 2},
    {Dtype::bf16, "BF16", 2},
    {Dtype::f32, "F32", 4},
    {Dtype::f64, "F64", 8},
}};

const Entry& entry_of(Dtype dtype) { return entries.at(static_cast<std::size_t>(dtype)); }

/// A value of `exponent_bits` and `mantissa_bits` without its sign, as float.
float widen_small(std::uint32_t exponent, std::uint32_t mantissa, int mantissa_bits, int bias) {
  const float unit = std::ldexp(1.0F, 1 - bias - mantissa_bits);
  if (exponent == 0) return static_cast<float>(mantissa) * unit;
  const auto whole = static_cast<float>((1U << mantissa_bits) | mantissa);
  return std::ldexp(whole, static_cast<int>(exponent) - bias - mantissa_bits);
}

template <typename Stored, typename Widen>
void widen_each(std::span<const std::byte> source, std::span<float> target, Widen widen) {
  for (std::size_t i = 0; i < target.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, source.data() + i * sizeof(Stored), sizeof(Stored));
    target[i] = widen(stored);
  }
}

template <typename Stored, typename Narrow>
void narrow_each(std::span<const float> source, std::span<std::byte> target, Narrow narrow) {
  for (std::size_t i = 0; i < source.size(); ++i) {
    const Stored stored = narrow(source[i]);
    std::memcpy(target.data() + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

#ifdef LUTRA_F16C
constexpr std::size_t lanes = 8;

/// Whole groups of eight; returns how many values were done. The hardware rounds as our own code does.
__attribute__((target("avx,f16c"))) std::size_t widen_f16_fast(std::span<const std::byte> source,
                                                               std::span<float> target) {
  std::size_t i = 0;
  for (; i + lanes <= target.size(); i += lanes) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source.data() + 2 * i));
    _mm256_storeu_ps(target.data() + i, _mm256_cvtph_ps(halves));
  }
  return i;
}

__attribute__((target("avx,f16c"))) std::size_t narrow_f16_fast(std::span<const float> source,
                                                                std::span<std::byte> target) {
  std::size_t i = 0;
  for (; i + lanes <= source.size(); i += lanes) {
    const __m256 values = _mm256_loadu_ps(source.data() + i);
    const __m128i halves = _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target.data() + 2 * i), halves);
  }
  return i;
}

bool has_f16c() {
  static const bool here = __builtin_cpu_supports("avx") != 0 && __builtin_cpu_supports("f16c") != 0;
  return here;
}
#endif

std::size_t widen_f16_head(std::span<const std::byte> source, std::span<float> target) {
#ifdef LUTRA_F16C
  if (has_f16c()) return widen_f16_fast(source, target);
#endif
  (void)source, (void)target;
  return 0;
}

std::size_t narrow_f16_head(std::span<const float> source, std::span<std::byte> target) {
#ifdef LUTRA_F16C
  if (has_f16c()) return narrow_f16_fast(source, target);
#endif
  (void)source, (void)target;
  return 0;
}

}  // namespace

std::size_t size_of(Dtype dtype) { return entry_of(dtype).size; }
std::string_view name_of(Dtype dtype) { return entry_of(dtype).name; }

std::optional<Dtype> dtype_named(std::string_view name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> byte_size(std::span<const std::int64_t> shape, Dtype dtype) {
  constexpr std::uint64_t limit = std::numeric_limits<std::int64_t>::max();
  std::uint64_t size = size_of(dtype);
  for (const std::int64_t length : shape) {
    const auto factor = static_cast<std::uint64_t>(length);
    if (factor != 0 && size > limit / factor) return std::nullopt;
    size *= factor;
  }
  return size;
}

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t mantissa = bits & 0x3FFU;
  // A signalling NaN becomes quiet, as the hardware makes it.
  if (exponent == 31) {
    const std::uint32_t quiet = mantissa == 0 ? 0 : 0x400000U;
    return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13) | quiet);
  }
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(widen_small(exponent, mantissa, 10, 15)) | sign);
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU));
  // 65520 and above rounds to infinity.
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {
    // Subnormal: adding 0.5 places the rounding of the float unit where it is wanted.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  const std::uint32_t rounded = magnitude - 0x38000000U + 0xFFFU + odd;
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}

float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

float f8_e4m3_to_f32(std::uint8_t bits) {
  const std::uint32_t exponent = (bits >> 3) & 0xFU;
  const std::uint32_t mantissa = bits & 7U;
  const float sign = (bits & 0x80U) != 0 ? -1.0F : 1.0F;
  if (exponent == 15 && mantissa == 7) return std::copysign(std::numeric_limits<float>::quiet_NaN(), sign);
  return sign * widen_small(exponent, mantissa, 3, 7);
}

float f8_e5m2_to_f32(std::uint8_t bits) {
  // The upper half of an f16.
  return f16_to_f32(static_cast<std::uint16_t>(bits << 8));
}

void to_f32(Dtype dtype, std::span<const std::byte> source, std::span<float> target) {
  if (source.size() != target.size() * size_of(dtype)) throw std::invalid_argument("to_f32: sizes do not match");
  if (target.empty()) return;
  const auto plain = [](auto stored) { return static_cast<float>(stored); };
  switch (dtype) {
    case Dtype::boolean:
      return widen_each<std::uint8_t>(source, target, [](auto v) { return v != 0 ? 1.0F : 0.0F; });
    case Dtype::u8:
      return widen_each<std::uint8_t>(source, target, plain);
    case Dtype::i8:
      return widen_each<std::int8_t>(source, target, plain);
    case Dtype::u16:
      return widen_each<std::uint16_t>(source, target, plain);
    case Dtype::i16:
      return widen_each<std::int16_t>(source, target, plain);
    case Dtype::u32:
      return widen_each<std::uint32_t>(source, target, plain);
    case Dtype::i32:
      return widen_each<std::int32_t>(source, target, plain);
    case Dtype::u64:
      return widen_each<std::uint64_t>(source, target, plain);
    case Dtype::i64:
      return widen_each<std::int64_t>(source, target, plain);
    case Dtype::f8_e4m3:
      return widen_each<std::uint8_t>(source, target, f8_e4m3_to_f32);
    case Dtype::f8_e5m2:
      return widen_each<std::uint8_t>(source, target, f8_e5m2_to_f32);
    case Dtype::f16: {
      const std::size_t done = widen_f16_head(source, target);
      return widen_each<std::uint16_t>(source.subspan(2 * done), target.subspan(done), f16_to_f32);
    }
    case Dtype::bf16:
      return widen_each<std::uint16_t>(source, target, bf16_to_f32);
    case Dtype::f32:
      std::memcpy(target.data(), source.data(), source.size());
      return;
    case Dtype::f64:
      return widen_each<double>(source, target, plain);
  }
}

void from_f32(std::span<const float> source, Dtype dtype, std::span<std::byte> target) {
  if (target.size() != source.size() * size_of(dtype)) throw std::invalid_argument("from_f32: sizes do not match");
  if (source.empty()) return;
  switch (dtype) {
    case Dtype::f32:
      std::memcpy(target.data(), source.data(), target.size());
      return;
    case Dtype::bf16:
      return narrow_each<std::uint16_t>(source, target, f32_to_bf16);
    case Dtype::f16: {
      const std::size_t done = narrow_f16_head(source, target);
      return narrow_each<std::uint16_t>(source.subspan(done), target.subspan(2 * done), f32_to_f16);
    }
    default:
      throw std::invalid_argument("from_f32: only f16, bf16 and f32");
  }
}

}  // namespace lutra::core
