#pragma once
#include "check/plain_llama.h"
#include "lutra_cuda.h"

namespace lutra::cuda::check {

/// Makes a whole random model of a shape on the device and compares its logits of `text_tokens` tokens with the
/// processor's, and what either thinks of that text. False where something is wrong.
/// `bandwidth`: bytes per second that a copy reaches; then speeds are printed, too, or 0.
bool check_whole_model(const Interface& functions, const Shape& shape, std::int32_t text_tokens, double bandwidth = 0);

}  // namespace lutra::cuda::check
