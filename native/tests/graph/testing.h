#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/custom.h"
#include "graph/modules.h"

namespace lutra::testing {

using graph::Compute;
using graph::GraphBuilder;
using graph::Runner;
using graph::Tensor;
using graph::Weights;

/// Tells ctest that a test was skipped.
constexpr int skipped = 77;

/// Where ggml is: `shipped` is a platform package's folder, `own` that of our CPU module (may be empty).
graph::LibraryPaths library_paths(const std::string& shipped, const std::string& own);

/// Even noise in [-1, 1), the same for the same seed.
std::vector<float> noise(size_t count, uint32_t seed);

using Values = std::vector<double>;
using NamedValues = std::map<std::string, Values>;

/// A case's tensors in the graph.
struct NamedTensors {
  const Weights* weights;
  std::map<std::string, Tensor> tensors;

  [[nodiscard]] Tensor at(const std::string& name) const { return tensors.at(name); }
  /// For modules: the weights below `name.`.
  [[nodiscard]] graph::Scope scope(const std::string& name) const { return graph::Scope(*weights) / name; }
};

struct Data {
  std::string name;
  ggml_type type;
  std::vector<int64_t> ne;  ///< ggml's order, fastest dimension first
  std::vector<float> values;
  bool is_weight = false;  ///< in a weights buffer on the device; else an input of the graph
};

/// One small graph and what it should give.
struct Case {
  std::string name;
  std::vector<Data> data;
  std::function<Tensor(GraphBuilder&, const NamedTensors&)> forward;
  /// Gets the data as their types have rounded them, and computes in f64 with plain loops.
  std::function<Values(const NamedValues&)> expected;
  double cpu_tolerance = 1e-10;  ///< at most this NMSE
  double gpu_tolerance = 1e-6;
  bool runs_on_gpu = true;  ///< its last node must run on the GPU when there is one
};

Data weight(std::string name, ggml_type type, std::vector<int64_t> ne, uint32_t seed);
Data input(std::string name, std::vector<int64_t> ne, uint32_t seed);
Data ids(std::string name, std::vector<float> values);

void add_arithmetic_cases(std::vector<Case>& cases);
void add_attention_cases(std::vector<Case>& cases);
void add_convolution_cases(std::vector<Case>& cases);
void add_matrix_cases(std::vector<Case>& cases);
void add_module_cases(std::vector<Case>& cases);

/// Mean square of the difference over the mean square of what is expected. Infinite for another length or a NaN.
double nmse(const std::vector<float>& actual, const Values& expected);

}  // namespace lutra::testing
