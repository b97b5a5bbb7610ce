#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "graph/ggml_loader.h"

namespace lutra::graph {

struct DeviceInfo {
  std::string backend;  ///< `cpu`, `vulkan`, `cuda`, `metal`
  std::string name;     ///< ggml's own, unique in the process: `CPU`, `Vulkan0`
  std::string description;
  size_t memory_free_bytes = 0;
  size_t memory_total_bytes = 0;
  std::vector<std::string> features;
};

DeviceInfo describe(ggml_backend_dev_t device);

/// The device of that name. Throws GraphError `not-found`.
ggml_backend_dev_t device_named(const Ggml& ggml, const std::string& name);

bool is_cpu(ggml_backend_dev_t device);

/// The first graphics processor among the devices that were loaded, by the person's choice of one; else the CPU.
ggml_backend_dev_t preferred_device(const Ggml& ggml);

/// The streams that graphs run on: one device, and the CPU beside it for what the device cannot do.
/// Threads stay alive between graphs. Not for use by two threads at once.
class Compute {
 public:
  /// `n_threads` 0: one per core. Throws GraphError `engine-unavailable` when the device does not start.
  Compute(const Ggml& ggml, ggml_backend_dev_t device, int n_threads = 0);

  [[nodiscard]] ggml_backend_dev_t device() const { return device_; }
  [[nodiscard]] ggml_backend_t device_backend() const { return device_backend_ ? device_backend_.get() : cpu(); }
  [[nodiscard]] ggml_backend_t cpu() const { return cpu_backend_.get(); }
  [[nodiscard]] const CpuFunctions& cpu_functions() const { return cpu_functions_; }
  [[nodiscard]] bool has_device_beside_cpu() const { return device_backend_ != nullptr; }
  [[nodiscard]] int n_threads() const { return n_threads_; }

 private:
  struct BackendDeleter {
    void operator()(ggml_backend_t backend) const { ggml_backend_free(backend); }
  };
  struct ThreadpoolDeleter {
    void (*free)(ggml_threadpool_t);
    void operator()(ggml_threadpool_t pool) const { free(pool); }
  };
  using Backend = std::unique_ptr<ggml_backend, BackendDeleter>;

  static Backend start(ggml_backend_dev_t device);

  ggml_backend_dev_t device_;
  CpuFunctions cpu_functions_;
  int n_threads_;
  std::unique_ptr<ggml_threadpool, ThreadpoolDeleter> threadpool_;
  Backend cpu_backend_;
  Backend device_backend_;
};

}  // namespace lutra::graph
