#pragma once
#include <array>
#include <vector>

namespace lutra::lut {

/// NormalFloat of `bits` (2 to 4), ascending from -1 to 1 with an exact 0; FLUTE's nf_utils.py: quantiles of the normal
/// distribution between d and 1 - d, d = (1/32 + 1/30) / 2, divided by the largest. At 4 bits these are bitsandbytes'
/// NF4.
[[nodiscard]] std::vector<float> normal_float_table(int bits);

/// The quantile function of the standard normal distribution, 0 < p < 1 (Wichura, AS 241, about 1e-16).
[[nodiscard]] double normal_quantile(double p);

}  // namespace lutra::lut
