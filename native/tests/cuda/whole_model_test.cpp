// What check.sh runs on a card, on the emulated one with a small shape: the comparison itself is right.
#include "check/end_to_end.h"

extern "C" const lutra::cuda::Interface* lutra_cuda_interface();

int main() {
  using namespace lutra::cuda;
  constexpr int text_tokens = 40;
  return check::check_whole_model(*lutra_cuda_interface(), check::small_shape, text_tokens) ? 0 : 1;
}
