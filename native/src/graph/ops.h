#pragma once
#include <string>
#include <vector>

#include "graph/device.h"

namespace lutra::graph {

/// Whether a node may run on a device. ggml's own `supports_op` says yes to combinations that then abort the process,
/// so only what native/tests/graph has tried is allowed.
bool may_run(ggml_backend_dev_t device, const ggml_tensor* node);

/// A node that computes nothing: its values are another tensor's.
bool only_changes_the_view(const ggml_tensor* node);

/// One line of the list behind may_run(): an op with a type of its first source.
struct TriedOp {
  ggml_op op;
  ggml_type type;
};

/// The whole list, so that the tests can show that they cover it.
std::vector<TriedOp> tried_ops(bool on_cpu);

/// For messages: `MUL_MAT(q4_0 [64,32], f32 [64,5])`.
std::string describe_node(const ggml_tensor* node);

}  // namespace lutra::graph
