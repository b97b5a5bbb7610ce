#pragma once

// What a kernel's source includes, and nothing else of CUDA's: by nvcc the real thing, by any other compiler the
// emulation on the processor.
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace lutra::cuda {

/// The shared memory whose size the launch gives, 16-byte aligned.
__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char lutra_dynamic_shared[];
  return lutra_dynamic_shared;
}

}  // namespace lutra::cuda
#else
#include "emulate/device.h"
#endif

namespace lutra::cuda {

/// Lets the next kernel of the stream begin, and waits until all earlier ones have ended and can be seen. No effect
/// where the kernel was not launched to begin early.
__device__ inline void let_next_begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ inline void await_earlier_kernels() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

}  // namespace lutra::cuda
