#include "simd/neon.h"
// After the instruction set: the kernels are written against it.
#include "dense/tile_impl.h"

namespace lutra::dense {

extern const TileKernels neon_tile_kernels;
const TileKernels neon_tile_kernels = these_kernels;

}  // namespace lutra::dense
