#include "simd/scalar.h"
// After the instruction set: the kernels are written against it.
#include "audio/conv_impl.h"

namespace lutra::audio {

extern const ConvKernels scalar_conv_kernels;
const ConvKernels scalar_conv_kernels = these_kernels;

}  // namespace lutra::audio
