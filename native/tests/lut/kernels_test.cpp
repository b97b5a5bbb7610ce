#include "lut/kernels.h"

#include <cmath>
#include <cstring>

#include "core/philox.h"
#include "lut/tables.h"
#include "testing.h"

using namespace lutra;

namespace {

core::ThreadPool& threads() {
  static core::ThreadPool pool(2);
  return pool;
}

enum class Tables { one, per_row, pairs };

/// Any codes, scales of both signs and a table without order: a kernel may assume nothing about them.
lut::LutMatrix random_matrix(std::int64_t rows, std::int64_t columns, int bits, std::int64_t group, bool straddles,
                             Tables tables) {
  lut::LutMatrix matrix{rows, columns, bits, group, straddles, {}, {}, {}};
  auto fill = [seed = std::uint64_t{1}](std::vector<float>& target, std::size_t count) mutable {
    target.resize(count);
    core::RandomRow(11, seed++).normal(0, target);
  };
  std::vector<float> noise;
  fill(noise, static_cast<std::size_t>(rows * matrix.row_bytes()));
  for (const float value : noise) matrix.codes.push_back(static_cast<std::uint8_t>(static_cast<int>(value * 1e4F)));
  const std::int64_t groups = straddles ? (rows * columns + group - 1) / group : rows * matrix.groups_per_row();
  fill(matrix.scales, static_cast<std::size_t>(groups));
  const auto entries = static_cast<std::size_t>(matrix.table_entries());
  if (tables == Tables::pairs) {
    fill(matrix.pair_table, entries * entries * 2);
  } else {
    fill(matrix.table, (tables == Tables::per_row ? static_cast<std::size_t>(rows) : 1) * entries);
  }
  return matrix;
}

struct Expected {
  std::vector<double> products;  // (tokens, rows)
  std::vector<double> powers;    // what an error is measured against: the products' magnitude …
  std::vector<double> ceilings;  // … or, in 8 bits, what it would be if every weight were its row's largest
};

Expected plain_products(const lut::LutMatrix& matrix, const std::vector<float>& x, std::int64_t tokens) {
  Expected expected;
  std::vector<float> row(static_cast<std::size_t>(matrix.columns));
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      matrix.dequantize_row(r, row);
      double sum = 0;
      double power = 0;
      double most = 0;
      double input_power = 0;
      for (std::int64_t i = 0; i < matrix.columns; ++i) {
        const double input = x[static_cast<std::size_t>(token * matrix.columns + i)];
        const double weight = row[static_cast<std::size_t>(i)];
        sum += weight * input;
        power += weight * weight * input * input;
        most = std::max(most, std::abs(weight));
        input_power += input * input;
      }
      for (const float entry : matrix.table) most = std::max(most, std::abs(static_cast<double>(entry)));
      expected.ceilings.push_back(most * std::sqrt(input_power));
      expected.products.push_back(sum);
      expected.powers.push_back(std::sqrt(power));
    }
  }
  return expected;
}

/// The worst error of a kernel in both ways of working, against the magnitude of what was summed.
double worst_error(const lut::Kernels& kernels, const lut::PackedMatrix& packed, lut::Precision precision,
                   const std::vector<float>& x, std::int64_t tokens, const Expected& expected) {
  const std::int64_t stride = packed.layout.token_bytes(precision);
  core::AlignedBytes prepared(static_cast<std::size_t>(stride * tokens));
  for (std::int64_t token = 0; token < tokens; ++token) {
    kernels.prepare(packed.layout, precision, x.data() + token * packed.columns, prepared.data() + token * stride);
  }
  const std::int64_t panel = lut::panel_bytes(packed, precision);
  core::AlignedBytes panels(static_cast<std::size_t>(2 * panel));
  const auto& against = precision == lut::Precision::fast ? expected.ceilings : expected.powers;
  double worst = 0;
  const auto compare = [&](std::int64_t token, std::int64_t row, float value) {
    if (row >= packed.rows) return;
    const auto at = static_cast<std::size_t>(token * packed.rows + row);
    worst = std::max(worst, std::abs(value - expected.products[at]) / (against[at] + 1e-6));
  };
  float out[8 * 32];
  for (std::int64_t block = 0; block < packed.row_blocks(); ++block) {
    for (std::int64_t token = 0; token < tokens; token += kernels.few_tokens) {
      const int count = static_cast<int>(std::min<std::int64_t>(kernels.few_tokens, tokens - token));
      kernels.multiply(packed, precision, block, prepared.data() + token * stride, stride, count, out);
      for (int i = 0; i < count * 16; ++i) compare(token + i / 16, block * 16 + i % 16, out[i]);
    }
    if (block % 2 == 1) continue;
    kernels.expand(packed, precision, block, panels.data());
    if (block + 1 < packed.row_blocks()) kernels.expand(packed, precision, block + 1, panels.data() + panel);
    for (std::int64_t token = 0; token < tokens; token += kernels.panel_tokens) {
      const int count = static_cast<int>(std::min<std::int64_t>(kernels.panel_tokens, tokens - token));
      kernels.multiply_panels(packed, precision, block, panels.data(), prepared.data() + token * stride, stride, count,
                              out);
      for (int i = 0; i < count * 32; ++i) compare(token + i / 32, block * 16 + i % 32, out[i]);
    }
  }
  return worst;
}

}  // namespace

