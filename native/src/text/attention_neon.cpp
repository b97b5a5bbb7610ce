#include "simd/neon.h"
// After the instruction set: the kernels are written against it.
#include "text/attention_impl.h"

namespace lutra::text {

extern const AttentionKernels neon_attention;
const AttentionKernels neon_attention = these_kernels;

}  // namespace lutra::text
