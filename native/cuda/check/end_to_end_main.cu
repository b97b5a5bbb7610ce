// usage: whole-model [LAYERS]    Llama-3-8B's shape, 4 bits in groups of 64; by default all 32 layers
//        whole-model small       a small shape, compared and not measured: for compute-sanitizer
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "check/end_to_end.h"
#include "llama/memory.h"

extern "C" const lutra::cuda::Interface* lutra_cuda_interface();

namespace {

using namespace lutra::cuda;

/// Bytes read and written per second by copies within the device.
double copy_bandwidth() {
  constexpr std::size_t bytes = std::size_t{1} << 30;
  const DeviceMemory from(bytes);
  const DeviceMemory to(bytes);
  const auto copy = [&] {
    ensure(cudaMemcpyAsync(to.get(), from.get(), bytes, cudaMemcpyDeviceToDevice, nullptr), "copies");
  };
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  ensure(cudaEventCreate(&begin), "measures");
  ensure(cudaEventCreate(&end), "measures");
  copy();
  ensure(cudaEventRecord(begin, nullptr), "measures");
  constexpr int repeats = 10;
  for (int i = 0; i < repeats; ++i) copy();
  ensure(cudaEventRecord(end, nullptr), "measures");
  ensure(cudaEventSynchronize(end), "measures");
  float milliseconds = 0;
  ensure(cudaEventElapsedTime(&milliseconds, begin, end), "measures");
  return 2.0 * repeats * static_cast<double>(bytes) / (static_cast<double>(milliseconds) * 1e-3);
}

}  // namespace

int main(int argc, char** argv) {
  check::Shape shape;
  const bool is_small = argc > 1 && std::strcmp(argv[1], "small") == 0;
  if (is_small)
    shape = check::small_shape;
  else if (argc > 1)
    shape.layers = std::atoi(argv[1]);
  try {
    constexpr int prefill_tokens = 512;
    constexpr int decode_tokens = 136;
    return check::check_whole_model(*lutra_cuda_interface(), shape, prefill_tokens, decode_tokens,
                                    is_small ? 0.0 : copy_bandwidth())
               ? 0
               : 1;
  } catch (const Failure& failure) {
    std::printf("FAILED %s\n", failure.what());
    return 1;
  }
}
