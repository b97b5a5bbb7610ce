#pragma once

namespace lutra::cuda::check {

/// Prints the tables of products' times as markdown: few tokens, a language model's shapes against cuBLAS where that is
/// installed, and prefill. False where something did not run.
bool print_times();

}  // namespace lutra::cuda::check
