#include "core/dtype.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>

#include "core/npy.h"
#include "files.h"
#include "testing.h"

using namespace lutra;
using core::Dtype;

namespace {

const core::NpzArchive& golden() {
  static const core::NpzArchive archive = core::read_npz(testing::golden_folder + "/conversions.npz").value();
  return archive;
}

template <typename Value>
std::vector<Value> values_of(const std::string& name) {
  const core::NpyArray& array = golden().at(name);
  std::vector<Value> values(array.bytes.size() / sizeof(Value));
  std::memcpy(values.data(), array.bytes.data(), array.bytes.size());
  return values;
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

/// NaN has many forms; libraries differ in which they give.
bool same(float ours, std::uint32_t theirs) {
  return std::isnan(ours) ? std::isnan(std::bit_cast<float>(theirs)) : bits(ours) == theirs;
}

}  // namespace

TEST("narrowing rounds exactly as NumPy and ml_dtypes do") {
  const auto floats = values_of<float>("f32");
  const auto halves = values_of<std::uint16_t>("f16_bits");
  const auto brains = values_of<std::uint16_t>("bf16_bits");
  REQUIRE(floats.size() > 7000);
  int wrong = 0;
  for (std::size_t i = 0; i < floats.size(); ++i) {
    wrong += core::f32_to_f16(floats[i]) != halves[i] || core::f32_to_bf16(floats[i]) != brains[i];
  }
  CHECK_EQUAL(wrong, 0);
}

TEST("widening is exact for every f16 and every 8-bit float") {
  const auto halves = values_of<std::uint32_t>("f16_widened");
  const auto e4m3 = values_of<std::uint32_t>("f8_e4m3_widened");
  const auto e5m2 = values_of<std::uint32_t>("f8_e5m2_widened");
  int wrong = 0;
  for (std::uint32_t i = 0; i < 65536; ++i) wrong += !same(core::f16_to_f32(static_cast<std::uint16_t>(i)), halves[i]);
  for (std::uint32_t i = 0; i < 256; ++i) {
    wrong += !same(core::f8_e4m3_to_f32(static_cast<std::uint8_t>(i)), e4m3[i]);
    wrong += !same(core::f8_e5m2_to_f32(static_cast<std::uint8_t>(i)), e5m2[i]);
  }
  CHECK_EQUAL(wrong, 0);
}

TEST("rows are converted bit for bit as single values are, at any length and alignment") {
  const auto floats = values_of<float>("f32");
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16, Dtype::f32}) {
    for (const std::size_t count :
         {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{33}, floats.size()}) {
      const std::span<const float> part(floats.data(), count);
      std::vector<std::byte> storage(count * core::size_of(dtype) + 1);
      const std::span<std::byte> narrow = std::span(storage).subspan(1);
      core::from_f32(part, dtype, narrow);
      std::vector<float> wide(count);
      core::to_f32(dtype, narrow, wide);
      int wrong = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const float one = dtype == Dtype::f16    ? core::f16_to_f32(core::f32_to_f16(part[i]))
                          : dtype == Dtype::bf16 ? core::bf16_to_f32(core::f32_to_bf16(part[i]))
                                                 : part[i];
        wrong += bits(one) != bits(wide[i]);
      }
      CHECK_EQUAL(wrong, 0);
    }
  }
}

TEST("NaN stays NaN on every way") {
  for (const std::uint32_t pattern : {0x7FC00000U, 0x7F800001U, 0xFFFFFFFFU, 0xFF800001U}) {
    const float nan = std::bit_cast<float>(pattern);
    CHECK(std::isnan(core::f16_to_f32(core::f32_to_f16(nan))));
    CHECK(std::isnan(core::bf16_to_f32(core::f32_to_bf16(nan))));
    const std::vector<float> row(8, nan);
    std::vector<std::byte> narrow(16);
    core::from_f32(row, Dtype::f16, narrow);
    std::vector<float> wide(8);
    core::to_f32(Dtype::f16, narrow, wide);
    for (const float value : wide) CHECK(std::isnan(value));
  }
}

TEST("whole numbers widen by value, and names lead back to their types") {
  const std::array<std::int32_t, 3> numbers = {-5, 0, 1 << 20};
  std::array<float, 3> wide{};
  core::to_f32(Dtype::i32, std::as_bytes(std::span(numbers)), wide);
  CHECK(wide[0] == -5.0F && wide[1] == 0.0F && wide[2] == 1048576.0F);
  for (const char* name : {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F8_E4M3", "F8_E5M2", "F16",
                           "BF16", "F32", "F64"}) {
    const auto dtype = core::dtype_named(name);
    REQUIRE(dtype.has_value());
    CHECK_EQUAL(core::name_of(*dtype), name);
  }
  CHECK(!core::dtype_named("F12").has_value());
}

TEST("sizes that do not match are refused, not overrun") {
  std::vector<float> target(3);
  const std::vector<std::byte> source(5);
  bool is_refused = false;
  try {
    core::to_f32(Dtype::f16, source, target);
  } catch (const std::invalid_argument&) {
    is_refused = true;
  }
  CHECK(is_refused);
}
