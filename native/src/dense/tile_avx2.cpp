#include "simd/avx2.h"
// After the instruction set: the kernels are written against it.
#include "dense/tile_impl.h"

namespace lutra::dense {

extern const TileKernels avx2_tile_kernels;
const TileKernels avx2_tile_kernels = these_kernels;

}  // namespace lutra::dense
