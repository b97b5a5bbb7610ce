#include "emulate/runtime.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "emulate/blocks.h"

struct CUgraph_st {
  std::vector<std::function<void()>> nodes;
};
struct CUgraphExec_st : CUgraph_st {};
struct CUstream_st {
  std::unique_ptr<CUgraph_st> capturing;
};

namespace {

using lutra::cuda::emulate::card;

constexpr std::size_t alignment = 256;
constexpr std::size_t plain_shared_bytes = std::size_t{48} << 10;
constexpr unsigned most_threads = 1024;
constexpr unsigned most_blocks_across = 65535;

std::mutex mutex;
std::map<std::uintptr_t, std::size_t> device_memory;  // begin -> bytes
std::size_t used_bytes = 0;
std::map<const void*, int> allowed_shared;
lutra::cuda::emulate::Counts counted;

bool is_on_device(const void* memory, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  auto after = device_memory.upper_bound(at);
  if (after == device_memory.begin()) return false;
  const auto& [begin, size] = *--after;
  return at + bytes <= begin + size;
}

/// Whether another program has taken what was free: while the file exists that the environment names.
bool is_taken() {
  const char* sign = std::getenv("LUTRA_EMULATED_TAKEN");
  std::error_code error;
  return sign != nullptr && std::filesystem::exists(sign, error);
}

cudaError_t put(cudaStream_t stream, std::function<void()> work) {
  if (stream != nullptr && stream->capturing) {
    stream->capturing->nodes.push_back(std::move(work));
  } else {
    work();
  }
  return cudaSuccess;
}

}  // namespace

namespace lutra::cuda::emulate {

Card& card() {
  static Card the_card = [] {
    Card made;
    if (const char* bytes = std::getenv("LUTRA_EMULATED_BYTES")) made.memory_bytes = std::strtoull(bytes, nullptr, 10);
    return made;
  }();
  return the_card;
}

const Counts& counts() { return counted; }

cudaError_t launch(dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream, const void* kernel,
                   std::function<void()> thread) {
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > most_blocks_across || grid.z > most_blocks_across ||
      threads == 0 || threads > most_threads)
    return cudaErrorInvalidConfiguration;
  if (shared_bytes > plain_shared_bytes) {
    const std::lock_guard lock(mutex);
    const auto allowed = allowed_shared.find(kernel);
    if (allowed == allowed_shared.end() || shared_bytes > static_cast<std::size_t>(allowed->second))
      return cudaErrorInvalidValue;
  }
  if (stream == nullptr || !stream->capturing) ++counted.kernel_launches;
  return put(stream, [=, held = std::move(thread)] { run_blocks(grid, block, shared_bytes, held); });
}

}  // namespace lutra::cuda::emulate

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return "invalid argument";
  }
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = card().devices;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= card().devices) return cudaErrorInvalidValue;
  *properties = {"Emulated card", card().major, card().minor, card().multiprocessors,
                 static_cast<std::size_t>(card().shared_bytes)};
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device < 0 || device >= card().devices) return cudaErrorInvalidValue;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = card().multiprocessors;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = card().major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = card().minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = card().shared_bytes;
      return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

cudaError_t cudaSetDevice(int device) {
  return device >= 0 && device < card().devices ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  const std::lock_guard lock(mutex);
  *total_bytes = card().memory_bytes;
  *free_bytes = used_bytes < card().memory_bytes && !is_taken() ? card().memory_bytes - used_bytes : 0;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** target, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  if (used_bytes + bytes > card().memory_bytes || is_taken()) return cudaErrorMemoryAllocation;
  const std::size_t padded = (bytes + alignment - 1) / alignment * alignment;
  *target = std::aligned_alloc(alignment, padded == 0 ? alignment : padded);
  if (*target == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*target, 0xFF, padded);  // fresh memory holds anything; here it holds what shows
  device_memory[reinterpret_cast<std::uintptr_t>(*target)] = bytes;
  used_bytes += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  const std::lock_guard lock(mutex);
  const auto found = device_memory.find(reinterpret_cast<std::uintptr_t>(memory));
  if (found == device_memory.end()) return cudaErrorInvalidValue;
  used_bytes -= found->second;
  device_memory.erase(found);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** target, std::size_t bytes) {
  *target = std::malloc(bytes);
  return *target == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (!is_on_device(kind == cudaMemcpyHostToDevice ? target : source, bytes)) return cudaErrorInvalidValue;
  return put(stream, [=] { std::memcpy(target, source, bytes); });
}

cudaError_t cudaMemsetAsync(void* target, int value, std::size_t bytes, cudaStream_t stream) {
  if (!is_on_device(target, bytes)) return cudaErrorInvalidValue;
  return put(stream, [=] { std::memset(target, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
  *stream = std::make_unique<CUstream_st>().release();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::unique_ptr<CUstream_st> ended(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream->capturing ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode /*mode*/) {
  if (stream->capturing) return cudaErrorInvalidValue;
  stream->capturing = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capturing) return cudaErrorInvalidValue;
  *graph = stream->capturing.release();
  ++counted.captures;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* target, cudaGraph_t graph, unsigned long long /*flags*/) {
  *target = std::make_unique<CUgraphExec_st>(CUgraphExec_st{{graph->nodes}}).release();
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t /*stream*/) {
  ++counted.graph_launches;
  for (const auto& node : graph->nodes) node();
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::unique_ptr<CUgraph_st> ended(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  const std::unique_ptr<CUgraphExec_st> ended(graph);
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute /*attribute*/, int value) {
  if (value > card().shared_bytes) return cudaErrorInvalidValue;
  const std::lock_guard lock(mutex);
  allowed_shared[kernel] = value;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
