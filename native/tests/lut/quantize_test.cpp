#include "lut/quantize.h"

#include <cmath>
#include <limits>
#include <random>

#include "core/dtype.h"
#include "lut/tables.h"
#include "testing.h"

using namespace lutra;

namespace {

using Table = lut::QuantizeOptions::Table;

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

float in_f16(float value) { return core::f16_to_f32(core::f32_to_f16(value)); }

std::vector<float> gaussian(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02F);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<float> heavy_tailed(std::size_t count) {
  std::mt19937 random(2);
  std::student_t_distribution<float> student(3);
  std::vector<float> values(count);
  for (float& value : values) value = 0.02F * student(random);
  return values;
}

lut::QuantizeOptions options(int bits, Table table, std::int64_t group_size = 64, bool per_row = false) {
  return {bits, group_size, table, per_row};
}

core::Result<lut::Quantized> quantize(std::span<const float> weight, std::int64_t rows, std::int64_t columns,
                                      const lut::QuantizeOptions& how, std::span<const float> importance = {},
                                      int threads = 2) {
  return lut::quantize(weight, rows, columns, how, importance, threads, {});
}

std::vector<float> restored(const lut::LutMatrix& matrix) {
  std::vector<float> all(static_cast<std::size_t>(matrix.rows * matrix.columns));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    matrix.dequantize_row(row, std::span(all).subspan(static_cast<std::size_t>(row * matrix.columns),
                                                      static_cast<std::size_t>(matrix.columns)));
  }
  return all;
}

/// Of ||W - Q|| to ||W||.
double error_of(const lut::LutMatrix& matrix, std::span<const float> weight, std::span<const float> importance = {}) {
  const auto q = restored(matrix);
  double wrong = 0;
  double whole = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double h = importance.empty() ? 1 : importance[i % importance.size()];
    wrong += h * std::pow(static_cast<double>(weight[i]) - q[i], 2);
    whole += h * std::pow(static_cast<double>(weight[i]), 2);
  }
  return std::sqrt(wrong / whole);
}

bool same(const lut::LutMatrix& a, const lut::LutMatrix& b) {
  return a.codes == b.codes && a.scales == b.scales && a.table == b.table;
}

}  // namespace

TEST("NF codes and scales are those of a plain search, also in a last group that is shorter") {
  constexpr std::int64_t rows = 7;
  constexpr std::int64_t columns = 150;
  const auto weight = gaussian(rows * columns);
  for (const int bits : {2, 3, 4}) {
    const auto result = quantize(weight, rows, columns, options(bits, Table::nf));
    REQUIRE(result.ok());
    CHECK(lut::check(result->matrix, "x").ok());
    const auto table = lut::normal_float_table(bits);
    const auto q = restored(result->matrix);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        const std::int64_t begin = column / 64 * 64;
        float absmax = 0;
        for (std::int64_t i = begin; i < std::min(begin + 64, columns); ++i) {
          absmax = std::max(absmax, std::abs(weight[static_cast<std::size_t>(row * columns + i)]));
        }
        const auto at = static_cast<std::size_t>(row * columns + column);
        std::size_t code = 0;
        while (code + 1 < table.size() && (table[code] + table[code + 1]) / 2 < weight[at] / absmax) ++code;
        CHECK_EQUAL(q[at], in_f16(table[code]) * in_f16(absmax));
      }
    }
    CHECK(std::abs(result->relative_error - error_of(result->matrix, weight)) < 1e-9);
  }
}

TEST("a value between two NF entries goes to the lower one") {
  const auto table = lut::normal_float_table(2);
  const std::vector<float> weight = {1, (table[2] + table[3]) / 2, (table[1] + table[2]) / 2, -0.5F};
  const auto result = quantize(weight, 1, 4, options(2, Table::nf));
  CHECK_EQUAL(static_cast<int>(result->matrix.codes[0]), 3 | 2 << 2 | 1 << 4 | 0 << 6);
}

TEST("a learned table and learned scales lose clearly less than NF, at each width and tail") {
  constexpr std::int64_t rows = 96;
  constexpr std::int64_t columns = 512;
  for (const auto& weight : {gaussian(rows * columns), heavy_tailed(rows * columns)}) {
    for (const int bits : {2, 3, 4}) {
      const auto nf = quantize(weight, rows, columns, options(bits, Table::nf));
      const auto learned = quantize(weight, rows, columns, options(bits, Table::learned));
      const auto per_row = quantize(weight, rows, columns, options(bits, Table::learned, 64, true));
      REQUIRE(nf.ok() && learned.ok() && per_row.ok());
      CHECK(learned->relative_error < 0.92 * nf->relative_error);
      CHECK(per_row->relative_error < learned->relative_error);
      for (const auto* result : {&*learned, &*per_row}) {
        CHECK(lut::check(result->matrix, "x").ok());
        CHECK(std::abs(result->relative_error - error_of(result->matrix, weight)) < 1e-9);
        for (const float value : result->matrix.table) CHECK_EQUAL(value, in_f16(value));
        for (const float value : result->matrix.scales) CHECK_EQUAL(value, in_f16(value));
      }
      CHECK_EQUAL(per_row->matrix.table.size(), static_cast<std::size_t>(rows << bits));
    }
  }
}

