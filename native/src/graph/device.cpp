#include "graph/device.h"

#include <algorithm>
#include <cctype>
#include <thread>

#include "graph/error.h"

namespace lutra::graph {

namespace {

// Low: an idle pool must not keep the cores of a desktop busy. It costs 15 us per graph.
constexpr uint32_t poll_level = 0;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Metal's registration is called MTL.
std::string backend_name(ggml_backend_reg_t registration) {
  const std::string name = lower(ggml_backend_reg_name(registration));
  return name == "mtl" ? "metal" : name;
}

std::vector<std::string> features_of(ggml_backend_reg_t registration) {
  std::vector<std::string> features;
  const auto get = reinterpret_cast<ggml_backend_get_features_t>(
      ggml_backend_reg_get_proc_address(registration, "ggml_backend_get_features"));
  if (get == nullptr) return features;
  for (const ggml_backend_feature* feature = get(registration); feature->name != nullptr; ++feature) {
    const std::string value = feature->value;
    if (value == "0") continue;
    features.push_back(value == "1" ? feature->name : feature->name + ("=" + value));
  }
  return features;
}

int default_threads() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

}  // namespace

bool is_cpu(ggml_backend_dev_t device) { return ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU; }

DeviceInfo describe(ggml_backend_dev_t device) {
  ggml_backend_reg_t registration = ggml_backend_dev_backend_reg(device);
  DeviceInfo info;
  info.backend = backend_name(registration);
  info.name = ggml_backend_dev_name(device);
  info.description = ggml_backend_dev_description(device);
  ggml_backend_dev_memory(device, &info.memory_free_bytes, &info.memory_total_bytes);
  info.features = features_of(registration);
  return info;
}

ggml_backend_dev_t device_named(const Ggml& ggml, const std::string& name) {
  for (ggml_backend_dev_t device : ggml.devices()) {
    if (name == ggml_backend_dev_name(device)) return device;
  }
  throw GraphError("not-found", "There is no device called " + name + ".", "Choose another device in the settings.",
                   name);
}

ggml_backend_dev_t preferred_device(const Ggml& ggml) {
  for (const auto wanted : {GGML_BACKEND_DEVICE_TYPE_GPU, GGML_BACKEND_DEVICE_TYPE_IGPU}) {
    for (ggml_backend_dev_t device : ggml.devices()) {
      if (ggml_backend_dev_type(device) == wanted) return device;
    }
  }
  return ggml.cpu_device();
}

Compute::Backend Compute::start(ggml_backend_dev_t device) {
  Backend backend(ggml_backend_dev_init(device, nullptr));
  if (!backend) {
    const std::string name = ggml_backend_dev_name(device);
    throw GraphError("engine-unavailable", "The device " + name + " does not start.",
                     "Choose another device in the settings.", name);
  }
  return backend;
}

Compute::Compute(const Ggml& ggml, ggml_backend_dev_t device, int n_threads)
    : device_(device),
      cpu_functions_(ggml.cpu()),
      n_threads_(n_threads > 0 ? std::min(n_threads, GGML_MAX_N_THREADS) : default_threads()),
      threadpool_(nullptr, ThreadpoolDeleter{cpu_functions_.threadpool_free}) {
  ggml_threadpool_params parameters{};
  ggml_threadpool_params_init(&parameters, n_threads_);
  parameters.poll = poll_level;
  threadpool_.reset(cpu_functions_.threadpool_new(&parameters));
  if (!threadpool_) throw GraphError("out-of-memory", "The compute threads do not start.");

  cpu_backend_ = start(ggml.cpu_device());
  cpu_functions_.set_n_threads(cpu_backend_.get(), n_threads_);
  cpu_functions_.set_threadpool(cpu_backend_.get(), threadpool_.get());
  if (!is_cpu(device)) device_backend_ = start(device);
}

}  // namespace lutra::graph
