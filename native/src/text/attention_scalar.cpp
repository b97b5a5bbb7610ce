#include "simd/scalar.h"
// After the instruction set: the kernels are written against it.
#include "text/attention_impl.h"

namespace lutra::text {

extern const AttentionKernels scalar_attention;
const AttentionKernels scalar_attention = these_kernels;

}  // namespace lutra::text
