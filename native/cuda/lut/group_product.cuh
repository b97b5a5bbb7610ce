#pragma once
#include "lut/primitives.cuh"

// Products of a warp group (four warps, compute capability 9.0): d (64 x tokens, f32) += a (64 x 16, registers)
// b (16 x tokens, shared memory). They run behind the program's back: registers of `a` and `d` may be touched, and the
// shared memory written, only after `await_products`. Source: PTX ISA, "Asynchronous warpgroup level matrix
// multiply-accumulate".

namespace lutra::cuda::product {

/// Inputs of 8 tokens lie in 8 x 128 bytes; pieces of 16 bytes change places so that no two tokens meet in a bank: the
/// swizzle by 128 bytes that descriptors know. `piece` is 16 bytes of a token's 128.
__device__ inline int swizzled(int token, int piece) { return token * 128 + ((piece ^ (token & 7)) << 4); }

/// Of b: columns contiguous, 8 tokens in 1024 bytes. `shared` begins at a multiple of 1024; 16 columns further are 32
/// bytes.
__device__ inline std::uint64_t describe(const unsigned char* shared) {
  constexpr std::uint64_t swizzle_128 = std::uint64_t{1} << 62;
  constexpr std::uint64_t eight_tokens = std::uint64_t{1024 / 16} << 32;
  constexpr std::uint64_t unused = std::uint64_t{1} << 16;  // the other stride, which this swizzle has no use for
  return swizzle_128 | eight_tokens | unused | (address_in_shared(shared) & 0x3FFFFU) >> 4;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDACC__)
#define LUTRA_HAS_GROUP_PRODUCTS 1
#endif

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define LUTRA_SUMS(d) "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
// clang-format off
#define LUTRA_PRODUCT_64(type)                                                                                        \
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {"                                       \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                               \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "                    \
               "{%32, %33, %34, %35}, %36, 1, 1, 1, 0;"                                                               \
               : LUTRA_SUMS(d[0]), LUTRA_SUMS(d[1]), LUTRA_SUMS(d[2]), LUTRA_SUMS(d[3]),                              \
                 LUTRA_SUMS(d[4]), LUTRA_SUMS(d[5]), LUTRA_SUMS(d[6]), LUTRA_SUMS(d[7])                               \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor))
#define LUTRA_PRODUCT_128(type)                                                                                       \
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {"                                      \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                               \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                     \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                     \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "                    \
               "{%64, %65, %66, %67}, %68, 1, 1, 1, 0;"                                                               \
               : LUTRA_SUMS(d[0]), LUTRA_SUMS(d[1]), LUTRA_SUMS(d[2]), LUTRA_SUMS(d[3]),                              \
                 LUTRA_SUMS(d[4]), LUTRA_SUMS(d[5]), LUTRA_SUMS(d[6]), LUTRA_SUMS(d[7]),                              \
                 LUTRA_SUMS(d[8]), LUTRA_SUMS(d[9]), LUTRA_SUMS(d[10]), LUTRA_SUMS(d[11]),                            \
                 LUTRA_SUMS(d[12]), LUTRA_SUMS(d[13]), LUTRA_SUMS(d[14]), LUTRA_SUMS(d[15])                           \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor))
#define LUTRA_PRODUCT_256(type)                                                                                       \
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {"                                      \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                               \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                     \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                     \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                     \
               "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                     \
               "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                     \
               "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "         \
               "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "    \
               "{%128, %129, %130, %131}, %132, 1, 1, 1, 0;"                                                          \
               : LUTRA_SUMS(d[0]), LUTRA_SUMS(d[1]), LUTRA_SUMS(d[2]), LUTRA_SUMS(d[3]),                              \
                 LUTRA_SUMS(d[4]), LUTRA_SUMS(d[5]), LUTRA_SUMS(d[6]), LUTRA_SUMS(d[7]),                              \
                 LUTRA_SUMS(d[8]), LUTRA_SUMS(d[9]), LUTRA_SUMS(d[10]), LUTRA_SUMS(d[11]),                            \
                 LUTRA_SUMS(d[12]), LUTRA_SUMS(d[13]), LUTRA_SUMS(d[14]), LUTRA_SUMS(d[15]),                          \
                 LUTRA_SUMS(d[16]), LUTRA_SUMS(d[17]), LUTRA_SUMS(d[18]), LUTRA_SUMS(d[19]),                          \
                 LUTRA_SUMS(d[20]), LUTRA_SUMS(d[21]), LUTRA_SUMS(d[22]), LUTRA_SUMS(d[23]),                          \
                 LUTRA_SUMS(d[24]), LUTRA_SUMS(d[25]), LUTRA_SUMS(d[26]), LUTRA_SUMS(d[27]),                          \
                 LUTRA_SUMS(d[28]), LUTRA_SUMS(d[29]), LUTRA_SUMS(d[30]), LUTRA_SUMS(d[31])                           \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor))
// clang-format on
#endif

template <Scalar type, int tokens>
__device__ inline void begin_product(float (&d)[tokens / 8][4], const std::uint32_t (&a)[4], std::uint64_t descriptor) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  if constexpr (tokens == 64 && type == Scalar::f16) LUTRA_PRODUCT_64("f16");
  if constexpr (tokens == 64 && type == Scalar::bf16) LUTRA_PRODUCT_64("bf16");
  if constexpr (tokens == 128 && type == Scalar::f16) LUTRA_PRODUCT_128("f16");
  if constexpr (tokens == 128 && type == Scalar::bf16) LUTRA_PRODUCT_128("bf16");
  if constexpr (tokens == 256 && type == Scalar::f16) LUTRA_PRODUCT_256("f16");
  if constexpr (tokens == 256 && type == Scalar::bf16) LUTRA_PRODUCT_256("bf16");
#elif !defined(__CUDACC__)
  emulate::begin_group_product(&d[0][0], tokens, a, descriptor, type);
#endif
}

/// Before products whose registers others have written.
__device__ inline void settle_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ inline void close_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#elif !defined(__CUDACC__)
  emulate::close_group_products();
#endif
}
/// Waits for all but the latest `open` closed groups of products.
template <int open>
__device__ inline void await_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(open) : "memory");
#elif !defined(__CUDACC__)
  emulate::await_group_products(open);
#endif
}
/// Shows to the tensor cores what this thread wrote to shared memory, or had copied there.
__device__ inline void show_to_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

}  // namespace lutra::cuda::product
