#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "llama/failure.h"

namespace lutra::cuda {

/// Memory on the current device; given back with it.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  /// Throws `Failure` `out_of_memory` that tells what was wanted and what is free.
  explicit DeviceMemory(std::size_t bytes) : bytes_(bytes) {
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, bytes);
    if (error == cudaErrorMemoryAllocation) refuse(bytes);
    ensure(error, "reserves memory");
    memory_.reset(memory);
  }

  [[nodiscard]] void* get() const { return memory_.get(); }
  template <typename T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(memory_.get());
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* memory) const { static_cast<void>(cudaFree(memory)); }
  };
  [[noreturn]] static void refuse(std::size_t bytes) {
    static_cast<void>(cudaGetLastError());  // it is told here, and must not be told again by a later call
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    ensure(cudaMemGetInfo(&free_bytes, &total_bytes), "tells its memory");
    constexpr std::size_t megabyte = 1'000'000;
    throw Failure(Code::out_of_memory, "The graphics card has " + std::to_string(free_bytes / megabyte) +
                                           " MB free of " + std::to_string(total_bytes / megabyte) + " MB, and " +
                                           std::to_string(bytes / megabyte + 1) + " MB more are needed.");
  }

  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
};

/// A value that the host writes or reads while the device copies.
template <typename T>
class Pinned {
 public:
  explicit Pinned(std::size_t count = 1) {
    void* memory = nullptr;
    ensure(cudaMallocHost(&memory, count * sizeof(T)), "reserves memory of the computer");
    memory_.reset(static_cast<T*>(memory));
  }
  [[nodiscard]] T* get() const { return memory_.get(); }
  T& operator*() const { return *memory_; }
  T* operator->() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(T* memory) const { static_cast<void>(cudaFreeHost(memory)); }
  };
  std::unique_ptr<T, Free> memory_;
};

class Stream {
 public:
  Stream() {
    cudaStream_t stream = nullptr;
    ensure(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "opens a stream");
    stream_.reset(stream);
  }
  [[nodiscard]] cudaStream_t get() const { return stream_.get(); }
  void wait() const { ensure(cudaStreamSynchronize(stream_.get()), "computes"); }

 private:
  struct Destroy {
    void operator()(cudaStream_t stream) const { static_cast<void>(cudaStreamDestroy(stream)); }
  };
  std::unique_ptr<CUstream_st, Destroy> stream_;
};

}  // namespace lutra::cuda
