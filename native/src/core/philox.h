#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace lutra::core {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four words from a counter and
/// a key, without state. The same on every machine and for every number of threads.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                      std::array<std::uint32_t, 2> key);

/// An endless row of random values for each (seed, stream). Value `i` depends on `i` alone, so that a row may be filled
/// in pieces, in any order, by any number of threads.
class RandomRow {
 public:
  RandomRow(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  /// Values `offset`, `offset + 1`, … of the row, uniform in [0, 1), 24 bits each.
  void uniform(std::uint64_t offset, std::span<float> target) const;
  /// Values of mean 0 and variance 1, by Box and Muller's transform in f64, rounded to f32.
  void normal(std::uint64_t offset, std::span<float> target) const;

 private:
  [[nodiscard]] std::array<std::uint32_t, 4> block(std::uint64_t index) const;

  std::uint64_t seed_;
  std::uint64_t stream_;
};

}  // namespace lutra::core
