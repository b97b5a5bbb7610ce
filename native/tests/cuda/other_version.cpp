// A library that says it is of another version.
#include "lutra_cuda.h"

extern "C" __attribute__((visibility("default"))) const lutra::cuda::Interface* lutra_cuda_interface() {
  static lutra::cuda::Interface older{};
  older.version = lutra::cuda::interface_version - 1;
  return &older;
}
