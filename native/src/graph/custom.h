#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "graph/runner.h"

namespace lutra::graph {

/// The part of `n_items` that thread `ith` of `nth` does: [first, last).
/// Always cut by these two: ggml may call a custom op with more threads than it asked for.
inline std::pair<int64_t, int64_t> share(int64_t n_items, int ith, int nth) {
  const int64_t per_thread = (n_items + nth - 1) / nth;
  const int64_t first = std::min<int64_t>(n_items, per_thread * ith);
  return {first, std::min<int64_t>(n_items, first + per_thread)};
}

/// A node that runs our own function on the CPU, on all threads.
/// `Op` has `void run(ggml_tensor* dst, int ith, int nth) const noexcept`; it reads its inputs from `dst->src`.
/// `op` must live as long as the graph. There is no barrier within a node: two phases are two nodes.
template <typename Op, size_t n_sources>
Tensor custom(GraphBuilder& g, const Op& op, ggml_type type, std::array<int64_t, GGML_MAX_DIMS> ne,
              std::array<Tensor, n_sources> sources) {
  static_assert(n_sources < GGML_MAX_SRC, "ggml keeps one source for itself");
  const ggml_custom_op_t call = [](ggml_tensor* dst, int ith, int nth, void* data) {
    static_cast<const Op*>(data)->run(dst, ith, nth);
  };
  return ggml_custom_4d(g, type, ne[0], ne[1], ne[2], ne[3], sources.data(), static_cast<int>(n_sources), call,
                        GGML_N_TASKS_MAX, const_cast<Op*>(&op));  // NOLINT: ggml's user data is not const
}

}  // namespace lutra::graph
