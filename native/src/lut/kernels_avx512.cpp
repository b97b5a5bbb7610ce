#include "simd/avx512.h"
// After the instruction set: the kernels are written against it.
#include "lut/kernels_impl.h"

namespace lutra::lut {

extern const Kernels avx512_kernels;
const Kernels avx512_kernels = these_kernels;

}  // namespace lutra::lut
