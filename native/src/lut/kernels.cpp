#include "lut/kernels.h"

#include <cstdlib>

namespace lutra::lut {

extern const Kernels scalar_kernels;
#ifdef LUTRA_X86
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
#endif
#ifdef LUTRA_NEON
extern const Kernels neon_kernels;
#endif

namespace {

#ifdef LUTRA_X86
bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0;
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}
#endif

}  // namespace

const Kernels* kernels_named(std::string_view name) {
  if (name == "scalar") return &scalar_kernels;
#ifdef LUTRA_X86
  if (name == "avx2" && has_avx2()) return &avx2_kernels;
  if (name == "avx512" && has_avx512()) return &avx512_kernels;
#endif
#ifdef LUTRA_NEON
  if (name == "neon") return &neon_kernels;
#endif
  return nullptr;
}

const Kernels& best_kernels() {
  static const Kernels& best = []() -> const Kernels& {
    const char* wanted = std::getenv("LUTRA_KERNELS");
    if (wanted != nullptr) {
      if (const Kernels* found = kernels_named(wanted)) return *found;
    }
    for (const char* name : {"avx512", "avx2", "neon"}) {
      if (const Kernels* found = kernels_named(name)) return *found;
    }
    return scalar_kernels;
  }();
  return best;
}

}  // namespace lutra::lut
