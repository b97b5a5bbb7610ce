#include <cuda_runtime.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <vector>

#include "../lut/tests/products.h"
#include "timing.h"

// Compares the kernels with the processor's own weights on a device, and measures them.
//
// usage: lut-check device | small | full | time
//   device  says which it is; exit code 3 where there is none
//   small   the table that the emulation goes through, for compute-sanitizer
//   full    that and larger sizes
//   time    the tables of times
//        lut-check weight ROWS COLUMNS BITS TOKENS...    the times of one weight alone

using namespace lutra;
using namespace lutra::cuda;
using cuda::testing::Product;

namespace {

std::vector<Product> large_products() {
  std::vector<Product> products;
  for (const auto& [rows, columns] :
       {std::pair{1024, 4096}, {4096, 4096}, {6000, 2048}, {2048, 14336}, {14336, 1024}}) {
    for (const std::int32_t tokens : {1, 3, 8, 16, 32, 64, 100, 250, 600}) {
      Product product;
      product.rows = rows;
      product.columns = columns;
      product.tokens = tokens;
      product.bits = 2 + static_cast<int>(products.size() % 3);
      product.group_size = 32 << products.size() % 4;
      product.activations = products.size() % 5 == 0 ? Scalar::bf16 : Scalar::f16;
      product.has_residual = products.size() % 2 == 0;
      products.push_back(product);
    }
  }
  return products;
}

bool compare(const DeviceLimits& limits, const std::vector<Product>& products) {
  core::ThreadPool threads;
  int wrong = 0;
  double worst = 0;
  for (const Product& product : products) {
    const auto outcome = cuda::testing::run(limits, product, threads);
    worst = std::max(worst, outcome.worst_error / tolerance(limits, product));
    if (outcome.ran && outcome.worst_error <= tolerance(limits, product)) continue;
    ++wrong;
    std::cout << "- WRONG: " << product.name() << ": " << outcome.why << " error " << outcome.worst_error << '\n';
  }
  std::cout << products.size() << " products, " << wrong << " wrong; the worst error is " << worst
            << " of what rounding may cost\n";
  return wrong == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  constexpr int no_device = 3;
  if (error != cudaSuccess || devices == 0) {
    std::cout << "No CUDA device: " << cudaGetErrorString(error) << ".\n";
    return no_device;
  }
  DeviceLimits limits;
  const int failed = query(0, limits);
  if (failed != cudaSuccess) {
    std::cout << "The device cannot be used: " << cudaGetErrorString(static_cast<cudaError_t>(failed)) << ".\n";
    return 1;
  }
  if (what == "device") {
    cudaDeviceProp properties{};
    cudaGetDeviceProperties(&properties, 0);
    std::cout << properties.name << ", compute capability " << limits.major << '.' << limits.minor << ", "
              << limits.multiprocessors << " multiprocessors, " << limits.shared_bytes / 1024
              << " KiB of shared memory for a block\n";
    return 0;
  }
  if (what == "small") return compare(limits, cuda::testing::small_products()) ? 0 : 1;
  if (what == "full") {
    auto products = cuda::testing::small_products();
    const auto large = large_products();
    products.insert(products.end(), large.begin(), large.end());
    return compare(limits, products) ? 0 : 1;
  }
  if (what == "time") return check::print_times() ? 0 : 1;
  constexpr int with_tokens = 6;
  if (argc >= with_tokens && std::strcmp(argv[1], "weight") == 0) {
    std::vector<int> tokens;
    for (int i = with_tokens - 1; i < argc; ++i) tokens.push_back(std::atoi(argv[i]));
    return check::time_products(std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]), tokens) ? 0 : 1;
  }
  std::cerr << "usage: lut-check device | small | full | time | weight ROWS COLUMNS BITS TOKENS...\n";
  return 2;
}
