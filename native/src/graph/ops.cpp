#include "graph/ops.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>

namespace lutra::graph {

namespace {

constexpr std::array f32{GGML_TYPE_F32};
constexpr std::array floats{GGML_TYPE_F32, GGML_TYPE_F16};
constexpr std::array weights{GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0};

struct Rule {
  ggml_op op;
  std::span<const ggml_type> cpu;  ///< types of the first source that are tried on the CPU
  std::span<const ggml_type> gpu;  ///< and on a GPU
};

const std::initializer_list<Rule> rules = {
    {GGML_OP_ADD, f32, f32},
    {GGML_OP_SUB, f32, f32},
    {GGML_OP_MUL, f32, f32},
    {GGML_OP_SQR, f32, f32},
    {GGML_OP_SIN, f32, f32},
    {GGML_OP_SCALE, f32, f32},
    {GGML_OP_CPY, floats, floats},
    {GGML_OP_CONT, floats, floats},
    {GGML_OP_CONCAT, f32, f32},
    {GGML_OP_REPEAT, f32, f32},
    {GGML_OP_NORM, f32, f32},
    {GGML_OP_RMS_NORM, f32, f32},
    {GGML_OP_GROUP_NORM, f32, f32},
    {GGML_OP_MUL_MAT, weights, weights},
    {GGML_OP_GET_ROWS, weights, weights},
    {GGML_OP_ROPE, f32, f32},
    {GGML_OP_SOFT_MAX, f32, f32},
    {GGML_OP_FLASH_ATTN_EXT, f32, f32},
    {GGML_OP_IM2COL, floats, floats},
    {GGML_OP_COL2IM_1D, f32, f32},
    {GGML_OP_UNARY, f32, f32},
    {GGML_OP_GLU, f32, f32},
    {GGML_OP_CUSTOM, weights, {}},
};

bool is_tried_unary(const ggml_tensor* node) {
  constexpr std::array tried{GGML_UNARY_OP_GELU_ERF, GGML_UNARY_OP_GELU, GGML_UNARY_OP_SILU, GGML_UNARY_OP_TANH,
                             GGML_UNARY_OP_RELU};
  return std::ranges::find(tried, ggml_get_unary_op(node)) != tried.end();
}

bool is_tried_glu(const ggml_tensor* node) {
  const ggml_glu_op op = ggml_get_glu_op(node);
  return op == GGML_GLU_OP_SWIGLU || op == GGML_GLU_OP_GEGLU_ERF;
}

}  // namespace

bool only_changes_the_view(const ggml_tensor* node) {
  const ggml_op op = node->op;
  return op == GGML_OP_NONE || op == GGML_OP_RESHAPE || op == GGML_OP_VIEW || op == GGML_OP_PERMUTE ||
         op == GGML_OP_TRANSPOSE;
}

bool may_run(ggml_backend_dev_t device, const ggml_tensor* node) {
  if (only_changes_the_view(node)) return true;
  // Ours: it reads whatever types it was written for.
  if (node->op == GGML_OP_CUSTOM) return is_cpu(device);
  if (node->op == GGML_OP_UNARY && !is_tried_unary(node)) return false;
  if (node->op == GGML_OP_GLU && !is_tried_glu(node)) return false;
  const auto rule = std::ranges::find(rules, node->op, &Rule::op);
  if (rule == rules.end()) return false;
  const auto& types = is_cpu(device) ? rule->cpu : rule->gpu;
  const ggml_type type = node->src[0] == nullptr ? GGML_TYPE_F32 : node->src[0]->type;
  return std::ranges::find(types, type) != types.end() && ggml_backend_dev_supports_op(device, node);
}

std::vector<TriedOp> tried_ops(bool on_cpu) {
  std::vector<TriedOp> all;
  for (const Rule& rule : rules) {
    for (const ggml_type type : on_cpu ? rule.cpu : rule.gpu) all.push_back({rule.op, type});
  }
  return all;
}

std::string describe_node(const ggml_tensor* node) {
  std::string text = ggml_op_desc(node);
  char separator = '(';
  for (const ggml_tensor* source : node->src) {
    if (source == nullptr) continue;
    text += separator + std::string(separator == ',' ? " " : "") + ggml_type_name(source->type) + " [";
    for (int i = 0; i < ggml_n_dims(source); ++i) text += (i == 0 ? "" : ",") + std::to_string(source->ne[i]);
    text += ']';
    separator = ',';
  }
  return separator == '(' ? text : text + ')';
}

}  // namespace lutra::graph
