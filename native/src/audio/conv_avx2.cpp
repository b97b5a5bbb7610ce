#include "simd/avx2.h"
// After the instruction set: the kernels are written against it.
#include "audio/conv_impl.h"

namespace lutra::audio {

extern const ConvKernels avx2_conv_kernels;
const ConvKernels avx2_conv_kernels = these_kernels;

}  // namespace lutra::audio