TEST("every kernel gives the reference's products: all bits, groups, tables, odd lengths, one token and many") {
  int tried = 0;
  double worst_fast = 0;
  for (const char* name : {"scalar", "avx2", "avx512", "neon"}) {
    const lut::Kernels* kernels = lut::kernels_named(name);
    if (kernels == nullptr) {
      std::cout << "SKIPPED: this machine has no " << name << '\n';
      continue;
    }
    for (const int bits : {2, 3, 4}) {
      for (const std::int64_t columns : {1, 8, 50, 64, 129, 512}) {
        for (const std::int64_t group : {16, 32, 50, 64, 100, 256, 4096}) {
          for (const Tables tables : {Tables::one, Tables::per_row, Tables::pairs}) {
            for (const bool straddles : {false, true}) {
              if (tables == Tables::pairs && columns % 2 == 1) continue;
              const std::int64_t rows = columns == 64 ? 50 : 20;
              const auto matrix = random_matrix(rows, columns, bits, group, straddles, tables);
              REQUIRE(lut::check(matrix, "m").ok());
              const std::int64_t tokens = 7;
              std::vector<float> x(static_cast<std::size_t>(tokens * columns));
              core::RandomRow(5, 5).normal(0, x);
              const Expected expected = plain_products(matrix, x, tokens);
              const auto exact = lut::pack(matrix, lut::Precision::exact, threads());
              CHECK(worst_error(*kernels, exact, lut::Precision::exact, x, tokens, expected) < 2e-5);
              const auto fast = lut::pack(matrix, lut::Precision::fast, threads());
              const double error = worst_error(*kernels, fast, lut::Precision::fast, x, tokens, expected);
              worst_fast = std::max(worst_fast, error);
              CHECK(error < 0.02);
              ++tried;
            }
          }
        }
      }
    }
  }
  std::cout << "  " << tried << " matrices; 8-bit products are off by " << worst_fast << " at worst\n";
  CHECK(tried >= 600);
}

TEST("sixteen-bit weights in eight bits keep their products") {
  for (const char* name : {"scalar", "avx2", "avx512", "neon"}) {
    const lut::Kernels* kernels = lut::kernels_named(name);
    if (kernels == nullptr) continue;
    for (const std::int64_t columns : {32, 50, 256}) {
      const std::int64_t rows = 37;
      std::vector<float> weight(static_cast<std::size_t>(rows * columns));
      core::RandomRow(3, 3).normal(0, weight);
      const core::TensorView view{core::Dtype::f32, {rows, columns}, std::as_bytes(std::span(weight))};
      const auto packed = lut::pack_q8(view, threads());
      std::vector<float> x(static_cast<std::size_t>(5 * columns));
      core::RandomRow(4, 4).normal(0, x);
      Expected expected;
      for (std::int64_t token = 0; token < 5; ++token) {
        for (std::int64_t row = 0; row < rows; ++row) {
          double sum = 0;
          double power = 0;
          for (std::int64_t i = 0; i < columns; ++i) {
            const double product = static_cast<double>(weight[static_cast<std::size_t>(row * columns + i)]) *
                                   x[static_cast<std::size_t>(token * columns + i)];
            sum += product;
            power += product * product;
          }
          expected.products.push_back(sum);
          expected.ceilings.push_back(std::sqrt(power));
        }
      }
      CHECK(worst_error(*kernels, packed, lut::Precision::fast, x, 5, expected) < 0.03);
    }
  }
}

TEST("the best kernel is one that this machine has") {
  CHECK(lut::kernels_named(lut::best_kernels().name) == &lut::best_kernels());
  CHECK(lut::kernels_named("nothing") == nullptr);
}

TEST("a matrix whose parts do not match is refused before a kernel sees it") {
  auto matrix = random_matrix(4, 64, 4, 32, false, Tables::one);
  CHECK(lut::check(matrix, "m").ok());
  matrix.codes.pop_back();
  CHECK(!lut::check(matrix, "m").ok());
  matrix = random_matrix(4, 64, 4, 32, false, Tables::one);
  matrix.scales[3] = NAN;
  CHECK(!lut::check(matrix, "m").ok());
  matrix = random_matrix(4, 64, 4, 32, false, Tables::one);
  matrix.table.resize(15);
  CHECK(!lut::check(matrix, "m").ok());
}
