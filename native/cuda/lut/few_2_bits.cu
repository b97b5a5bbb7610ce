#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const FewKernels few_2_bits = make_few<2>();

}  // namespace lutra::cuda::product
