#include "simd/avx512.h"
// After the instruction set: the kernels are written against it.
#include "audio/conv_impl.h"

namespace lutra::audio {

extern const ConvKernels avx512_conv_kernels;
const ConvKernels avx512_conv_kernels = these_kernels;

}  // namespace lutra::audio
