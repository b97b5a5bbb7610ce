#include "lut/formats.h"

#include <cmath>
#include <cstring>

#include "core/npy.h"
#include "files.h"
#include "lut/tables.h"
#include "testing.h"

using namespace lutra;

namespace {

const core::Safetensors& golden() {
  static const auto file = core::Safetensors::open(testing::golden_folder + "/bitsandbytes.safetensors");
  return *file;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string description(const char* name, const char* dtype, const char* shape, int begin, int end) {
  return std::string("\"") + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

}  // namespace

TEST("what bitsandbytes writes is read back as it reads it, whatever its block size and dress") {
  const auto expected = core::read_npz(testing::golden_folder + "/dequantized.npz");
  REQUIRE(expected.ok());
  CHECK_EQUAL(expected->size(), 9U);
  for (const auto& [name, array] : *expected) {
    CHECK(lut::storage_of(golden(), name) == lut::Storage::bitsandbytes);
    const auto matrix = lut::read_bitsandbytes(golden(), name, array.shape[0], array.shape[1]);
    if (!matrix) std::cerr << matrix.error().message << '\n';
    REQUIRE(matrix.ok());
    const auto wanted = array.to_floats();
    std::vector<float> row(static_cast<std::size_t>(array.shape[1]));
    double worst = 0;
    for (std::int64_t r = 0; r < array.shape[0]; ++r) {
      matrix->dequantize_row(r, row);
      for (std::size_t c = 0; c < row.size(); ++c) {
        worst = std::max(worst,
                         std::abs(static_cast<double>(row[c]) - wanted[static_cast<std::size_t>(r) * row.size() + c]));
      }
    }
    if (worst >= 1e-7) std::cerr << name << " is off by " << worst << "\n";
    CHECK(worst < 1e-7);
  }
}

TEST("each weight says for itself how it is stored") {
  CHECK(lut::storage_of(golden(), "dense") == lut::Storage::dense);
  CHECK(lut::storage_of(golden(), "nobody") == lut::Storage::missing);
}

TEST("the NormalFloat tables are FLUTE's, and NF4 is bitsandbytes'") {
  const auto nf4 = lut::normal_float_table(4);
  const core::TensorView* map = golden().find("nf4.weight.quant_map");
  std::vector<float> original(16);
  core::to_f32(map->dtype, map->bytes, original);
  for (std::size_t i = 0; i < 16; ++i) CHECK(std::abs(nf4[i] - original[i]) < 2e-7F);
  const std::vector<float> nf3 = {-1, -0.4786291F, -0.2171418F, 0, 0.1609301F, 0.3379151F, 0.5626169F, 1};
  const std::vector<float> nf2 = {-1, 0, 0.3379151F, 1};
  for (std::size_t i = 0; i < 8; ++i) CHECK(std::abs(lut::normal_float_table(3)[i] - nf3[i]) < 1e-6F);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(lut::normal_float_table(2)[i] - nf2[i]) < 1e-6F);
  CHECK(std::abs(lut::normal_quantile(0.975) - 1.959963984540054) < 1e-12);
}

TEST("another shape, a missing companion and damaged numbers are refused by name") {
  CHECK(has(lut::read_bitsandbytes(golden(), "nf4", 12, 256).error().message, "another shape"));
  CHECK(has(lut::read_bitsandbytes(golden(), "dense", 4, 4).error().message, "dense.weight.quant_state"));
  CHECK(has(lut::read_bitsandbytes(golden(), "nobody", 4, 4).error().message, "nobody.weight"));
}

TEST("our own layout is read, per tensor and per row, and what does not match is named") {
  // Two rows of five 3-bit codes in two bytes each, one group of four and one of one.
  const auto file = [](const char* table_shape, int table_bytes, const char* codes_shape = "[2,2]",
                       std::uint16_t scale = 0x3C00) {
    const std::string header = "{" + description("p.weight.lut_codes", "U8", codes_shape, 0, 4) + "," +
                               description("p.weight.lut_scales", "F16", "[2,2]", 4, 12) + "," +
                               description("p.weight.lut_table", "F16", table_shape, 12, 12 + table_bytes) + "}";
    auto bytes = testing::safetensors_file(header, static_cast<std::size_t>(12 + table_bytes));
    std::byte* data = bytes.data() + 8 + header.size();
    // Codes 1 2 3 4 5 and 7 0 7 0 7.
    const std::uint16_t rows[2] = {1 | 2 << 3 | 3 << 6 | 4 << 9 | 5 << 12, 7 | 7 << 6 | 7 << 12};
    std::memcpy(data, rows, 4);
    const std::uint16_t scales[4] = {scale, 0x4000, 0x3C00, 0x3C00};
    std::memcpy(data + 4, scales, 8);
    for (int i = 0; i < table_bytes / 2; ++i) {
      const std::uint16_t value = core::f32_to_f16(static_cast<float>(i));
      std::memcpy(data + 12 + 2 * i, &value, 2);
    }
    return bytes;
  };
  const auto read = [](const std::vector<std::byte>& bytes) {
    const auto opened = core::Safetensors::parse(bytes, "x.safetensors");
    return lut::read_lut(*opened, "p", 2, 5, 3, 4);
  };
  const auto one = read(file("[8]", 16));
  REQUIRE(one.ok());
  std::vector<float> row(5);
  one->dequantize_row(0, row);
  CHECK((row == std::vector<float>{1, 2, 3, 4, 10}));
  const auto two = read(file("[2,8]", 32));
  REQUIRE(two.ok());
  two->dequantize_row(1, row);
  CHECK((row == std::vector<float>{15, 8, 15, 8, 15}));
  CHECK(has(read(file("[7]", 14)).error().message, "table of the wrong length"));
  CHECK(has(read(file("[8]", 16, "[4,1]")).error().message, "p.weight.lut_codes"));
  CHECK(has(read(file("[8]", 16, "[2,2]", 0x7C00)).error().message, "scale that is no number"));
  CHECK(has(read(file("[8]", 16, "[2,2]", 0x7E00)).error().message, "scale that is no number"));
}
