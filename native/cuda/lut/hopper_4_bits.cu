#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const HopperKernels hopper_4_bits = make_hopper<4>();

}  // namespace lutra::cuda::product