TEST("importance moves the error to inputs that matter less") {
  constexpr std::int64_t rows = 64;
  constexpr std::int64_t columns = 256;
  const auto weight = gaussian(rows * columns);
  std::vector<float> importance(columns);
  for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = i % 16 == 0 ? 50.0F : 0.1F;
  for (const int bits : {2, 3, 4}) {
    const auto plain = quantize(weight, rows, columns, options(bits, Table::learned));
    const auto weighted = quantize(weight, rows, columns, options(bits, Table::learned), importance);
    REQUIRE(weighted.ok());
    CHECK(error_of(weighted->matrix, weight, importance) < 0.9 * error_of(plain->matrix, weight, importance));
    CHECK(std::abs(weighted->relative_error - error_of(weighted->matrix, weight, importance)) < 1e-6);
  }
  // A group, or all, that nothing reaches still has usable weights.
  std::fill(importance.begin() + 64, importance.begin() + 128, 0.0F);
  for (int round = 0; round < 2; ++round) {
    const auto result = quantize(weight, rows, columns, options(4, Table::learned), importance);
    REQUIRE(result.ok());
    CHECK(error_of(result->matrix, weight) < 0.3);
    std::fill(importance.begin(), importance.end(), 0.0F);
  }
}

TEST("the number of threads does not change the result") {
  const auto weight = heavy_tailed(150 * 200);
  for (const bool per_row : {false, true}) {
    const auto how = options(3, Table::learned, 32, per_row);
    const auto one = quantize(weight, 150, 200, how, {}, 1);
    for (const int threads : {2, 5}) {
      const auto more = quantize(weight, 150, 200, how, {}, threads);
      CHECK(same(one->matrix, more->matrix));
      CHECK_EQUAL(one->relative_error, more->relative_error);
    }
  }
}

TEST("zeros stay zeros, constants stay constant, and the tiniest numbers do no harm") {
  for (const Table table : {Table::nf, Table::learned}) {
    for (const int bits : {2, 3, 4}) {
      const std::vector<float> zeros(3 * 70, 0.0F);
      const auto nothing = quantize(zeros, 3, 70, options(bits, table));
      REQUIRE(nothing.ok());
      CHECK_EQUAL(nothing->relative_error, 0.0);
      CHECK(restored(nothing->matrix) == zeros);
      for (const float value : {0.3F, -0.3F, 60000.0F}) {
        const std::vector<float> constant(3 * 70, value);
        const auto result = quantize(constant, 3, 70, options(bits, table));
        REQUIRE(result.ok());
        CHECK(result->relative_error < 1e-3);
      }
      for (const float value : {1e-40F, 1e-12F, 3e-8F, 6e-8F}) {
        const std::vector<float> tiny = {value, -value, 0, value / 2};
        const auto result = quantize(tiny, 2, 2, options(bits, table, 1));
        REQUIRE(result.ok());
        CHECK(lut::check(result->matrix, "x").ok());
        CHECK(result->relative_error <= 1.5);
      }
    }
  }
}

TEST("every shape and group size fits, down to a single weight") {
  for (const int bits : {2, 3, 4}) {
    for (const std::int64_t columns : {1, 2, 7, 63, 65, 129}) {
      for (const std::int64_t group_size : {1, 3, 32, 64, 1000}) {
        const auto weight = gaussian(static_cast<std::size_t>(3 * columns));
        const auto result = quantize(weight, 3, columns, options(bits, Table::learned, group_size));
        REQUIRE(result.ok());
        CHECK(lut::check(result->matrix, "x").ok());
        CHECK(std::abs(result->relative_error - error_of(result->matrix, weight)) < 1e-9);
        CHECK(result->relative_error < 0.6);
      }
    }
  }
}

TEST("NaN, infinity and what f16 cannot hold are refused with their place") {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(), 70000.0F}) {
    auto weight = gaussian(4 * 64);
    weight[2 * 64 + 5] = value;
    const auto result = quantize(weight, 4, 64, options(4, Table::learned));
    REQUIRE(!result.ok());
    CHECK_EQUAL(result.error().code, "bad-file");
    CHECK(has(result.error().message, "row 2, column 5"));
  }
}

TEST("options and sizes that cannot be are refused by the field's name") {
  const auto weight = gaussian(4 * 64);
  const auto subject = [&](const lut::QuantizeOptions& how, std::int64_t rows = 4, std::vector<float> importance = {}) {
    const auto result = quantize(weight, rows, 64, how, importance);
    REQUIRE(!result.ok());
    CHECK_EQUAL(result.error().code, "bad-input");
    return result.error().subject;
  };
  CHECK_EQUAL(subject(options(5, Table::nf)), "bits");
  CHECK_EQUAL(subject(options(4, Table::nf, 0)), "group_size");
  CHECK_EQUAL(subject(options(4, Table::nf, 64, true)), "table_per_row");
  CHECK_EQUAL(subject(options(4, Table::nf), 5), "weight");
  CHECK_EQUAL(subject(options(4, Table::nf), 4, std::vector<float>(63, 1.0F)), "importance");
  CHECK_EQUAL(subject(options(4, Table::nf), 4, std::vector<float>(64, -1.0F)), "importance");
}

TEST("quantizing tells how far it is and can be stopped") {
  const auto weight = gaussian(64 * 64);
  std::uint64_t last = 0;
  const core::Progress progress({}, [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done > last && done <= total);
    CHECK_EQUAL(total, 64U * 64U);
    last = done;
  });
  CHECK(lut::quantize(weight, 64, 64, options(4, Table::learned), {}, 2, progress).ok());
  CHECK_EQUAL(last, 64U * 64U);
  std::stop_source source;
  const core::Progress stopping(source.get_token(), [&](std::uint64_t, std::uint64_t) { source.request_stop(); });
  const auto stopped = lut::quantize(weight, 64, 64, options(4, Table::learned), {}, 2, stopping);
  REQUIRE(!stopped.ok());
  CHECK_EQUAL(stopped.error().code, "cancelled");
}
