#pragma once
#include <cstddef>
#include <utility>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "emulate/runtime.h"
#endif

namespace lutra::cuda {

/// Where a kernel runs.
struct Launch {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  ///< dynamic
  cudaStream_t stream = nullptr;
  /// The kernel may begin before its predecessor in the stream has ended (compute capability 9 and later), and waits
  /// for it by itself before it touches what that writes.
  bool begins_early = false;
};

/// Puts a kernel into a stream, or into the graph that the stream is capturing.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(const Launch& where, void (*kernel)(Parameters...), Arguments&&... arguments) {
#ifdef __CUDACC__
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = where.grid;
  config.blockDim = where.block;
  config.dynamicSmemBytes = where.shared_bytes;
  config.stream = where.stream;
  config.attrs = &attribute;
  config.numAttrs = where.begins_early ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...);
#else
  return emulate::launch(
      where.grid, where.block, where.shared_bytes, where.stream, reinterpret_cast<const void*>(kernel),
      [kernel, ... held = static_cast<Parameters>(std::forward<Arguments>(arguments))] { kernel(held...); });
#endif
}

/// Lets a kernel take that much dynamic shared memory; needed beyond 48 KB.
template <typename... Parameters>
cudaError_t allow_shared(void (*kernel)(Parameters...), int bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                              bytes);
}

}  // namespace lutra::cuda
