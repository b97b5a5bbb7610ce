#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const ManyKernels many_2_bits = make_many<2>();

}  // namespace lutra::cuda::product
