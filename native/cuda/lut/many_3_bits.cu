#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const ManyKernels many_3_bits = make_many<3>();

}  // namespace lutra::cuda::product
