#include "dense/tile_kernels.h"

#include "lut/kernels.h"

namespace lutra::dense {

extern const TileKernels scalar_tile_kernels;
#ifdef LUTRA_X86
extern const TileKernels avx2_tile_kernels;
extern const TileKernels avx512_tile_kernels;
#endif
#ifdef LUTRA_NEON
extern const TileKernels neon_tile_kernels;
#endif

const TileKernels* tile_kernels_named(std::string_view name) {
  if (lut::kernels_named(name) == nullptr) return nullptr;  // it knows what this machine can run
#ifdef LUTRA_X86
  if (name == "avx2") return &avx2_tile_kernels;
  if (name == "avx512") return &avx512_tile_kernels;
#endif
#ifdef LUTRA_NEON
  if (name == "neon") return &neon_tile_kernels;
#endif
  return &scalar_tile_kernels;
}

const TileKernels& best_tile_kernels() { return *tile_kernels_named(lut::best_kernels().name); }

}  // namespace lutra::dense
