#include "timing.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "check/bandwidth.h"
#include "core/threads.h"
#include "lut_mul_mat.h"

namespace lutra::cuda::check {
namespace {

struct FreeDevice {
  void operator()(void* memory) const { cudaFree(memory); }
};
using Memory = std::unique_ptr<void, FreeDevice>;

Memory allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) != cudaSuccess) return nullptr;
  cudaMemset(memory, 0, bytes);
  cudaDeviceSynchronize();
  return Memory(memory);
}

/// Fills memory with numbers of f16 of both signs and one order of magnitude: zeros would cost less power, and so time.
void fill(const Memory& memory, std::size_t bytes) {
  std::vector<std::uint16_t> noise(std::size_t{1} << 20);
  std::uint32_t state = 7;
  for (auto& number : noise)
    number = static_cast<std::uint16_t>(((state = state * 1664525U + 1013904223U) >> 16 & 0x83FFU) | 0x2C00U);
  for (std::size_t at = 0; at < bytes && memory; at += noise.size() * 2) {
    cudaMemcpy(static_cast<char*>(memory.get()) + at, noise.data(), std::min(noise.size() * 2, bytes - at),
               cudaMemcpyHostToDevice);
  }
}

/// The function of cuBLAS that torch.mm calls, where the library is installed.
class Cublas {
 public:
  explicit Cublas(cudaStream_t stream) {
    void* library = nullptr;
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
      if (library == nullptr) library = dlopen(name, RTLD_NOW);
    }
    if (library == nullptr) return;
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(library, "cublasCreate_v2"));
    const auto use = reinterpret_cast<int (*)(void*, cudaStream_t)>(dlsym(library, "cublasSetStream_v2"));
    multiply_ = reinterpret_cast<Multiply>(dlsym(library, "cublasGemmEx"));
    if (create == nullptr || use == nullptr || multiply_ == nullptr || create(&handle_) != 0 ||
        use(handle_, stream) != 0)
      handle_ = nullptr;
  }
  [[nodiscard]] bool is_there() const { return handle_ != nullptr; }

  /// y (tokens, rows) = x (tokens, columns) w (rows, columns), f16 with sums in f32.
  [[nodiscard]] bool run(const void* w, const void* x, void* y, int rows, int columns, int tokens) const {
    constexpr int plain = 0;
    constexpr int transposed = 1;
    constexpr int half = 2;          // CUDA_R_16F
    constexpr int compute_f32 = 68;  // CUBLAS_COMPUTE_32F
    constexpr int own_choice = -1;   // CUBLAS_GEMM_DEFAULT
    const float one = 1;
    const float zero = 0;
    return multiply_(handle_, transposed, plain, rows, tokens, columns, &one, w, half, columns, x, half, columns, &zero,
                     y, half, rows, compute_f32, own_choice) == 0;
  }

 private:
  using Multiply = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                           const void*, void*, int, int, int, int);
  void* handle_ = nullptr;
  Multiply multiply_ = nullptr;
};

class Timer {
 public:
  Timer() {
    cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
    cudaEventCreate(&begin_);
    cudaEventCreate(&end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream_);
  }
  [[nodiscard]] cudaStream_t stream() const { return stream_; }

