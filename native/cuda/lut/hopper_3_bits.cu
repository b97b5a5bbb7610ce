#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const HopperKernels hopper_3_bits = make_hopper<3>();

}  // namespace lutra::cuda::product
