// The binding: plain data in, plain data out, promises for what takes time. Its typed mirror is main/engine/addon.ts.
#include <napi.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "addon/audio_model.h"
#include "addon/classes.h"
#include "addon/edge.h"
#include "addon/memory.h"
#include "addon/quantizer.h"
#include "addon/self_test.h"
#include "addon/task.h"
#include "addon/text_model.h"
#include "addon/vision_model.h"
#include "cuda/library.h"
#include "graph/device.h"
#include "graph/error.h"
#include "graph/ggml_loader.h"

namespace lutra::addon {

namespace {

Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    if (info.Length() < 1 || !info[0].IsObject()) throw graph::GraphError("bad-input", "load() takes an object.");
    const auto options = info[0].As<Napi::Object>();
    const graph::Ggml& ggml = graph::Ggml::load({
        field<std::string>(options, "baseLibrary"),
        field<std::string>(options, "registryLibrary"),
        field<std::string>(options, "backendFolder"),
        field<std::vector<std::string>>(options, "cpuModules"),
    });
    cuda::Library::open(field<std::string>(options, "cudaLibrary"));
    auto module = Napi::Object::New(env);
    module.Set("path", ggml.cpu_module().path);
    module.Set("isOwn", ggml.cpu_module().is_own);
    module.Set("note", ggml.cpu_module().note);
    auto result = Napi::Object::New(env);
    result.Set("ggmlVersion", ggml.version());
    result.Set("addonVersion", LUTRA_ADDON_VERSION);
    result.Set("cpuModule", module);
    return result;
  });
}

Napi::Object to_js(Napi::Env env, const graph::DeviceInfo& device, bool runs_folders) {
  auto features = Napi::Array::New(env);
  for (const auto& feature : device.features) features.Set(features.Length(), feature);
  auto entry = Napi::Object::New(env);
  entry.Set("backend", device.backend);
  entry.Set("name", device.name);
  entry.Set("description", device.description);
  entry.Set("memoryTotalBytes", static_cast<double>(device.memory_total_bytes));
  entry.Set("memoryFreeBytes", static_cast<double>(device.memory_free_bytes));
  entry.Set("features", features);
  entry.Set("runsFolders", runs_folders);
  return entry;
}

/// The cards of our own kernels first, then ggml's devices; a card that both know is named once.
Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    auto list = Napi::Array::New(env);
    const auto cards = cuda::Library::instance().cards();
    for (const auto& [index, facts] : cards) {
      graph::DeviceInfo device;
      device.backend = "cuda";
      device.name = "CUDA" + std::to_string(index);
      device.description = facts.name;
      device.memory_total_bytes = facts.memory_total_bytes;
      device.memory_free_bytes = facts.memory_free_bytes;
      device.features.push_back("sm_" + std::to_string(facts.major) + std::to_string(facts.minor));
      list.Set(list.Length(), to_js(env, device, true));
    }
    for (ggml_backend_dev_t device : graph::Ggml::instance().devices()) {
      graph::DeviceInfo description = graph::describe(device);
      if (!cards.empty() && description.backend == "cuda") continue;
      // ggml calls all of the machine's memory free.
      if (graph::is_cpu(device)) description.memory_free_bytes = read_memory().machine_free_bytes;
      list.Set(list.Length(), to_js(env, description, graph::is_cpu(device)));
    }
    return list;
  });
}

Napi::Value unavailable(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    auto list = Napi::Array::New(env);
    const auto add = [&](const std::string& backend, const std::string& reason) {
      auto entry = Napi::Object::New(env);
      entry.Set("backend", backend);
      entry.Set("reason", reason);
      list.Set(list.Length(), entry);
    };
    for (const auto& [backend, reason] : graph::Ggml::instance().unavailable()) add(backend, reason);
    const std::string& reason = cuda::Library::instance().reason();
    if (!reason.empty()) add("lutra-cuda", reason);
    return list;
  });
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    const Memory now = read_memory();
    auto result = Napi::Object::New(env);
    result.Set("engineBytes", static_cast<double>(now.process_bytes));
    result.Set("machineFreeBytes", static_cast<double>(now.machine_free_bytes));
    result.Set("machineTotalBytes", static_cast<double>(now.machine_total_bytes));
    return result;
  });
}

class SelfTestWorker : public Napi::AsyncWorker {
 public:
  SelfTestWorker(Napi::Env env, const graph::Ggml& ggml)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), ggml_(ggml) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { checks_ = self_test(ggml_); }

  void OnOK() override {
    auto list = Napi::Array::New(Env());
    bool all_ok = true;
    for (const auto& [name, ok, detail] : checks_) {
      all_ok = all_ok && ok;
      auto entry = Napi::Object::New(Env());
      entry.Set("name", name);
      entry.Set("ok", ok);
      entry.Set("detail", detail);
      list.Set(list.Length(), entry);
    }
    auto result = Napi::Object::New(Env());
    result.Set("ok", all_ok);
    result.Set("checks", list);
    deferred_.Resolve(result);
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  const graph::Ggml& ggml_;
  std::vector<Check> checks_;
};

Napi::Value run_self_test(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    auto worker = std::make_unique<SelfTestWorker>(env, graph::Ggml::instance());
    const Napi::Promise promise = worker->promise();
    worker->Queue();
    static_cast<void>(worker.release());  // it deletes itself when it is done
    return promise;
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("load", Napi::Function::New(env, load, "load"));
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
  exports.Set("unavailable", Napi::Function::New(env, unavailable, "unavailable"));
  exports.Set("memory", Napi::Function::New(env, memory, "memory"));
  exports.Set("selfTest", Napi::Function::New(env, run_self_test, "selfTest"));
  env.SetInstanceData(std::make_unique<Classes>().release());  // freed by Node with the environment
  export_text_model(env, exports);
  export_audio_model(env, exports);
  export_vision_model(env, exports);
  export_quantizer(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(lutra, initialize)

}  // namespace lutra::addon
