#include "simd/neon.h"
// After the instruction set: the kernels are written against it.
#include "lut/kernels_impl.h"

namespace lutra::lut {

extern const Kernels neon_kernels;
const Kernels neon_kernels = these_kernels;

}  // namespace lutra::lut
