#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace lutra::core {

/// Element types, named as safetensors names them.
enum class Dtype : std::uint8_t {
  boolean,
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  u64,
  i64,
  f8_e4m3,
  f8_e5m2,
  f16,
  bf16,
  f32,
  f64,
};

[[nodiscard]] std::size_t size_of(Dtype dtype);  ///< bytes per element
[[nodiscard]] std::string_view name_of(Dtype dtype);
[[nodiscard]] std::optional<Dtype> dtype_named(std::string_view name);

/// Bytes of a tensor of that shape; nothing where that does not fit into 63 bits. Lengths are not negative.
[[nodiscard]] std::optional<std::uint64_t> byte_size(std::span<const std::int64_t> shape, Dtype dtype);

// One value. Narrowing rounds to nearest, ties to even; NaN stays NaN, overflow becomes infinity (IEEE
// 754-2019, 4.3.1).
[[nodiscard]] float f16_to_f32(std::uint16_t bits);
[[nodiscard]] std::uint16_t f32_to_f16(float value);
[[nodiscard]] float bf16_to_f32(std::uint16_t bits);
[[nodiscard]] std::uint16_t f32_to_bf16(float value);
/// OCP 8-bit formats, widening only. E4M3 has no infinity: S.1111.111 is NaN.
[[nodiscard]] float f8_e4m3_to_f32(std::uint8_t bits);
[[nodiscard]] float f8_e5m2_to_f32(std::uint8_t bits);

/// Widens `source` (bytes of `dtype`, any alignment) into `target`; `source.size() == target.size() * size_of(dtype)`.
/// 64-bit types lose what a float cannot hold. Throws `std::invalid_argument` when the sizes do not match.
void to_f32(Dtype dtype, std::span<const std::byte> source, std::span<float> target);
/// Narrows to f16, bf16 or f32. Throws `std::invalid_argument` for other types or sizes that do not match.
void from_f32(std::span<const float> source, Dtype dtype, std::span<std::byte> target);

}  // namespace lutra::core
