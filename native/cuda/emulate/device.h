#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/dtype.h"
#include "emulate/types.h"

// CUDA's device side on the processor: one fiber per thread, blocks one after the other. Enough of the language that a
// kernel's source runs as it stands; what is missing does not compile.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static  // blocks do not overlap
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

namespace lutra::cuda::emulate {

/// Waits until every thread of the block, or every lane of the warp, that has not ended is here.
void wait_for_block();
void wait_for_warp();

/// Gives `count` bytes to the other lanes and waits for theirs; the result is (32, `most_exchanged`) bytes, valid until
/// the next exchange but one.
constexpr std::size_t most_exchanged = 64;
const unsigned char* exchange(const void* bytes, std::size_t count);

/// Bit i: lane i has not ended.
unsigned live_lanes();
unsigned char* dynamic_shared_memory();

struct Place {
  dim3 thread;
  dim3 block;
  dim3 block_size;
  dim3 grid_size;
};
/// Of the thread that runs now.
extern Place place;

template <typename T>
T from_lane(T value, int lane) {
  static_assert(sizeof(T) <= most_exchanged);
  const unsigned char* all = exchange(&value, sizeof value);
  T result;
  std::memcpy(&result, all + static_cast<std::size_t>(lane) * most_exchanged, sizeof result);
  return result;
}

inline int own_lane() {
  const auto& [thread, block, size, grid] = place;
  return static_cast<int>((thread.x + size.x * (thread.y + size.y * thread.z)) % 32);
}

/// mma.m16n8k16 with f32 sums; `widen` makes a float of 16 bits.
void multiply(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
              float (*widen)(std::uint16_t));
inline void multiply_f16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  multiply(d, a, b0, b1, core::f16_to_f32);
}
/// ldmatrix.x2.trans
void load_transposed(std::uint32_t (&tiles)[2], const std::uint16_t* row);
/// cp.async, which here has arrived at once.
inline void copy_sixteen(void* target, const void* source, bool is_there) {
  if (is_there) {
    std::memcpy(target, source, 16);
  } else {
    std::memset(target, 0, 16);
  }
}

}  // namespace lutra::cuda::emulate

namespace lutra::cuda {
inline unsigned char* dynamic_shared() { return emulate::dynamic_shared_memory(); }
}  // namespace lutra::cuda

#define threadIdx (::lutra::cuda::emulate::place.thread)
#define blockIdx (::lutra::cuda::emulate::place.block)
#define blockDim (::lutra::cuda::emulate::place.block_size)
#define gridDim (::lutra::cuda::emulate::place.grid_size)

inline void __syncthreads() { lutra::cuda::emulate::wait_for_block(); }
inline void __syncwarp(unsigned /*lanes*/ = ~0U) { lutra::cuda::emulate::wait_for_warp(); }
inline void __threadfence() {}

template <typename T>
T __shfl_sync(unsigned /*lanes*/, T value, int source, int width = 32) {
  const int lane = lutra::cuda::emulate::own_lane();
  return lutra::cuda::emulate::from_lane(value, lane / width * width + source % width);
}
template <typename T>
T __shfl_xor_sync(unsigned /*lanes*/, T value, int mask) {
  return lutra::cuda::emulate::from_lane(value, lutra::cuda::emulate::own_lane() ^ mask);
}
template <typename T>
T __shfl_down_sync(unsigned /*lanes*/, T value, unsigned distance) {
  const int lane = lutra::cuda::emulate::own_lane() + static_cast<int>(distance);
  return lutra::cuda::emulate::from_lane(value, lane < 32 ? lane : lutra::cuda::emulate::own_lane());
}
inline unsigned __ballot_sync(unsigned lanes, bool vote) {
  const unsigned char own = vote ? 1 : 0;
  const unsigned char* all = lutra::cuda::emulate::exchange(&own, 1);
  unsigned result = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    const bool is_live = (lutra::cuda::emulate::live_lanes() >> lane & 1U) != 0;
    if (is_live && all[lane * lutra::cuda::emulate::most_exchanged] != 0) result |= 1U << lane;
  }
  return result & lanes;
}

// Fibers change hands only where they wait: a plain sum cannot be interrupted.
template <typename T>
T atomicAdd(T* target, T value) {
  const T before = *target;
  *target = static_cast<T>(before + value);
  return before;
}

inline std::uint32_t __float_as_uint(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float __uint_as_float(std::uint32_t bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct __half {
  std::uint16_t bits;
};
inline __half __ushort_as_half(std::uint16_t bits) { return {bits}; }
inline std::uint16_t __half_as_ushort(__half value) { return value.bits; }
inline float __half2float(__half value) { return lutra::core::f16_to_f32(value.bits); }
inline __half __float2half_rn(float value) { return {lutra::core::f32_to_f16(value)}; }

template <typename T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
T max(T a, T b) {
  return a < b ? b : a;
}
