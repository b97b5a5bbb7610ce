#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const FewKernels few_3_bits = make_few<3>();

}  // namespace lutra::cuda::product
