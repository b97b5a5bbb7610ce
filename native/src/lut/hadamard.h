#pragma once
#include <cstdint>
#include <span>

namespace lutra::lut {

/// The normalised Walsh-Hadamard transform, in place, of each run of `block` values: y = H x / sqrt(block), H in
/// natural (Sylvester) order, H[i][j] = (-1)^popcount(i & j). It is its own inverse. Error: about log2(block) roundings
/// of f32. Throws `std::invalid_argument` unless `block` is a power of two that divides the number of values.
void hadamard(std::span<float> values, std::int64_t block);

}  // namespace lutra::lut
