#include "simd/avx2.h"
// After the instruction set: the kernels are written against it.
#include "text/attention_impl.h"

namespace lutra::text {

extern const AttentionKernels avx2_attention;
const AttentionKernels avx2_attention = these_kernels;

}  // namespace lutra::text
