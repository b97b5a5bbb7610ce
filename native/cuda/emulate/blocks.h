#pragma once
#include <cstddef>
#include <functional>

#include "emulate/types.h"

namespace lutra::cuda::emulate {

/// Blocks, warps and lanes run from the last to the first: nothing may depend on who comes when.
extern bool runs_backwards;

/// Runs `thread` once for every thread of every block. Throws `std::logic_error` where the threads of a block wait for
/// one another for ever.
void run_blocks(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread);

}  // namespace lutra::cuda::emulate
