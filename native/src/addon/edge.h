#pragma once
#include <napi.h>

#include <new>
#include <string>

#include "graph/error.h"

namespace lutra::addon {

inline Napi::Error to_js(Napi::Env env, const graph::GraphError& error) {
  Napi::Error js = Napi::Error::New(env, error.what());
  js.Set("code", error.code());
  if (!error.hint().empty()) js.Set("hint", error.hint());
  if (!error.subject().empty()) js.Set("subject", error.subject());
  return js;
}

/// Runs `body` off JavaScript's thread; what it throws becomes an error of ours.
template <typename Body>
auto as_graph_error(const Body& body) {
  try {
    return body();
  } catch (const graph::GraphError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw graph::GraphError("out-of-memory", "There is not enough memory for this.", "Close other programs.");
  } catch (const std::exception& error) {
    throw graph::GraphError("internal", error.what());
  }
}

/// Runs `body`; no C++ exception but Napi's own passes this line.
template <typename Body>
auto at_the_edge(Napi::Env env, const Body& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const graph::GraphError& error) {
    throw to_js(env, error);
  } catch (const std::bad_alloc&) {
    throw to_js(env, graph::GraphError("out-of-memory", "The engine ran out of memory."));
  } catch (const std::exception& error) {
    throw to_js(env, graph::GraphError("internal", error.what()));
  }
}

}  // namespace lutra::addon
