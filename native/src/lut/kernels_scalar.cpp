#include "simd/scalar.h"
// After the instruction set: the kernels are written against it.
#include "lut/kernels_impl.h"

namespace lutra::lut {

extern const Kernels scalar_kernels;
const Kernels scalar_kernels = these_kernels;

}  // namespace lutra::lut
