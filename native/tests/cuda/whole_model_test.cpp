// What check.sh runs on a card, on the emulated one with a small shape: the comparison itself is right.
#include "check/end_to_end.h"

extern "C" const lutra::cuda::Interface* lutra_cuda_interface();

int main() {
  lutra::cuda::check::Shape shape;
  shape.hidden = 128;
  shape.inner = 192;
  shape.layers = 2;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 32;
  shape.vocab = 320;
  return lutra::cuda::check::check_whole_model(*lutra_cuda_interface(), shape, 0, 0, 0) ? 0 : 1;
}
