#pragma once
#include <span>

namespace lutra::cuda::check {

/// Prints the tables of products' times as markdown: few tokens, a language model's shapes against cuBLAS where that is
/// installed, and prefill. False where something did not run.
bool print_times();

/// Prints the times of one weight's products with so many tokens each: for a profiler, and to try something. False
/// where one did not run.
bool time_products(int rows, int columns, int bits, std::span<const int> tokens);

}  // namespace lutra::cuda::check
