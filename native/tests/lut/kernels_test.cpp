#include "lut/kernels.h"

#include <cmath>

#include "core/philox.h"
#include "lut/tables.h"
#include "testing.h"

using namespace lutra;

namespace {

/// Any codes, scales of both signs and a table without order: a kernel may assume nothing about them.
lut::LutMatrix random_matrix(std::int64_t rows, std::int64_t columns, int bits, std::int64_t group, bool straddles,
                             bool row_tables) {
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
  fill(matrix.table, static_cast<std::size_t>((row_tables ? rows : 1) * matrix.table_entries()));
  return matrix;
}

}  // namespace

TEST("every kernel gives the reference's products: all bits, groups, tables, and odd lengths") {
  int tried = 0;
  for (const char* name : {"scalar", "avx2", "avx512"}) {
    const lut::Kernels* kernels = lut::kernels_named(name);
    if (kernels == nullptr) {
      std::cout << "SKIPPED: this machine has no " << name << '\n';
      continue;
    }
    for (const int bits : {2, 3, 4}) {
      for (const std::int64_t columns : {1, 7, 8, 50, 64, 96, 129, 512}) {
        for (const std::int64_t group : {16, 32, 50, 64, 256}) {
          for (const bool straddles : {false, true}) {
            for (const bool row_tables : {false, true}) {
              const auto matrix = random_matrix(5, columns, bits, group, straddles, row_tables);
              REQUIRE(lut::check(matrix, "m").ok());
              std::vector<float> x(static_cast<std::size_t>(columns));
              core::RandomRow(5, 5).normal(0, x);
              std::vector<float> expanded(x.size());
              std::vector<float> reference(x.size());
              for (std::int64_t row = 0; row < matrix.rows; ++row) {
                matrix.dequantize_row(row, reference);
                double sum = 0;
                double power = 0;
                for (std::size_t i = 0; i < x.size(); ++i) {
                  const double product = static_cast<double>(reference[i]) * x[i];
                  sum += product;
                  power += std::abs(product);
                }
                CHECK(std::abs(kernels->dot_row(matrix, row, x.data()) - sum) <= 1e-5 * power + 1e-9);
                kernels->expand_row(matrix, row, expanded.data());
                CHECK(expanded == reference);
                CHECK(std::abs(kernels->dot(reference.data(), x.data(), columns) - sum) <= 1e-5 * power + 1e-9);
                ++tried;
              }
            }
          }
        }
      }
    }
  }
  CHECK(tried >= 2400);
}

TEST("the best kernel is one that this machine has") {
  CHECK(lut::kernels_named(lut::best_kernels().name) == &lut::best_kernels());
  CHECK(lut::kernels_named("nothing") == nullptr);
}

TEST("a matrix whose parts do not match is refused before a kernel sees it") {
  auto matrix = random_matrix(4, 64, 4, 32, false, false);
  CHECK(lut::check(matrix, "m").ok());
  matrix.codes.pop_back();
  CHECK(!lut::check(matrix, "m").ok());
  matrix = random_matrix(4, 64, 4, 32, false, false);
  matrix.scales[3] = NAN;
  CHECK(!lut::check(matrix, "m").ok());
  matrix = random_matrix(4, 64, 4, 32, false, false);
  matrix.table.resize(15);
  CHECK(!lut::check(matrix, "m").ok());
}
