#include "graph/runner.h"

#include <array>

#include "graph/error.h"
#include "graph/ops.h"

namespace lutra::graph {

namespace {

/// GPUs take no abort callback: their work is handed over in pieces of this many nodes, with a look at the stop
/// token between them.
constexpr int nodes_per_piece = 128;

struct StopWatch {
  const std::stop_token* stop;
  int n_nodes = 0;
};

bool look_between_pieces(ggml_tensor*, bool ask, void* data) {
  auto& watch = *static_cast<StopWatch*>(data);
  const bool is_stopped = watch.stop->stop_requested();
  if (ask) return is_stopped || ++watch.n_nodes % nodes_per_piece == 0;
  return !is_stopped;
}

/// Lets the backends see the stop token, and takes it away again.
class AbortGuard {
 public:
  AbortGuard(const Compute& compute, ggml_backend_sched_t scheduler, const std::stop_token& stop)
      : compute_(compute), scheduler_(scheduler), watch_{&stop} {
    const auto is_stopped = [](void* data) { return static_cast<StopWatch*>(data)->stop->stop_requested(); };
    compute_.cpu_functions().set_abort_callback(compute_.cpu(), is_stopped, &watch_);
    if (compute_.has_device_beside_cpu() && stop.stop_possible()) {
      ggml_backend_sched_set_eval_callback(scheduler_, look_between_pieces, &watch_);
    }
  }
  ~AbortGuard() {
    compute_.cpu_functions().set_abort_callback(compute_.cpu(), nullptr, nullptr);
    ggml_backend_sched_set_eval_callback(scheduler_, nullptr, nullptr);
  }
  AbortGuard(const AbortGuard&) = delete;
  AbortGuard& operator=(const AbortGuard&) = delete;

 private:
  const Compute& compute_;
  ggml_backend_sched_t scheduler_;
  StopWatch watch_;
};

GraphError cancelled() { return {"cancelled", "Cancelled."}; }

}  // namespace

Tensor GraphBuilder::input(const std::string& name, ggml_type type, std::initializer_list<int64_t> ne) {
  Tensor tensor = ggml_new_tensor(context_, type, static_cast<int>(ne.size()), ne.begin());
  ggml_set_name(tensor, name.c_str());
  ggml_set_input(tensor);
  inputs_[name] = tensor;
  return tensor;
}

void GraphBuilder::output(const std::string& name, Tensor tensor) {
  ggml_set_name(tensor, name.c_str());
  ggml_set_output(tensor);
  ggml_build_forward_expand(graph_, tensor);
  outputs_[name] = tensor;
}

Runner::Runner(const Compute& compute, size_t max_nodes) : compute_(&compute), max_nodes_(max_nodes) {
  std::array<ggml_backend_t, 2> backends{compute.device_backend(), compute.cpu()};
  const bool two = compute.has_device_beside_cpu();
  // No op_offload: a graph runs where its weights are, every time.
  scheduler_.reset(
      ggml_backend_sched_new(backends.data() + (two ? 0 : 1), nullptr, two ? 2 : 1, max_nodes, false, false));
  if (!scheduler_) throw GraphError("out-of-memory", "There is no memory for the scheduler of a graph.");
}

void Runner::build(const std::function<void(GraphBuilder&)>& forward) {
  ggml_backend_sched_reset(scheduler_.get());
  graph_ = nullptr;
  inputs_.clear();
  outputs_.clear();
  ggml_init_params parameters{};
  parameters.mem_size = max_nodes_ * ggml_tensor_overhead() + ggml_graph_overhead_custom(max_nodes_, false);
  parameters.no_alloc = true;
  context_.reset(ggml_init(parameters));
  if (!context_) throw GraphError("out-of-memory", "There is no memory for the description of a graph.");
  ggml_cgraph* graph = ggml_new_graph_custom(context_.get(), max_nodes_, false);

  GraphBuilder builder(context_.get(), graph);
  forward(builder);
  place_nodes(graph);
  if (!ggml_backend_sched_alloc_graph(scheduler_.get(), graph)) {
    throw GraphError("out-of-memory",
                     std::string("There is not enough memory on ") + ggml_backend_dev_name(compute_->device()) +
                         " for this computation.",
                     "Close other programs, or choose shorter input or another device.");
  }
  graph_ = graph;
  inputs_ = builder.inputs();
  outputs_ = builder.outputs();
}

void Runner::place_nodes(ggml_cgraph* graph) {
  ggml_backend_dev_t cpu_device = ggml_backend_get_device(compute_->cpu());
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    Tensor node = ggml_graph_node(graph, i);
    // A view lies where its source lies.
    if (only_changes_the_view(node)) continue;
    // Told for every node: by itself the scheduler keeps to the CPU what touches no weight.
    if (may_run(compute_->device(), node)) {
      ggml_backend_sched_set_tensor_backend(scheduler_.get(), node, compute_->device_backend());
      continue;
    }
    if (!may_run(cpu_device, node)) {
      throw GraphError("not-supported", "No device here may run " + describe_node(node) + ".",
                       "Add the op to graph/ops.cpp, and a case to the op tests.");
    }
    ggml_backend_sched_set_tensor_backend(scheduler_.get(), node, compute_->cpu());
  }
}

