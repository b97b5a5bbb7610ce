#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const ManyKernels many_4_bits = make_many<4>();

}  // namespace lutra::cuda::product
