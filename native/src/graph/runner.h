#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "graph/weights.h"

namespace lutra::graph {

using Tensor = ggml_tensor*;

/// What a forward pass is written against: the context that ggml's functions take, and the graph's ends.
class GraphBuilder {
 public:
  GraphBuilder(ggml_context* context, ggml_cgraph* graph) : context_(context), graph_(graph) {}

  /// To be passed on to ggml's functions.
  operator ggml_context*() const { return context_; }  // NOLINT: a builder is a context with ends

  /// A tensor that the caller fills before each run. `ne` in ggml's order, fastest dimension first.
  Tensor input(const std::string& name, ggml_type type, std::initializer_list<int64_t> ne);
  /// A tensor that the caller reads after a run.
  void output(const std::string& name, Tensor tensor);

  [[nodiscard]] const std::map<std::string, Tensor>& inputs() const { return inputs_; }
  [[nodiscard]] const std::map<std::string, Tensor>& outputs() const { return outputs_; }

 private:
  ggml_context* context_;
  ggml_cgraph* graph_;
  std::map<std::string, Tensor> inputs_;
  std::map<std::string, Tensor> outputs_;
};

/// One graph on one device (and the CPU): built once, run many times.
class Runner {
 public:
  /// `max_nodes`: no graph of this runner has more nodes or leaves. `compute` must outlive the runner.
  explicit Runner(const Compute& compute, size_t max_nodes = 4096);

  /// Builds the graph and reserves its memory; replaces an earlier one.
  /// Throws GraphError: `not-supported` (an op that no device here may run), `out-of-memory`.
  void build(const std::function<void(GraphBuilder&)>& forward);

  /// Fills an input, which is to be done before every run: the graph uses its memory for other values.
  /// Throws GraphError `internal` on a wrong name or size.
  void set(const std::string& name, std::span<const std::byte> bytes);
  template <typename Value>
  void set(const std::string& name, const std::vector<Value>& values) {
    set(name, std::as_bytes(std::span(values)));
  }

  /// Runs the graph. Throws GraphError: `cancelled` once `stop` is requested, `out-of-memory`, `internal`.
  void compute(const std::stop_token& stop = {});

  /// Reads an f32 output.
  [[nodiscard]] std::vector<float> get(const std::string& name) const;

  /// True when that output's node runs on the device, not on the CPU beside it.
  [[nodiscard]] bool runs_on_device(const std::string& output) const;
  /// Null before build().
  [[nodiscard]] ggml_cgraph* graph() const { return graph_; }
  [[nodiscard]] int n_splits() const { return ggml_backend_sched_get_n_splits(scheduler_.get()); }
  /// Memory for the values between the nodes, on all devices.
  [[nodiscard]] size_t compute_bytes() const;

 private:
  struct SchedulerDeleter {
    void operator()(ggml_backend_sched_t scheduler) const { ggml_backend_sched_free(scheduler); }
  };

  void place_nodes(ggml_cgraph* graph);
  [[nodiscard]] Tensor output(const std::string& name) const;

  const Compute* compute_;
  size_t max_nodes_;
  std::unique_ptr<ggml_backend_sched, SchedulerDeleter> scheduler_;
  Context context_;
  ggml_cgraph* graph_ = nullptr;
  std::map<std::string, Tensor> inputs_;
  std::map<std::string, Tensor> outputs_;
};

}  // namespace lutra::graph
