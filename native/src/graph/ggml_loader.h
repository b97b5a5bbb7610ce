#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "ggml_table.h"
#include "graph/shared_library.h"

namespace lutra::graph {

/// Where ggml lies. All files come from one package, the one that node-llama-cpp uses too.
struct LibraryPaths {
  std::string base;            ///< libggml-base
  std::string registry;        ///< libggml.<variant>.<release>: the list of backends
  std::string backend_folder;  ///< where the backend modules are
  /// Our own builds of the CPU module; the best one that this machine can run is taken. May be empty.
  std::vector<std::string> cpu_modules;
};

struct CpuModule {
  std::string path;
  bool is_own = false;
  std::string note;  ///< why ours is not used, or which level was taken
};

/// A backend that was looked for in vain.
struct UnavailableBackend {
  std::string backend;
  std::string reason;
};

/// Functions that the CPU backend hands out by name only.
struct CpuFunctions {
  ggml_backend_set_abort_callback_t set_abort_callback = nullptr;
  ggml_backend_get_features_t get_features = nullptr;
  ggml_threadpool_t (*threadpool_new)(ggml_threadpool_params*) = nullptr;
  void (*threadpool_free)(ggml_threadpool_t) = nullptr;
  void (*set_threadpool)(ggml_backend_t, ggml_threadpool_t) = nullptr;
  ggml_backend_set_n_threads_t set_n_threads = nullptr;
};

/// ggml in this process: its functions, its backends, and a CPU device that is ours alone.
class Ggml {
 public:
  /// Loads ggml once per process; later calls must name the same base library.
  /// Throws GraphError: `file-access` (missing or unloadable library), `not-supported` (another ggml version),
  /// `conflict` (another ggml is in the process already), `engine-unavailable` (no CPU module fits).
  static const Ggml& load(const LibraryPaths& paths);

  /// The loaded ggml. Throws GraphError `engine-unavailable` before `load`.
  static const Ggml& instance();

  [[nodiscard]] std::string version() const;
  [[nodiscard]] const CpuModule& cpu_module() const { return cpu_module_; }
  [[nodiscard]] const std::vector<UnavailableBackend>& unavailable() const { return unavailable_; }
  /// All GPUs that the backends found, then our CPU device, which is in no list of ggml's own.
  [[nodiscard]] std::vector<ggml_backend_dev_t> devices() const;
  [[nodiscard]] ggml_backend_dev_t cpu_device() const { return cpu_device_; }
  [[nodiscard]] const CpuFunctions& cpu() const { return cpu_; }

 private:
  explicit Ggml(const LibraryPaths& paths);
  void load_functions(const LibraryPaths& paths);
  void load_accelerators(const std::string& folder);
  void load_cpu(const LibraryPaths& paths);
  bool take_best_cpu_module(const std::vector<std::string>& candidates, std::string& problem);

  std::string base_path_;
  CpuModule cpu_module_;
  std::vector<UnavailableBackend> unavailable_;
  ggml_backend_dev_t cpu_device_ = nullptr;
  CpuFunctions cpu_;
};

}  // namespace lutra::graph
