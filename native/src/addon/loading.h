#pragma once
#include <napi.h>

#include <stop_token>
#include <utility>

#include "addon/task.h"
#include "core/progress.h"

namespace lutra::addon {

/// Loads what `Wrapped`, a class of JavaScript's with a method `hold`, is made of. One is loaded at a time.
template <typename Wrapped>
class Loading {
 public:
  /// The promise of a `Wrapped`, made by `make`; `load(progress)` gives what it holds and runs off JavaScript's thread.
  /// `listener` is told bytes done and in all.
  template <typename Load>
  static Napi::Promise start(Napi::Env env, const Napi::Function& listener, Napi::FunctionReference& make, Load load) {
    source() = std::stop_source();
    return Task::start(env, listener, source().get_token(),
                       [load = std::move(load), &make](const std::stop_token& stop, const Task::Tell& tell) {
                         const core::Progress progress(stop, [&](std::uint64_t done, std::uint64_t total) {
                           tell(static_cast<double>(done), static_cast<double>(total));
                         });
                         auto loaded = load(progress);
                         return Finish([loaded = std::move(loaded), &make](Napi::Env) -> Napi::Value {
                           const Napi::Object object = make.New({});
                           Wrapped::Unwrap(object)->hold(loaded);
                           return object;
                         });
                       });
  }

  /// What is being loaded fails with `cancelled`.
  static Napi::Value stop(const Napi::CallbackInfo& call) {
    source().request_stop();
    return call.Env().Undefined();
  }

 private:
  static std::stop_source& source() {
    static std::stop_source loading;
    return loading;
  }
};

}  // namespace lutra::addon
