// usage: whole-model [LAYERS]    Llama-3-8B's shape, 4 bits in groups of 64; by default all 32 layers
//        whole-model text        a smaller shape over a text of several pages and pieces, compared and not measured
//        whole-model small       a small shape, compared and not measured: for compute-sanitizer
// exit code 3 where there is no device
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "check/bandwidth.h"
#include "check/end_to_end.h"
#include "llama/memory.h"

extern "C" const lutra::cuda::Interface* lutra_cuda_interface();

using namespace lutra::cuda;

int main(int argc, char** argv) {
  constexpr int no_device = 3;
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess || devices == 0) {
    std::printf("No CUDA device: %s.\n", cudaGetErrorString(error));
    return no_device;
  }
  const auto& functions = *lutra_cuda_interface();
  const auto is = [&](const char* what) { return argc > 1 && std::strcmp(argv[1], what) == 0; };
  constexpr int few_tokens = 8;
  constexpr int text_tokens = 600;
  try {
    if (is("small")) return check::check_whole_model(functions, check::small_shape, few_tokens) ? 0 : 1;
    if (is("text")) return check::check_whole_model(functions, check::text_shape, text_tokens) ? 0 : 1;
    check::Shape shape;
    if (argc > 1) shape.layers = std::atoi(argv[1]);
    return check::check_whole_model(functions, shape, few_tokens, check::copy_bandwidth()) ? 0 : 1;
  } catch (const Failure& failure) {
    std::printf("FAILED %s\n", failure.what());
    return 1;
  }
}
