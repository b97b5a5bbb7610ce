#include "simd/scalar.h"
// After the instruction set: the kernels are written against it.
#include "dense/tile_impl.h"

namespace lutra::dense {

extern const TileKernels scalar_tile_kernels;
const TileKernels scalar_tile_kernels = these_kernels;

}  // namespace lutra::dense
