#pragma once
#include <utility>

#include "core/result.h"
#include "graph/error.h"

namespace lutra::graph {

[[noreturn]] inline void refuse(const core::Error& error) {
  throw GraphError(error.code, error.message, error.hint, error.subject);
}

/// The value, or the error thrown.
template <typename Value>
Value need(core::Result<Value> result) {
  if (!result) refuse(result.error());
  return std::move(result).value();
}

}  // namespace lutra::graph
