// The binding: plain data in, plain data out, promises for what takes time. Its typed mirror is main/engine/addon.ts.
#include <napi.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/memory.h"
#include "addon/self_test.h"
#include "graph/device.h"
#include "graph/error.h"
#include "graph/ggml_loader.h"
#include "text/llama.h"

namespace lutra::addon {

namespace {

Napi::Error to_js(Napi::Env env, const graph::GraphError& error) {
  Napi::Error js = Napi::Error::New(env, error.what());
  js.Set("code", error.code());
  if (!error.hint().empty()) js.Set("hint", error.hint());
  if (!error.subject().empty()) js.Set("subject", error.subject());
  return js;
}

/// Runs `body`; no C++ exception but Napi's own passes this line.
template <typename Body>
auto at_the_edge(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (const graph::GraphError& error) {
    throw to_js(env, error);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw to_js(env, graph::GraphError("out-of-memory", "The engine ran out of memory."));
  } catch (const std::exception& error) {
    throw to_js(env, graph::GraphError("internal", error.what()));
  }
}

std::string text_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) throw graph::GraphError("bad-input", std::string(name) + " must be a string.", {}, name);
  return value.As<Napi::String>().Utf8Value();
}

std::vector<std::string> text_list_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsArray()) throw graph::GraphError("bad-input", std::string(name) + " must be a list.", {}, name);
  const auto list = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value item = list[i];
    if (!item.IsString()) throw graph::GraphError("bad-input", std::string(name) + " must hold strings.", {}, name);
    texts.push_back(item.As<Napi::String>().Utf8Value());
  }
  return texts;
}

Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    if (info.Length() < 1 || !info[0].IsObject()) throw graph::GraphError("bad-input", "load() takes an object.");
    const auto options = info[0].As<Napi::Object>();
    const graph::Ggml& ggml = graph::Ggml::load({
        text_field(options, "baseLibrary"),
        text_field(options, "registryLibrary"),
        text_field(options, "backendFolder"),
        text_list_field(options, "cpuModules"),
    });
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

Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    auto list = Napi::Array::New(env);
    for (ggml_backend_dev_t device : graph::Ggml::instance().devices()) {
      graph::DeviceInfo description = graph::describe(device);
      // ggml calls all of the machine's memory free.
      if (graph::is_cpu(device)) description.memory_free_bytes = read_memory().machine_free_bytes;
      auto features = Napi::Array::New(env);
      for (const auto& feature : description.features) features.Set(features.Length(), feature);
      auto entry = Napi::Object::New(env);
      entry.Set("backend", description.backend);
      entry.Set("name", description.name);
      entry.Set("description", description.description);
      entry.Set("memoryTotalBytes", static_cast<double>(description.memory_total_bytes));
      entry.Set("memoryFreeBytes", static_cast<double>(description.memory_free_bytes));
      entry.Set("features", features);
      list.Set(list.Length(), entry);
    }
    return list;
  });
}

Napi::Value unavailable(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    auto list = Napi::Array::New(env);
    for (const auto& [backend, reason] : graph::Ggml::instance().unavailable()) {
      auto entry = Napi::Object::New(env);
      entry.Set("backend", backend);
      entry.Set("reason", reason);
      list.Set(list.Length(), entry);
    }
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

/// The logits of a prompt, in full precision: for comparing with the reference implementation.
class LogitsWorker : public Napi::AsyncWorker {
 public:
  LogitsWorker(Napi::Env env, const graph::Ggml& ggml, std::string folder, std::vector<std::int32_t> tokens,
               int n_threads)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        ggml_(ggml),
        folder_(std::move(folder)),
        tokens_(std::move(tokens)),
        n_threads_(n_threads) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      const graph::Compute compute(ggml_, ggml_.cpu_device(), n_threads_);
      const auto model = text::Llama::load(folder_, compute);
      vocab_size_ = model->config().vocab_size;
      logits_ = model->logits(tokens_);
    } catch (const graph::GraphError& error) {
      error_ = error;
    } catch (const std::bad_alloc&) {
      error_ = graph::GraphError("out-of-memory", "There is not enough memory for this model.");
    }
  }

  void OnOK() override {
    if (error_) return deferred_.Reject(to_js(Env(), *error_).Value());
    auto logits = Napi::Float32Array::New(Env(), logits_.size());
    std::copy(logits_.begin(), logits_.end(), logits.Data());
    auto result = Napi::Object::New(Env());
    result.Set("logits", logits);
    result.Set("vocabSize", static_cast<double>(vocab_size_));
    deferred_.Resolve(result);
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  const graph::Ggml& ggml_;
  std::string folder_;
  std::vector<std::int32_t> tokens_;
  int n_threads_;
  std::int64_t vocab_size_ = 0;
  std::vector<float> logits_;
  std::optional<graph::GraphError> error_;
};

/// evalLogits(folder, Int32Array tokens, threads): 0 threads means one per core.
Napi::Value eval_logits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return at_the_edge(env, [&]() -> Napi::Value {
    const bool is_fine = info.Length() == 3 && info[0].IsString() && info[1].IsTypedArray() &&
                         info[1].As<Napi::TypedArray>().TypedArrayType() == napi_int32_array && info[2].IsNumber();
    if (!is_fine)
      throw graph::GraphError("bad-input", "evalLogits() takes a folder, an Int32Array and a number of threads.");
    const auto ids = info[1].As<Napi::Int32Array>();
    auto worker =
        std::make_unique<LogitsWorker>(env, graph::Ggml::instance(), info[0].As<Napi::String>().Utf8Value(),
                                       std::vector<std::int32_t>(ids.Data(), ids.Data() + ids.ElementLength()),
                                       info[2].As<Napi::Number>().Int32Value());
    const Napi::Promise promise = worker->promise();
    worker->Queue();
    static_cast<void>(worker.release());  // it deletes itself when it is done
    return promise;
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("evalLogits", Napi::Function::New(env, eval_logits, "evalLogits"));
  exports.Set("load", Napi::Function::New(env, load, "load"));
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
  exports.Set("unavailable", Napi::Function::New(env, unavailable, "unavailable"));
  exports.Set("memory", Napi::Function::New(env, memory, "memory"));
  exports.Set("selfTest", Napi::Function::New(env, run_self_test, "selfTest"));
  return exports;
}

}  // namespace

NODE_API_MODULE(lutra, initialize)

}  // namespace lutra::addon
