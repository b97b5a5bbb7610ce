#pragma once
#include <cstdint>
#include <span>

#include "core/progress.h"
#include "core/result.h"
#include "lut/lut_matrix.h"

namespace lutra::lut {

struct QuantizeOptions {
  int bits = 4;                  ///< 2, 3 or 4
  std::int64_t group_size = 64;  ///< inputs that share a scale
  enum class Table {
    nf,       ///< NormalFloat with absmax scales, as FLUTE's nf_utils.py
    learned,  ///< table and scales fitted to the weight by least squares
  } table = Table::learned;
  bool table_per_row = false;  ///< `learned` only: a table for each output
};

/// `bad-input` that names the option, where it is out of range.
core::Status check(const QuantizeOptions& options);

struct Quantized {
  LutMatrix matrix;           ///< scales and table hold values of f16
  double relative_error = 0;  ///< ||W - Q||_F / ||W||_F, importance-weighted where given; 0 for a weight of zeros
};

/// Quantizes one weight (rows, columns), row-major. `importance` (columns) is the mean squared activation of each
/// input, not negative, and weights the squares; empty: all alike. The same result whatever the number of threads.
///
/// nf: code = nearest entry of the table to w / absmax of the group, the lower one of two as near; absmax and table are
/// then rounded to f16. Source: FLUTE's nf_utils.py.
///
/// learned: starts there and alternates between codes, scale of each group (closed form, from several multiples of the
/// absmax, of either sign) and table entries (closed form), as Lloyd's algorithm does; codes are made last, with what
/// is stored. On large weights the table is learned from evenly spaced rows.
///
/// Fails with `bad-input` for options and sizes, `bad-file` for NaN, infinite, or beyond f16 (where the first is),
/// `cancelled`. `progress` counts weights.
core::Result<Quantized> quantize(std::span<const float> weight, std::int64_t rows, std::int64_t columns,
                                 const QuantizeOptions& options, std::span<const float> importance, int threads,
                                 const core::Progress& progress);

}  // namespace lutra::lut
