#include "graph/ggml_loader.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include "graph/error.h"

namespace lutra::graph {
namespace fs = std::filesystem;

namespace {

constexpr auto reinstall_hint = "Run the set-up again (npm start); it installs the engine's libraries.";

std::mutex load_mutex;
std::unique_ptr<Ggml> loaded;  // NOLINT: ggml itself lives as long as the process

fs::path path_of(const std::string& utf8) { return {reinterpret_cast<const char8_t*>(utf8.c_str())}; }

std::string text_of(const fs::path& path) {
  const auto text = path.u8string();
  return {text.begin(), text.end()};
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || fs::equivalent(path_of(a), path_of(b), error);
}

SharedLibrary open_or_throw(const std::string& path) {
  std::string reason;
  SharedLibrary library = SharedLibrary::open(path, reason);
  if (!library)
    throw GraphError("file-access", "A library of the engine does not load: " + reason, reinstall_hint, path);
  return library;
}

void refuse_second_ggml(const std::string& base) {
  const std::string present = loaded_library_path(text_of(path_of(base).filename()));
  if (present.empty() || same_file(present, base)) return;
  throw GraphError("conflict", "Another copy of ggml is loaded already: " + present,
                   "Point the addon to the folder that node-llama-cpp uses.", base);
}

std::vector<std::string> shipped_cpu_modules(const std::string& folder) {
  std::vector<std::string> modules;
  const std::string prefix = path_of(module_file_name("ggml-cpu")).stem().string();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_of(folder), error)) {
    if (text_of(entry.path().filename()).starts_with(prefix)) modules.push_back(text_of(entry.path()));
  }
  std::ranges::sort(modules);
  return modules;
}

/// Keeps ggml's chatter about loading off the log. The log belongs to node-llama-cpp, so it is given back.
class QuietLog {
 public:
  QuietLog() {
    ggml_log_get(&previous_, &previous_data_);
    ggml_log_set(pass_problems_on, this);
  }
  ~QuietLog() { ggml_log_set(previous_, previous_data_); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  static void pass_problems_on(ggml_log_level level, const char* text, void* data) {
    const auto& self = *static_cast<QuietLog*>(data);
    if (level >= GGML_LOG_LEVEL_WARN && level != GGML_LOG_LEVEL_CONT) self.previous_(level, text, self.previous_data_);
  }

  ggml_log_callback previous_ = nullptr;
  void* previous_data_ = nullptr;
};

template <typename Function>
void take(Function& slot, ggml_backend_reg_t registration, const char* name) {
  slot = reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registration, name));
  if (slot == nullptr) {
    throw GraphError("not-supported", std::string("The CPU module has no function ") + name + ".", reinstall_hint);
  }
}

}  // namespace

const Ggml& Ggml::load(const LibraryPaths& paths) {
  const std::lock_guard lock(load_mutex);
  if (!loaded) {
    loaded.reset(new Ggml(paths));
  } else if (!same_file(loaded->base_path_, paths.base)) {
    throw GraphError("conflict", "ggml is loaded already, from " + loaded->base_path_,
                     "One process holds one ggml: start another process for another one.", paths.base);
  }
  return *loaded;
}

const Ggml& Ggml::instance() {
  const std::lock_guard lock(load_mutex);
  if (!loaded) throw GraphError("engine-unavailable", "ggml is not loaded yet.", "Call load() first.");
  return *loaded;
}

Ggml::Ggml(const LibraryPaths& paths) : base_path_(paths.base) {
  refuse_second_ggml(paths.base);
  load_functions(paths);
  const QuietLog quiet;
  load_cpu(paths);
  load_accelerators(paths.backend_folder);
}

void Ggml::load_functions(const LibraryPaths& paths) {
  std::pair libraries{open_or_throw(paths.base), open_or_throw(paths.registry)};
  const auto symbol = [](const char* name, void* context) {
    const auto& [base, registry] = *static_cast<decltype(libraries)*>(context);
    void* address = base.symbol(name);
    return address != nullptr ? address : registry.symbol(name);
  };
  const char* missing = fill_ggml_table(symbol, &libraries);
  if (missing != nullptr) {
    throw GraphError("not-supported", std::string("ggml has no function ") + missing + ".", reinstall_hint, paths.base);
  }
  if (version() != ggml_headers_version) {
    throw GraphError(
        "not-supported",
        "The addon was built for ggml " + std::string(ggml_headers_version) + ", but " + version() + " is installed.",
        "Build the addon again: npm run native -- build", paths.base);
  }
}

