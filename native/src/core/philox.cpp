#include "core/philox.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace lutra::core {
namespace {

constexpr std::uint32_t multiplier0 = 0xD2511F53U;
constexpr std::uint32_t multiplier1 = 0xCD9E8D57U;
constexpr std::uint32_t weyl0 = 0x9E3779B9U;
constexpr std::uint32_t weyl1 = 0xBB67AE85U;
constexpr int rounds = 10;
constexpr std::size_t words = 4;

std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }
std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

float unit(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

/// Two normal values from two words. The first is kept from 0, whose logarithm is infinite.
std::array<float, 2> normal_pair(std::uint32_t first, std::uint32_t second) {
  const double u = (static_cast<double>(first) + 0.5) * 0x1p-32;
  const double angle = 2.0 * std::numbers::pi * (static_cast<double>(second) * 0x1p-32);
  const double radius = std::sqrt(-2.0 * std::log(u));
  return {static_cast<float>(radius * std::cos(angle)), static_cast<float>(radius * std::sin(angle))};
}

/// Calls `take(i, word index in block, block)` for every value, with each block made once.
template <typename Block, typename Take>
void each(std::uint64_t offset, std::size_t count, Block make, Take take) {
  for (std::size_t i = 0; i < count;) {
    const std::uint64_t position = offset + i;
    const auto block = make(position / words);
    for (std::size_t lane = position % words; lane < words && i < count; ++lane, ++i) take(i, lane, block);
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(multiplier0) * counter[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(multiplier1) * counter[2];
    counter = {high(product1) ^ counter[1] ^ key[0], low(product1), high(product0) ^ counter[3] ^ key[1],
               low(product0)};
    key[0] += weyl0;
    key[1] += weyl1;
  }
  return counter;
}

std::array<std::uint32_t, 4> RandomRow::block(std::uint64_t index) const {
  return philox4x32({low(index), high(index), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
}

void RandomRow::uniform(std::uint64_t offset, std::span<float> target) const {
  each(
      offset, target.size(), [this](std::uint64_t index) { return block(index); },
      [&](std::size_t i, std::size_t lane, const auto& made) { target[i] = unit(made[lane]); });
}

void RandomRow::normal(std::uint64_t offset, std::span<float> target) const {
  const auto make = [this](std::uint64_t index) {
    const auto made = block(index);
    const auto first = normal_pair(made[0], made[1]);
    const auto second = normal_pair(made[2], made[3]);
    return std::array{first[0], first[1], second[0], second[1]};
  };
  each(offset, target.size(), make, [&](std::size_t i, std::size_t lane, const auto& made) { target[i] = made[lane]; });
}

}  // namespace lutra::core