  /// Microseconds of one of `calls`, launched together as a graph where that can be; the median of several. Negative
  /// where one failed.
  double median(int calls, const std::function<bool(int)>& call) const {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t runnable = nullptr;
    bool is_good = call(0) && cudaStreamSynchronize(stream_) == cudaSuccess;
    is_good = is_good && cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    for (int i = 0; i < calls && is_good; ++i) is_good = call(i);
    is_good = cudaStreamEndCapture(stream_, &graph) == cudaSuccess && is_good &&
              cudaGraphInstantiate(&runnable, graph, 0) == cudaSuccess;
    std::vector<double> times;
    constexpr int repeats = 9;
    for (int i = 0; i < repeats && is_good; ++i) {
      cudaEventRecord(begin_, stream_);
      is_good = cudaGraphLaunch(runnable, stream_) == cudaSuccess;
      cudaEventRecord(end_, stream_);
      is_good = is_good && cudaEventSynchronize(end_) == cudaSuccess;
      float milliseconds = 0;
      cudaEventElapsedTime(&milliseconds, begin_, end_);
      times.push_back(milliseconds * 1000.0 / calls);
    }
    if (runnable != nullptr) cudaGraphExecDestroy(runnable);
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (!is_good) {
      std::printf("\nnot measured: %s\n", cudaGetErrorString(cudaGetLastError()));
      return -1;
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

struct Shape {
  const char* name;
  int rows;
  int columns;
};

/// A weight of any codes, several times over, so that the second cache holds none of it when its turn comes again.
struct Weights {
  LutImage image;
  std::vector<Memory> copies;
};

constexpr std::size_t beyond_caches = std::size_t{512} << 20;
constexpr std::size_t most_copies = 64;

Weights make_weights(const Shape& shape, int bits, core::ThreadPool& threads) {
  lut::LutMatrix matrix;
  matrix.rows = shape.rows;
  matrix.columns = shape.columns;
  matrix.bits = bits;
  matrix.group_size = 64;
  matrix.codes.resize(static_cast<std::size_t>(matrix.rows * matrix.row_bytes()));
  std::uint32_t state = 1;
  for (auto& code : matrix.codes) code = static_cast<std::uint8_t>((state = state * 1664525U + 1013904223U) >> 24);
  matrix.scales.assign(static_cast<std::size_t>(matrix.rows * matrix.groups_per_row()), 0.02F);
  for (int i = 0; i < matrix.table_entries(); ++i)
    matrix.table.push_back(2.0F * static_cast<float>(i) / static_cast<float>(matrix.table_entries() - 1) - 1);
  const lut::LutMatrix* all[] = {&matrix};
  auto packed = pack(all, Scalar::f16, threads);
  Weights weights{std::move(packed).value(), {}};
  const std::size_t count = std::clamp<std::size_t>(beyond_caches / weights.image.bytes.size(), 2, most_copies);
  for (std::size_t i = 0; i < count; ++i) {
    Memory copy = allocate(weights.image.bytes.size());
    if (!copy) break;
    cudaMemcpy(copy.get(), weights.image.bytes.data(), weights.image.bytes.size(), cudaMemcpyHostToDevice);
    weights.copies.push_back(std::move(copy));
  }
  return weights;
}

class Bench {
 public:
  bool begin() {
    if (query(0, limits_) != cudaSuccess) return false;
    x_ = allocate(std::size_t{4096} * 28672 * 2);
    fill(x_, std::size_t{4096} * 28672 * 2);
    y_ = allocate(std::size_t{4096} * 28672 * 2);
    constexpr std::size_t workspace = std::size_t{512} << 20;
    workspace_ = allocate(workspace);
    workspace_size_ = workspace;
    bandwidth_ = copy_bandwidth();
    std::printf("Copy bandwidth of this run (bytes read and written): **%.0f GB/s**.\n\n", bandwidth_ / 1e9);
    if (!cublas_.is_there()) std::printf("cuBLAS is not installed here: its columns say n/a.\n\n");
    return x_ && y_ && workspace_ && bandwidth_ > 0;
  }

  /// Microseconds; negative where it failed.
  double ours(const Weights& weights, int tokens) {
    const LutLayout& layout = weights.image.layout;
    if (workspace_bytes(limits_, layout, tokens) > workspace_size_) return -1;
    const int calls = static_cast<int>(std::max<std::size_t>(weights.copies.size(), 8));
    return timer_.median(calls, [&](int i) {
      MulMat product;
      product.layout = &layout;
      product.weight = weights.copies[static_cast<std::size_t>(i) % weights.copies.size()].get();
      product.tokens = tokens;
      product.x = x_.get();
      product.x_stride = layout.columns;
      product.y = y_.get();
      product.y_stride = layout.rows;
      return lut_mul_mat(limits_, product, workspace_.get(), timer_.stream()) == cudaSuccess;
    });
  }

  double dense(const Shape& shape, int tokens) {
    if (!cublas_.is_there()) return -1;
    const std::size_t bytes = static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.columns) * 2;
    if (dense_bytes_ != bytes) {
      dense_.clear();
      for (std::size_t i = 0; i < std::clamp<std::size_t>(beyond_caches / bytes, 2, most_copies); ++i) {
        dense_.push_back(allocate(bytes));
        fill(dense_.back(), bytes);
      }
      dense_bytes_ = bytes;
    }
    const int calls = static_cast<int>(std::max<std::size_t>(dense_.size(), 8));
    return timer_.median(calls, [&](int i) {
      return cublas_.run(dense_[static_cast<std::size_t>(i) % dense_.size()].get(), x_.get(), y_.get(), shape.rows,
                         shape.columns, tokens);
    });
  }

  /// What must be read and written, over the copy bandwidth and the time.
  [[nodiscard]] double roofline(const LutLayout& layout, int tokens, double microseconds) const {
    const double bytes =
        static_cast<double>(layout.size_bytes) + 2.0 * tokens * (static_cast<double>(layout.columns) + layout.rows);
    return bytes / bandwidth_ * 1e6 / microseconds;
  }

 private:
  DeviceLimits limits_;
  Timer timer_;
  Cublas cublas_{timer_.stream()};
  Memory x_;
  Memory y_;
  Memory workspace_;
  std::size_t workspace_size_ = 0;
  std::vector<Memory> dense_;
  std::size_t dense_bytes_ = 0;
  double bandwidth_ = 0;
};

void cell(double value, const char* format) {
  if (value < 0)
    std::printf(" n/a |");
  else
    std::printf(format, value);
}

}  // namespace

bool print_times() {
  core::ThreadPool threads;
  Bench bench;
  if (!bench.begin()) {
    std::printf("The device cannot be measured: %s.\n", cudaGetErrorString(cudaGetLastError()));
    return false;
  }
  bool all = true;
  const Shape square{"8192 x 8192", 8192, 8192};
  std::printf(
      "### 8192 x 8192, group 64, f16\n\n| bits | tokens | us | of the roofline | over 1 token "
      "|\n|---|---|---|---|---|\n");
  for (const int bits : {4, 3, 2}) {
    const Weights weights = make_weights(square, bits, threads);
    double one = 0;
    for (const int tokens : {1, 2, 4, 8, 16, 32, 64}) {
      const double time = bench.ours(weights, tokens);
      all = all && time > 0;
      if (tokens == 1) one = time;
      std::printf("| %d | %d |", bits, tokens);
      cell(time, " %.1f |");
      cell(time < 0 ? -1 : 100 * bench.roofline(weights.image.layout, tokens, time), " %.0f %% |");
      cell(time < 0 || one <= 0 ? -1 : time / one, " %.2f |\n");
      if (time < 0 || one <= 0) std::printf("\n");
      std::fflush(stdout);
    }
  }
  const Shape shapes[] = {{"q, k, v 6144 x 4096", 6144, 4096},
                          {"o 4096 x 4096", 4096, 4096},
                          {"gate, up 28672 x 4096", 28672, 4096},
                          {"down 4096 x 14336", 4096, 14336}};
  std::printf(
      "\n### Llama-3-8B's shapes, group 64, f16, few tokens\n\n| weight | tokens | 4 bits us | of the roofline | 3 "
      "bits us | of the roofline | "
      "cuBLAS f16 us | times faster, 4 bits | 3 bits |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const Shape& shape : shapes) {
    const Weights four = make_weights(shape, 4, threads);
    const Weights three = make_weights(shape, 3, threads);
    for (const int tokens : {1, 2, 4, 8, 16, 32}) {
      const double of_four = bench.ours(four, tokens);
      const double of_three = bench.ours(three, tokens);
      const double of_dense = bench.dense(shape, tokens);
      all = all && of_four > 0 && of_three > 0;
      std::printf("| %s | %d |", shape.name, tokens);
      cell(of_four, " %.1f |");
      cell(of_four < 0 ? -1 : 100 * bench.roofline(four.image.layout, tokens, of_four), " %.0f %% |");
      cell(of_three, " %.1f |");
      cell(of_three < 0 ? -1 : 100 * bench.roofline(three.image.layout, tokens, of_three), " %.0f %% |");
      cell(of_dense, " %.1f |");
      cell(of_dense < 0 ? -1 : of_dense / of_four, " %.2f |");
      cell(of_dense < 0 ? -1 : of_dense / of_three, " %.2f |");
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  std::printf(
      "\n### Prefill, 4 bits, group 64, f16\n\n| weight | tokens | us | TFLOP/s | cuBLAS f16 us | TFLOP/s | ours over "
      "cuBLAS |\n"
      "|---|---|---|---|---|---|---|\n");
  for (const Shape& shape : {square, shapes[0], shapes[1], shapes[2], shapes[3]}) {
    const Weights weights = make_weights(shape, 4, threads);
    for (const int tokens : {128, 512, 1024, 2048, 4096}) {
      const double flop = 2.0 * shape.rows * shape.columns * tokens;
      const double time = bench.ours(weights, tokens);
      const double of_dense = bench.dense(shape, tokens);
      all = all && time > 0;
      std::printf("| %s | %d |", shape.name, tokens);
      cell(time, " %.0f |");
      cell(time < 0 ? -1 : flop / time / 1e6, " %.0f |");
      cell(of_dense, " %.0f |");
      cell(of_dense < 0 ? -1 : flop / of_dense / 1e6, " %.0f |");
      cell(of_dense < 0 || time < 0 ? -1 : of_dense / time, " %.2f |");
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  return all;
}

bool time_products(int rows, int columns, int bits, std::span<const int> tokens) {
  core::ThreadPool threads;
  Bench bench;
  if (!bench.begin()) return false;
  const Weights weights = make_weights({"", rows, columns}, bits, threads);
  bool all = true;
  for (const int count : tokens) {
    const double time = bench.ours(weights, count);
    all = all && time > 0;
    std::printf("%d x %d, %d bits, %d tokens: %.1f us\n", rows, columns, bits, count, time);
  }
  return all;
}

}  // namespace lutra::cuda::check
