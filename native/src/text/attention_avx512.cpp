#include "simd/avx512.h"
// After the instruction set: the kernels are written against it.
#include "text/attention_impl.h"

namespace lutra::text {

extern const AttentionKernels avx512_attention;
const AttentionKernels avx512_attention = these_kernels;

}  // namespace lutra::text
