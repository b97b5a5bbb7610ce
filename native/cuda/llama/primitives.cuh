#pragma once
#include <cstdint>

#include "device_code.h"
#include "llama/arguments.h"

// What the kernels are made of. Numbers of 16 bits travel as their bits, so that one source serves the compiler for
// devices and the emulation on the processor.

namespace lutra::cuda {

constexpr unsigned whole_warp = 0xFFFFFFFFU;
constexpr float largest_f16 = 65504;

__device__ inline float from_f16(std::uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
__device__ inline float from_bf16(std::uint16_t bits) { return __uint_as_float(static_cast<unsigned>(bits) << 16); }
__device__ inline float widen(std::uint16_t bits, Float16 type) {
  return type == Float16::f16 ? from_f16(bits) : from_bf16(bits);
}
/// Rounds to the nearest; what is too large becomes the largest number, not infinity.
__device__ inline std::uint16_t to_f16(float value) {
  return __half_as_ushort(__float2half_rn(fminf(fmaxf(value, -largest_f16), largest_f16)));
}
__device__ inline std::uint32_t to_f16_pair(float low, float high) {
  return to_f16(low) | static_cast<std::uint32_t>(to_f16(high)) << 16;
}

/// Eight numbers of 16 bits, widened.
__device__ inline void widen_eight(const uint4& bits, Float16 type, float (&values)[8]) {
  const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = widen(static_cast<std::uint16_t>(words[i] & 0xFFFFU), type);
    values[2 * i + 1] = widen(static_cast<std::uint16_t>(words[i] >> 16), type);
  }
}

__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(whole_warp, value, distance);
  return value;
}
__device__ inline float warp_max(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(whole_warp, value, distance));
  return value;
}

/// The sum over a block of `warps` warps, in every thread. `scratch` (warps) is free again afterwards.
template <int warps>
__device__ inline float block_sum(float value, float* scratch) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int i = 0; i < warps; ++i) total += scratch[i];
  __syncthreads();
  return total;
}

/// d (16 x 8, f32) += a (16 x 16, f16, rows) b (16 x 8, f16, columns); fragments as PTX's mma.m16n8k16 has them.
__device__ inline void multiply(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  emulate::multiply_f16(d, a, b0, b1);
#endif
}

/// Two 8 x 8 tiles of 16 bits, transposed: lanes 0 to 15 give the addresses of their rows.
__device__ inline void load_transposed(std::uint32_t (&tiles)[2], const std::uint16_t* row) {
#ifdef __CUDACC__
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(tiles[0]), "=r"(tiles[1])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
#else
  emulate::load_transposed(tiles, row);
#endif
}

/// Begins to copy 16 bytes into shared memory, or zeros where `is_there` is false.
__device__ inline void copy_later(void* shared, const void* global, bool is_there) {
#ifdef __CUDACC__
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global), "r"(is_there ? 16 : 0)
      : "memory");
#else
  emulate::copy_sixteen(shared, global, is_there);
#endif
}
__device__ inline void close_copies() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for all but the latest `open` closed groups of this thread.
template <int open>
__device__ inline void await_copies() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
#endif
}

/// What another block wrote: not from this multiprocessor's own cache.
__device__ inline float read_fresh(const float* address) {
#ifdef __CUDACC__
  return __ldcg(address);
#else
  return *address;
#endif
}

}  // namespace lutra::cuda
