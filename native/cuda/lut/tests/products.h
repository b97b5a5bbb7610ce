#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/threads.h"
#include "lut/lut_matrix.h"
#include "lut_mul_mat.h"

// Products to try, on a device or on its emulation: the same sources serve both.

namespace lutra::cuda::testing {

enum class Kind : std::uint8_t { one_table, row_tables, pairs };

struct Product {
  std::int32_t rows = 64;
  std::int32_t columns = 64;
  std::int32_t tokens = 1;
  int bits = 4;
  std::int32_t group_size = 64;
  Kind kind = Kind::one_table;
  Scalar activations = Scalar::f16;
  Scalar y_type = Scalar::f32;
  bool is_gated = false;
  bool has_bias = false;
  bool has_residual = false;
  bool has_norm = false;
  bool x_is_f32 = false;
  bool straddles = false;  // groups run over the flattened weight
  std::int32_t hadamard_size = 0;
  std::int32_t stacked = 1;  // matrices of `rows` rows below one another, each with its own table

  [[nodiscard]] std::string name() const;
};

/// A weight of any codes, tables without order and scales of both signs, all numbers that f16 and bf16 have.
lut::LutMatrix random_weight(const Product& product, std::uint64_t seed);

struct Outcome {
  double worst_error = 0;  ///< against the magnitude of what was summed, less what rounding y costs
  std::vector<unsigned char> y;
  bool ran = false;
  std::string why;  ///< where it did not run
};

/// Packs, uploads, multiplies, and compares with lut::LutMatrix::dequantize_row in f64. Runs twice with one workspace:
/// what a launch leaves behind must not matter, and both must give the same bits.
Outcome run(const DeviceLimits& limits, const Product& product, core::ThreadPool& threads);

/// What rounding may cost: weights of f16 or bf16 where the scale is multiplied in before the product (many tokens).
double tolerance(const DeviceLimits& limits, const Product& product);

/// Every number of bits, kind of table, type and ending, with odd sizes: small enough for the emulation.
std::vector<Product> small_products();

}  // namespace lutra::cuda::testing
