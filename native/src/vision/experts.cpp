#include "vision/experts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace lutra::vision {

using graph::GraphBuilder;
using graph::Tensor;

namespace {

/// Where an expert was chosen, and how much it counts.
struct Choice {
  std::int64_t token;
  std::int64_t slot;
  float weight;
};

/// choices: (2 k, n) as Choose leaves them.
void chosen_by(const ggml_tensor* choices, std::int64_t count, std::int64_t expert, std::vector<Choice>& result) {
  result.clear();
  for (std::int64_t token = 0; token < choices->ne[1]; ++token) {
    const float* row = static_cast<const float*>(choices->data) + token * choices->ne[0];
    for (std::int64_t slot = 0; slot < count; ++slot) {
      if (static_cast<std::int64_t>(row[slot]) == expert) result.push_back({token, slot, row[count + slot]});
    }
  }
}

}  // namespace

RowMatrix::RowMatrix(text::WeightReader& reader, const std::string& name, std::int64_t rows, std::int64_t columns) {
  const core::TensorView* found = reader.file().find(name + ".weight");
  const bool is_plain = found != nullptr && (found->dtype == core::Dtype::f32 || found->dtype == core::Dtype::f16 ||
                                             found->dtype == core::Dtype::bf16);
  if (is_plain) {
    view_ = graph::need(reader.file().get(name + ".weight", std::array{rows, columns}));
    reader.let_go(name);
    return;
  }
  own_ = reader.matrix(name, rows, columns);
  view_ = {core::Dtype::f32, {rows, columns}, std::as_bytes(std::span(own_))};
}

void RowMatrix::row(std::int64_t index, std::span<float> target) const {
  const std::size_t bytes = target.size() * core::size_of(view_.dtype);
  core::to_f32(view_.dtype, view_.bytes.subspan(static_cast<std::size_t>(index) * bytes, bytes), target);
}

Experts::Experts(text::WeightReader& reader, const std::string& name, const EvlmCrossConfig& config, std::int64_t width)
    : width_(width),
      expert_width_(config.expert_width),
      router_weight_(reader, name + "router", config.num_experts, width),
      router_(router_weight_.view()),
      shared_in_(projection_of(reader, name + "shared_expert.fc1", config.shared_expert_width, width)),
      shared_out_(projection_of(reader, name + "shared_expert.fc2", width, config.shared_expert_width)),
      choose_{config.num_experts_per_token, config.normalize_top_k},
      in_{&experts_, config.num_experts_per_token, &lut::best_kernels()},
      out_{&experts_, config.num_experts_per_token, &lut::best_kernels()},
      activate_(config.hidden_act) {
  for (std::int64_t expert = 0; expert < config.num_experts; ++expert) {
    const std::string own = name + "experts." + std::to_string(expert) + ".";
    RowMatrix fc1(reader, own + "fc1", expert_width_, width);
    RowMatrix fc2(reader, own + "fc2", width, expert_width_);
    experts_.push_back({std::move(fc1), std::move(fc2)});
  }
}

std::size_t Experts::size_bytes() const {
  std::size_t bytes = router_weight_.size_bytes();
  for (const Expert& expert : experts_) bytes += expert.fc1.size_bytes() + expert.fc2.size_bytes();
  return bytes;
}

Tensor Experts::operator()(GraphBuilder& g, Tensor x) {
  const std::int64_t n = x->ne[1];
  const std::int64_t k = choose_.count;
  Tensor choices = graph::custom<Choose, 1>(g, choose_, GGML_TYPE_F32, {2 * k, n, 1, 1}, {router_(g, x)});
  Tensor hidden = graph::custom<In, 2>(g, in_, GGML_TYPE_F32, {expert_width_, k * n, 1, 1}, {x, choices});
  hidden = activate_(g, hidden);
  Tensor routed = graph::custom<Out, 2>(g, out_, GGML_TYPE_F32, {width_, n, 1, 1}, {hidden, choices});
  Tensor shared = activate_(g, shared_in_(g, x, nullptr).front());
  return ggml_add(g, routed, shared_out_(g, shared, nullptr).front());
}

void Experts::Choose::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* logits = dst->src[0];
  const auto experts = static_cast<std::size_t>(logits->ne[0]);
  const auto k = static_cast<std::size_t>(count);
  thread_local std::vector<double> chances;
  thread_local std::vector<std::size_t> order;
  chances.resize(experts);
  order.resize(experts);
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  for (std::int64_t token = first; token < last; ++token) {
    const float* row = static_cast<const float*>(logits->data) + token * logits->ne[0];
    const float top = *std::max_element(row, row + experts);
    double sum = 0;
    for (std::size_t e = 0; e < experts; ++e) sum += chances[e] = std::exp(static_cast<double>(row[e] - top));
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto before = [&](std::size_t a, std::size_t b) { return row[a] > row[b] || (row[a] == row[b] && a < b); };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(), before);
    double kept = 0;
    for (std::size_t i = 0; i < k; ++i) kept += chances[order[i]];
    float* target = static_cast<float*>(dst->data) + token * dst->ne[0];
    for (std::size_t i = 0; i < k; ++i) {
      target[i] = static_cast<float>(order[i]);
      target[k + i] = static_cast<float>(chances[order[i]] / (normalize ? kept : sum));
    }
  }
}

void Experts::In::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* x = dst->src[0];
  const std::int64_t columns = x->ne[0];
  const std::int64_t rows = dst->ne[0];
  thread_local std::vector<float> values;
  thread_local std::vector<Choice> choices;
  values.resize(static_cast<std::size_t>(columns));
  const auto [first, last] = graph::share(static_cast<std::int64_t>(experts->size()) * rows, ith, nth);
  std::int64_t known = -1;
  for (std::int64_t item = first; item < last; ++item) {
    const std::int64_t expert = item / rows;
    if (expert != known) chosen_by(dst->src[1], count, expert, choices);
    known = expert;
    if (choices.empty()) continue;
    (*experts)[static_cast<std::size_t>(expert)].fc1.row(item % rows, values);
    for (const auto& [token, slot, weight] : choices) {
      static_cast<float*>(dst->data)[(token * count + slot) * rows + item % rows] =
          kernels->dot(values.data(), static_cast<const float*>(x->data) + token * columns, columns);
    }
  }
}

void Experts::Out::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* hidden = dst->src[0];
  const std::int64_t columns = hidden->ne[0];
  const std::int64_t rows = dst->ne[0];
  thread_local std::vector<float> values;
  thread_local std::vector<Choice> choices;
  values.resize(static_cast<std::size_t>(columns));
  const auto [first, last] = graph::share(rows, ith, nth);
  auto* y = static_cast<float*>(dst->data);
  for (std::int64_t token = 0; token < dst->ne[1]; ++token)
    std::fill(y + token * rows + first, y + token * rows + last, 0.0F);
  for (std::int64_t expert = 0; expert < static_cast<std::int64_t>(experts->size()); ++expert) {
    chosen_by(dst->src[1], count, expert, choices);
    if (choices.empty()) continue;
    for (std::int64_t row = first; row < last; ++row) {
      (*experts)[static_cast<std::size_t>(expert)].fc2.row(row, values);
      for (const auto& [token, slot, weight] : choices) {
        const float* from = static_cast<const float*>(hidden->data) + (token * count + slot) * columns;
        y[token * rows + row] += weight * kernels->dot(values.data(), from, columns);
      }
    }
  }
}

}  // namespace lutra::vision
