#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "core/dtype.h"
#include "launch.h"

namespace lutra::testing {

inline void succeed(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

/// Values on the emulated device.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t count) : count_(count) { take(); }
  explicit OnDevice(const std::vector<T>& values) : count_(values.size()) {
    take();
    std::memcpy(memory_.get(), values.data(), count_ * sizeof(T));
  }
  [[nodiscard]] T* get() const { return static_cast<T*>(memory_.get()); }
  [[nodiscard]] std::vector<T> values() const { return {get(), get() + count_}; }

 private:
  struct Free {
    void operator()(void* memory) const { static_cast<void>(cudaFree(memory)); }
  };
  void take() {
    void* memory = nullptr;
    succeed(cudaMalloc(&memory, count_ * sizeof(T)));
    memory_.reset(memory);
  }
  std::size_t count_;
  std::unique_ptr<void, Free> memory_;
};

/// Values between -1 and 1, the same on every machine.
inline std::vector<float> noise(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random()) * 0x1p-31F - 1.0F;
  return values;
}

inline std::vector<std::uint16_t> halves(const std::vector<float>& values) {
  std::vector<std::uint16_t> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = core::f32_to_f16(values[i]);
  return result;
}
inline std::vector<std::uint16_t> brain_halves(const std::vector<float>& values) {
  std::vector<std::uint16_t> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = core::f32_to_bf16(values[i]);
  return result;
}
inline std::vector<float> widened(const std::vector<std::uint16_t>& values) {
  std::vector<float> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = core::f16_to_f32(values[i]);
  return result;
}

/// The largest difference, as a share of the largest expected value.
inline double worst_share(const std::vector<float>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double worst = 0;
  double most = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(actual[i])) return INFINITY;
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
    most = std::max(most, std::abs(expected[i]));
  }
  return most == 0 ? worst : worst / most;
}

}  // namespace lutra::testing
