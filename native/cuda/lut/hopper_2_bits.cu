#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const HopperKernels hopper_2_bits = make_hopper<2>();

}  // namespace lutra::cuda::product
