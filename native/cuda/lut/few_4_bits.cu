#include "lut/kernel_set.h"

namespace lutra::cuda::product {

const FewKernels few_4_bits = make_few<4>();

}  // namespace lutra::cuda::product
