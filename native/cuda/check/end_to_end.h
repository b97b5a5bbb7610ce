#pragma once
#include "lutra_cuda.h"
#include "check/plain_llama.h"

namespace lutra::cuda::check {

/// Makes a whole random model of a shape on the device, compares its logits with the processor's, and prints its speed.
/// `bandwidth`: bytes per second that a copy reaches, or 0 for no figures of speed. False where something is wrong.
bool check_whole_model(const Interface& functions, const Shape& shape, std::int32_t prefill_tokens,
                       std::int32_t decode_tokens, double bandwidth);

}  // namespace lutra::cuda::check
