#pragma once
#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "addon/edge.h"

namespace lutra::addon {

using graph::GraphError;

/// Makes a promise's value on JavaScript's thread.
using Finish = std::function<Napi::Value(Napi::Env)>;

/// Work on a thread of its own that tells JavaScript how it goes. Events and the end travel one way, so that the end
/// never overtakes an event.
class Task {
 public:
  using Tell = std::function<void(double, double)>;
  /// Runs off JavaScript's thread; throws GraphError.
  using Body = std::function<Finish(const std::stop_token&, const Tell&)>;

  /// `listener` is called with two numbers.
  static Napi::Promise start(Napi::Env env, const Napi::Function& listener, std::stop_token stop, Body body) {
    auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
    auto channel = Napi::ThreadSafeFunction::New(env, listener, "lutra.text", 0, 1);
    std::thread([channel, deferred, stop = std::move(stop), body = std::move(body)]() mutable {
      const Tell tell = [&](double a, double b) {
        channel.BlockingCall([a, b](Napi::Env js, Napi::Function call) {
          call.Call({Napi::Number::New(js, a), Napi::Number::New(js, b)});
        });
      };
      try {
        Finish finish = as_graph_error([&] { return body(stop, tell); });
        channel.BlockingCall([deferred, finish = std::move(finish)](Napi::Env js, const Napi::Function&) {
          deferred->Resolve(finish(js));
        });
      } catch (const GraphError& error) {
        channel.BlockingCall(
            [deferred, error](Napi::Env js, const Napi::Function&) { deferred->Reject(to_js(js, error).Value()); });
      }
      channel.Release();
    }).detach();
    return deferred->Promise();
  }
};

template <typename Value>
Value field(const Napi::Object& object, const char* name);

template <>
inline double field<double>(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) throw GraphError("bad-input", std::string(name) + " must be a number.", {}, name);
  return value.As<Napi::Number>().DoubleValue();
}

template <>
inline bool field<bool>(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsBoolean()) throw GraphError("bad-input", std::string(name) + " must be true or false.", {}, name);
  return value.As<Napi::Boolean>().Value();
}

template <>
inline std::string field<std::string>(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) throw GraphError("bad-input", std::string(name) + " must be a string.", {}, name);
  return value.As<Napi::String>().Utf8Value();
}

template <>
inline std::vector<std::int32_t> field<std::vector<std::int32_t>>(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array)
    throw GraphError("bad-input", std::string(name) + " must be an Int32Array.", {}, name);
  const auto array = value.As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

template <>
inline std::vector<std::string> field<std::vector<std::string>>(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsArray()) throw GraphError("bad-input", std::string(name) + " must be a list.", {}, name);
  const auto list = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value item = list[i];
    if (!item.IsString()) throw GraphError("bad-input", std::string(name) + " must hold strings.", {}, name);
    texts.push_back(item.As<Napi::String>().Utf8Value());
  }
  return texts;
}

}  // namespace lutra::addon