std::string Ggml::version() const { return ggml_version(); }

void Ggml::load_accelerators(const std::string& folder) {
#ifdef __APPLE__
  constexpr std::array backends{"metal"};
#else
  constexpr std::array backends{"cuda", "vulkan"};
#endif
  for (const std::string backend : backends) {
    const std::string path = text_of(path_of(folder) / module_file_name("ggml-" + backend));
    std::error_code error;
    if (!fs::exists(path_of(path), error)) {
      unavailable_.push_back({backend, "The engine package in use has no " + backend + " module."});
      continue;
    }
    // Opened here first: the registry's own loader keeps the reason to itself.
    std::string reason;
    if (!SharedLibrary::open(path, reason)) {
      unavailable_.push_back({backend, reason});
      continue;
    }
    ggml_backend_reg_t registration = ggml_backend_load(path.c_str());
    if (registration == nullptr) {
      unavailable_.push_back({backend, "The module loads, but does not run on this machine."});
    } else if (ggml_backend_reg_dev_count(registration) == 0) {
      unavailable_.push_back({backend, "The driver is there, but it found no device."});
    }
  }
}

void Ggml::load_cpu(const LibraryPaths& paths) {
  std::string problem = "No CPU module was built on this machine.";
  if (!paths.cpu_modules.empty() && take_best_cpu_module(paths.cpu_modules, problem)) {
    cpu_module_.is_own = true;
    return;
  }
  std::string shipped_problem = "There is no CPU module in " + paths.backend_folder + ".";
  if (!take_best_cpu_module(shipped_cpu_modules(paths.backend_folder), shipped_problem)) {
    throw GraphError("engine-unavailable", problem + " " + shipped_problem, reinstall_hint, paths.backend_folder);
  }
  cpu_module_.note = problem + " The shipped one is used; it is slower in float arithmetic.";
}

/// Takes the module with the highest score of its own. False, and why, when none can run.
bool Ggml::take_best_cpu_module(const std::vector<std::string>& candidates, std::string& problem) {
  SharedLibrary best;
  std::string best_path;
  int best_score = 0;
  for (const auto& path : candidates) {
    std::string reason;
    SharedLibrary module = SharedLibrary::open(path, reason);
    if (!module) {
      problem = "The CPU module does not load: " + reason + ".";
      continue;
    }
    const auto score_function = module.function<int (*)()>("ggml_backend_score");
    const int score = score_function == nullptr ? 1 : score_function();
    if (score == 0) problem = "This machine's processor cannot run " + text_of(path_of(path).filename()) + ".";
    if (score > best_score) {
      best_score = score;
      best = module;
      best_path = path;
    }
  }
  if (!best) return false;

  const auto initialize = best.function<ggml_backend_reg_t (*)()>("ggml_backend_init");
  ggml_backend_reg_t registration = initialize == nullptr ? nullptr : initialize();
  if (registration == nullptr || ggml_backend_reg_dev_count(registration) == 0) {
    problem = "The CPU module " + best_path + " does not start.";
    return false;
  }
  take(cpu_.set_n_threads, registration, "ggml_backend_set_n_threads");
  take(cpu_.set_abort_callback, registration, "ggml_backend_set_abort_callback");
  take(cpu_.get_features, registration, "ggml_backend_get_features");
  take(cpu_.threadpool_new, registration, "ggml_threadpool_new");
  take(cpu_.threadpool_free, registration, "ggml_threadpool_free");
  take(cpu_.set_threadpool, registration, "ggml_backend_cpu_set_threadpool");
  cpu_device_ = ggml_backend_reg_dev_get(registration, 0);
  cpu_module_ = {best_path, false, {}};
  return true;
}

std::vector<ggml_backend_dev_t> Ggml::devices() const {
  std::vector<ggml_backend_dev_t> devices;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    const auto type = ggml_backend_dev_type(device);
    if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU) devices.push_back(device);
  }
  devices.push_back(cpu_device_);
  return devices;
}

}  // namespace lutra::graph
