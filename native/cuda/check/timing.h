#pragma once

namespace lutra::cuda::check {

/// Prints the tables of products' times as markdown: few tokens, a language model's shapes against cuBLAS where that is
/// installed, and prefill. False where something did not run.
bool print_times();

/// Runs one product a few times, for a profiler; false where it did not run.
bool run_product(int rows, int columns, int bits, int tokens);

}  // namespace lutra::cuda::check
