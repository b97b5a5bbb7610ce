// Every op of the allow-list against plain loops, on one device.
// usage: graph-ops-test --device <name> <shipped libraries> [<folder of our CPU module>]
#include "graph/ops.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "graph/error.h"
#include "testing.h"

using namespace lutra;           // NOLINT
using namespace lutra::testing;  // NOLINT

namespace {

/// Mesa's software driver touches freed buffers, so what ran on a GPU is kept until the process ends.
struct Kept {
  std::unique_ptr<Weights> weights;
  std::unique_ptr<Runner> runner;
};
std::vector<Kept> kept;  // NOLINT

using OpSet = std::set<std::pair<ggml_op, ggml_type>>;

std::vector<std::byte> packed(const Data& data) {
  std::vector<std::byte> bytes;
  const auto copy = [&](const auto& values) {
    const auto view = std::as_bytes(std::span(values));
    bytes.assign(view.begin(), view.end());
  };
  if (data.type == GGML_TYPE_F32) {
    copy(data.values);
  } else if (data.type == GGML_TYPE_I32) {
    copy(std::vector<int32_t>(data.values.begin(), data.values.end()));
  } else {
    const int64_t n_rows = static_cast<int64_t>(data.values.size()) / data.ne[0];
    bytes.resize(ggml_row_size(data.type, data.ne[0]) * static_cast<size_t>(n_rows));
    ggml_quantize_chunk(data.type, data.values.data(), bytes.data(), 0, n_rows, data.ne[0], nullptr);
  }
  return bytes;
}

/// The values that are left of `data` after its type has rounded them.
Values rounded(const Data& data, const std::vector<std::byte>& bytes) {
  std::vector<float> values = data.values;
  if (const auto to_float = ggml_get_type_traits(data.type)->to_float; to_float != nullptr) {
    to_float(bytes.data(), values.data(), static_cast<int64_t>(values.size()));
  }
  return {values.begin(), values.end()};
}

void note_ops(const Runner& runner, OpSet& seen) {
  for (int i = 0; i < ggml_graph_n_nodes(runner.graph()); ++i) {
    const ggml_tensor* node = ggml_graph_node(runner.graph(), i);
    if (node->src[0] != nullptr) seen.emplace(node->op, node->src[0]->type);
  }
}

/// Runs one case; empty when it is right, else what is wrong.
std::string problem_of(const Case& test, const Compute& compute, OpSet& seen) {
  const bool on_cpu = graph::is_cpu(compute.device());
  auto weights = std::make_unique<Weights>(compute, test.data.size());
  for (const Data& data : test.data) {
    if (data.is_weight) weights->declare(data.name, data.type, std::vector(data.ne.rbegin(), data.ne.rend()));
  }
  weights->allocate();

  NamedValues values;
  std::map<std::string, std::vector<std::byte>> bytes;
  for (const Data& data : test.data) {
    bytes[data.name] = packed(data);
    values[data.name] = rounded(data, bytes[data.name]);
    if (data.is_weight) weights->upload(data.name, bytes[data.name]);
  }

  auto runner = std::make_unique<Runner>(compute, 256);
  runner->build([&](GraphBuilder& g) {
    NamedTensors tensors{weights.get(), {}};
    for (const Data& data : test.data) {
      std::array<int64_t, GGML_MAX_DIMS> ne{1, 1, 1, 1};
      std::ranges::copy(data.ne, ne.begin());
      tensors.tensors[data.name] =
          data.is_weight ? weights->at(data.name) : g.input(data.name, data.type, {ne[0], ne[1], ne[2], ne[3]});
    }
    g.output("y", test.forward(g, tensors));
  });
  note_ops(*runner, seen);
  for (const Data& data : test.data) {
    if (!data.is_weight) runner->set(data.name, bytes[data.name]);
  }
  runner->compute();
  const double error = nmse(runner->get("y"), test.expected(values));
  const bool is_misplaced = test.runs_on_gpu && !runner->runs_on_device("y");
  if (!on_cpu) kept.push_back({std::move(weights), std::move(runner)});

  const double tolerance = on_cpu ? test.cpu_tolerance : test.gpu_tolerance;
  char text[80];
  std::snprintf(text, sizeof text, "NMSE %.2e, at most %.0e", error, tolerance);
  if (!(error <= tolerance)) return text;
  return is_misplaced ? "It ran on the CPU." : "";
}

int untried(const OpSet& seen, bool on_cpu) {
  int count = 0;
  for (const auto& [op, type] : graph::tried_ops(on_cpu)) {
    if (seen.contains({op, type})) continue;
    std::printf("FAILED allow-list: no case tries %s of %s\n", ggml_op_name(op), ggml_type_name(type));
    ++count;
  }
  return count;
}

int run(const std::string& device_name, const std::string& shipped, const std::string& own) {
  const graph::Ggml& ggml = graph::Ggml::load(library_paths(shipped, own));
  ggml_backend_dev_t device = graph::device_named(ggml, device_name);
  const graph::DeviceInfo info = graph::describe(device);
  std::printf("%s (%s), CPU module %s\n", info.name.c_str(), info.description.c_str(), ggml.cpu_module().path.c_str());

  std::vector<Case> cases;
  add_arithmetic_cases(cases);
  add_matrix_cases(cases);
  add_attention_cases(cases);
  add_convolution_cases(cases);
  add_module_cases(cases);

  const Compute compute(ggml, device);
  OpSet seen;
  int n_failed = 0;
  for (const Case& test : cases) {
    const std::string problem = problem_of(test, compute, seen);
    if (problem.empty()) continue;
    ++n_failed;
    std::printf("FAILED %s: %s\n", test.name.c_str(), problem.c_str());
  }
  n_failed += untried(seen, graph::is_cpu(device));
  std::printf("%zu cases, %d failed\n", cases.size(), n_failed);
  std::fflush(stdout);
  // Without destructors: see Kept.
  std::_Exit(n_failed == 0 ? 0 : 1);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4 || std::string(arguments[1]) != "--device") {
    std::fputs("usage: graph-ops-test --device <name> <shipped libraries> [<our libraries>]\n", stderr);
    return 2;
  }
  const std::string shipped = arguments[3];
  if (shipped.empty()) {
    std::printf("SKIPPED %s: the platform package with its module is not installed.\n", arguments[2]);
    return skipped;
  }
  try {
    return run(arguments[2], shipped, count > 4 ? arguments[4] : "");
  } catch (const graph::GraphError& error) {
    if (error.code() == "not-found") {
      std::printf("SKIPPED: %s\n", error.what());
      for (const auto& [backend, reason] : graph::Ggml::instance().unavailable()) {
        std::printf("SKIPPED: %s: %s\n", backend.c_str(), reason.c_str());
      }
      return skipped;
    }
    std::printf("FAILED: %s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