void Runner::set(const std::string& name, std::span<const std::byte> bytes) {
  const auto found = inputs_.find(name);
  if (found == inputs_.end()) throw GraphError("internal", "The graph has no input " + name + ".", {}, name);
  if (bytes.size() != ggml_nbytes(found->second)) {
    throw GraphError("internal",
                     "The input " + name + " takes " + std::to_string(ggml_nbytes(found->second)) + " bytes, not " +
                         std::to_string(bytes.size()) + ".",
                     {}, name);
  }
  // An input that nothing uses has no memory.
  if (found->second->buffer != nullptr) ggml_backend_tensor_set(found->second, bytes.data(), 0, bytes.size());
}

void Runner::compute(const std::stop_token& stop) {
  if (graph_ == nullptr) throw GraphError("internal", "The graph is not built yet.");
  if (stop.stop_requested()) throw cancelled();
  ggml_status status = GGML_STATUS_SUCCESS;
  {
    const AbortGuard guard(*compute_, scheduler_.get(), stop);
    status = ggml_backend_sched_graph_compute(scheduler_.get(), graph_);
  }
  if (stop.stop_requested()) throw cancelled();
  if (status == GGML_STATUS_SUCCESS) return;
  if (status == GGML_STATUS_ALLOC_FAILED) throw GraphError("out-of-memory", "The device ran out of memory.");
  throw GraphError("internal", std::string("The graph failed: ") + ggml_status_to_string(status));
}

Tensor Runner::output(const std::string& name) const {
  const auto found = outputs_.find(name);
  if (found == outputs_.end()) throw GraphError("internal", "The graph has no output " + name + ".", {}, name);
  return found->second;
}

std::vector<float> Runner::get(const std::string& name) const {
  Tensor tensor = output(name);
  if (tensor->type != GGML_TYPE_F32 || !ggml_is_contiguous(tensor)) {
    throw GraphError("internal", "The output " + name + " is not contiguous f32.", {}, name);
  }
  std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
  ggml_backend_tensor_get(tensor, values.data(), 0, ggml_nbytes(tensor));
  return values;
}

bool Runner::runs_on_device(const std::string& name) const {
  return ggml_backend_sched_get_tensor_backend(scheduler_.get(), output(name)) == compute_->device_backend();
}

size_t Runner::compute_bytes() const {
  size_t bytes = 0;
  for (int i = 0; i < ggml_backend_sched_get_n_backends(scheduler_.get()); ++i) {
    bytes += ggml_backend_sched_get_buffer_size(scheduler_.get(), ggml_backend_sched_get_backend(scheduler_.get(), i));
  }
  return bytes;
}

}  // namespace lutra::graph
