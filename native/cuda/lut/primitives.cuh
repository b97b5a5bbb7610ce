#pragma once
#include <cstdint>

#include "device_code.h"
#include "lut_layout.h"
#ifdef __CUDACC__
#define LUTRA_NOT_INLINE __noinline__
#else
#define LUTRA_NOT_INLINE
#define __grid_constant__
#include <cmath>

#include "lut/emulated.h"
#endif

// The instructions that the products are made of, one function each: PTX by nvcc, the emulation by any other compiler.
// Pairs of 16-bit numbers travel in 32 bits, the first in the lower half.

namespace lutra::cuda::product {

constexpr unsigned whole_warp = 0xFFFFFFFFU;
constexpr float largest_f16 = 65504;

__device__ inline float widen_f16(std::uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
__device__ inline float widen_bf16(std::uint16_t bits) { return __uint_as_float(static_cast<unsigned>(bits) << 16); }

template <Scalar type>
__device__ inline float widen(std::uint16_t bits) {
  return type == Scalar::bf16 ? widen_bf16(bits) : widen_f16(bits);
}

/// Rounds to the nearest; what f16 cannot hold becomes its largest number.
__device__ inline std::uint16_t narrow_f16(float value) {
  return __half_as_ushort(__float2half_rn(fminf(fmaxf(value, -largest_f16), largest_f16)));
}
__device__ inline std::uint16_t narrow_bf16(float value) {
#ifdef __CUDACC__
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
  return core::f32_to_bf16(value);
#endif
}
template <Scalar type>
__device__ inline std::uint16_t narrow(float value) {
  return type == Scalar::bf16 ? narrow_bf16(value) : narrow_f16(value);
}
template <Scalar type>
__device__ inline std::uint32_t narrow_pair(float low, float high) {
  return narrow<type>(low) | static_cast<std::uint32_t>(narrow<type>(high)) << 16;
}

/// d (16 x 8, f32) += a (16 x 16, rows) b (16 x 8, columns): mma.m16n8k16, fragments as PTX has them.
template <Scalar type>
__device__ inline void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#ifdef __CUDACC__
  if constexpr (type == Scalar::bf16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#else
  emulate::multiply_tile(d, a, b, type);
#endif
}

/// Both numbers of a pair times those of another, rounded.
template <Scalar type>
__device__ inline std::uint32_t multiply_pairs(std::uint32_t a, std::uint32_t b) {
#ifdef __CUDACC__
  std::uint32_t product;
  if constexpr (type == Scalar::bf16) {
    // Compute capability 8 has no product alone; adding -0 changes nothing.
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000U));
  } else {
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(product) : "r"(a), "r"(b));
  }
  return product;
#else
  return emulate::multiply_pairs(a, b, type);
#endif
}

/// Four 8 x 8 tiles of 16 bits; lane i gives the address of row i % 8 of tile i / 8.
__device__ inline void load_tiles(std::uint32_t (&tiles)[4], const unsigned char* row) {
#ifdef __CUDACC__
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
#else
  emulate::load_tiles(tiles, row);
#endif
}

__device__ inline std::uint32_t address_in_shared(const void* shared) {
#ifdef __CUDACC__
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
#else
  return emulate::shared_address(shared);
#endif
}

/// A word of a lookup table, by its address in shared memory.
__device__ inline std::uint32_t look_up(std::uint32_t address) {
#ifdef __CUDACC__
  return *static_cast<const std::uint32_t*>(__cvta_shared_to_generic(address));
#else
  return emulate::look_up(address);
#endif
}

/// Byte `i` of a word, as a number.
__device__ inline std::uint32_t take_byte(std::uint32_t word, int i) {
#ifdef __CUDACC__
  return __byte_perm(word, 0, 0x4440 + static_cast<unsigned>(i));
#else
  return word >> (8 * i) & 0xFFU;
#endif
}

/// 16 bytes of the weight: read once, so kept out of the first cache.
__device__ inline uint4 load_stream(const uint4* address) {
#ifdef __CUDACC__
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(address));
  return value;
#else
  emulate::note_global(emulate::Site::codes, address, 16);
  return *address;
#endif
}

/// Brings a line of 128 bytes nearer.
__device__ inline void prefetch(const void* address) {
#ifdef __CUDACC__
  asm volatile("prefetch.global.L1 [%0];" ::"l"(address));
#else
  static_cast<void>(address);
#endif
}

/// Bytes a, b, a', b' of two words: `upper` takes the upper halves.
__device__ inline std::uint32_t join_halves(std::uint32_t a, std::uint32_t b, bool upper) {
#ifdef __CUDACC__
  return __byte_perm(a, b, upper ? 0x7632 : 0x5410);
#else
  return upper ? a >> 16 | (b & 0xFFFF0000U) : (a & 0xFFFFU) | b << 16;
#endif
}

/// Begins to copy 16 bytes into shared memory, or zeros where `is_there` is false: then nothing is read at `global`.
__device__ inline void copy_later(unsigned char* shared, const void* global, bool is_there) {
#ifdef __CUDACC__
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(shared))),
               "l"(global), "r"(is_there ? 16 : 0)
               : "memory");
#else
  emulate::copy_later(shared, global, is_there);
#endif
}
__device__ inline void copy_later(unsigned char* shared, const void* global) {
#ifdef __CUDACC__
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(shared))),
               "l"(global)
               : "memory");
#else
  emulate::copy_later(shared, global, true);
#endif
}
__device__ inline void close_copies() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emulate::close_copies();
#endif
}
/// Waits for all but the latest `open` closed groups of this thread.
template <int open>
__device__ inline void await_copies() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
#else
  emulate::await_copies(open);
#endif
}

/// The same where `open`, at most 3, is known only at run time.
__device__ inline void await_all_but(int open) {
  switch (open) {
    case 0:
      return await_copies<0>();
    case 1:
      return await_copies<1>();
    case 2:
      return await_copies<2>();
    default:
      return await_copies<3>();
  }
}

/// What another block wrote: from the second cache, which all share.
__device__ inline float load_fresh(const float* address) {
#ifdef __CUDACC__
  return __ldcg(address);
#else
  return *address;
#endif
}

__device__ inline float inverse_root(float value) {
#ifdef __CUDACC__
  return rsqrtf(value);
#else
  return 1 / std::sqrt(value);
#endif
}
__device__ inline float silu(float value) {
#ifdef __CUDACC__
  return value / (1 + __expf(-value));
#else
  return value / (1 + std::exp(-value));
#endif
}

/// The number of the thread's warp in its block. By way of a lane, because the compiler then knows that all lanes have
/// the same: what depends on it is reckoned once for a warp, and a lookup needs no addition for its address.
__device__ inline int own_warp() { return __shfl_sync(whole_warp, static_cast<int>(threadIdx.x / 32), 0); }

/// The thread's place in its warp. Read once: the compiler would rather read a thread's number again than keep it.
__device__ inline int own_lane() {
#ifdef __CUDACC__
  unsigned lane;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
  return static_cast<int>(lane);
#else
  return static_cast<int>(threadIdx.x % 32);
#endif
}

__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(whole_warp, value, distance);
  return value;
}

}  // namespace lutra::cuda::product
