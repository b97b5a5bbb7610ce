// Names the library's only function, so that the linker takes it and all behind it from the static one.
#include "lutra_cuda.h"

extern "C" const lutra::cuda::Interface* lutra_cuda_interface();

namespace lutra::cuda {
extern const Interface* (*const take_all)();
const Interface* (*const take_all)() = lutra_cuda_interface;
}  // namespace lutra::cuda
