#pragma once
#include <cuda_runtime.h>

#include <cstddef>

namespace lutra::cuda::check {

/// Bytes read and written per second by copies within the device; 0 where it could not be measured. Not as part of a
/// graph: there the same copies took a fifth longer on an H100.
inline double copy_bandwidth() {
  constexpr std::size_t bytes = std::size_t{1} << 30;
  constexpr int repeats = 10;
  void* from = nullptr;
  void* to = nullptr;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  bool is_good = cudaMalloc(&from, bytes) == cudaSuccess && cudaMalloc(&to, bytes) == cudaSuccess &&
                 cudaEventCreate(&begin) == cudaSuccess && cudaEventCreate(&end) == cudaSuccess;
  for (int i = 0; i <= repeats && is_good; ++i) {
    is_good = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr) == cudaSuccess;
    if (i == 0) is_good = is_good && cudaEventRecord(begin, nullptr) == cudaSuccess;  // the first one warms up
  }
  float milliseconds = 0;
  is_good = is_good && cudaEventRecord(end, nullptr) == cudaSuccess && cudaEventSynchronize(end) == cudaSuccess &&
            cudaEventElapsedTime(&milliseconds, begin, end) == cudaSuccess;
  cudaFree(from);
  cudaFree(to);
  if (begin != nullptr) cudaEventDestroy(begin);
  if (end != nullptr) cudaEventDestroy(end);
  return is_good ? 2.0 * repeats * static_cast<double>(bytes) / (static_cast<double>(milliseconds) * 1e-3) : 0;
}

}  // namespace lutra::cuda::check
