#include "lut/projection.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "lut/error_feedback.h"
#include "lut/hadamard.h"

namespace lutra::lut {
namespace {

constexpr std::int64_t lanes = 16;
constexpr std::int64_t pair_lanes = 2 * lanes;

/// What a thread keeps between nodes, so that it asks for no memory in the middle of a graph.
std::uint8_t* scratch(std::int64_t bytes) {
  thread_local core::AlignedBytes memory;
  if (static_cast<std::int64_t>(memory.size()) < bytes) memory = core::AlignedBytes(static_cast<std::size_t>(bytes));
  return memory.data();
}

}  // namespace

void InputStatistics::add(std::span<const float> x) {
  constexpr auto block = static_cast<std::size_t>(feedback_block);
  const std::lock_guard lock(mutex);
  products.resize((x.size() + block - 1) / block * block * block);
  for (std::size_t first = 0; first < x.size(); first += block) {
    const std::size_t count = std::min(block, x.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      const float value = x[first + i];
      float* sums = products.data() + first * block + i * block;
      for (std::size_t j = 0; j < count; ++j) sums[j] += value * x[first + j];
    }
  }
  ++tokens;
}

bool share_activations(const PackedMatrix& a, const PackedMatrix& b) {
  return a.layout == b.layout && a.hadamard_size == b.hadamard_size;
}

graph::Tensor Prepare::operator()(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor norm, float eps) {
  eps_ = eps;
  const std::array<int64_t, GGML_MAX_DIMS> shape = {layout_.token_bytes(precision_), x->ne[1], 1, 1};
  x = ggml_cont(g, x);
  if (norm == nullptr) return graph::custom<Prepare, 1>(g, *this, GGML_TYPE_I8, shape, {x});
  return graph::custom<Prepare, 2>(g, *this, GGML_TYPE_I8, shape, {x, norm});
}

void Prepare::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* x = dst->src[0];
  const auto* norm = dst->src[1] == nullptr ? nullptr : static_cast<const float*>(dst->src[1]->data);
  const std::int64_t columns = x->ne[0];
  const auto [first, last] = graph::share(dst->ne[1], ith, nth);
  thread_local std::vector<float> values;
  values.resize(static_cast<std::size_t>(layout_.columns));
  for (std::int64_t token = first; token < last; ++token) {
    const float* row = static_cast<const float*>(x->data) + token * columns;
    if (norm != nullptr || layout_.columns != columns || hadamard_size_ > 0) {
      std::copy(row, row + columns, values.begin());
      std::fill(values.begin() + static_cast<std::ptrdiff_t>(columns), values.end(), 0.0F);
      if (norm != nullptr) {
        const float mean = kernels_->dot(row, row, columns) / static_cast<float>(columns);
        const float scale = 1.0F / std::sqrt(mean + eps_);
        for (std::int64_t i = 0; i < columns; ++i) values[static_cast<std::size_t>(i)] = row[i] * scale * norm[i];
      }
      if (hadamard_size_ > 0) hadamard(values, hadamard_size_);
      row = values.data();
    }
    if (statistics_ != nullptr) statistics_->add({row, static_cast<std::size_t>(columns)});
    kernels_->prepare(layout_, precision_, row, static_cast<TokenBytes*>(dst->data) + token * dst->ne[0]);
  }
}

/// Where a node's results go.
struct Products::Target {
  float* y;
  const float* residual;  // or null
  std::int64_t rows;
  std::int64_t tokens;

  void put(std::int64_t row, std::int64_t count, std::int64_t token, const float* values) const {
    const std::int64_t at = token * rows + row;
    if (residual == nullptr) {
      if (count == pair_lanes)
        std::memcpy(y + at, values, sizeof(float) * pair_lanes);  // of a known length: no call
      else
        std::copy(values, values + count, y + at);
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) y[at + i] = residual[at + i] + values[i];
  }
};

Products::Products(std::vector<const PackedMatrix*> matrices, Precision precision, Form form, const Kernels& kernels)
    : matrices_(std::move(matrices)), precision_(precision), form_(form), kernels_(&kernels) {
  for (const PackedMatrix* matrix : matrices_) rows_ += form_ == Form::gated ? 0 : matrix->rows;
  if (form_ == Form::gated) rows_ = matrices_.front()->rows;
}

graph::Tensor Products::operator()(graph::GraphBuilder& g, graph::Tensor prepared, graph::Tensor residual) const {
  const std::array<int64_t, GGML_MAX_DIMS> shape = {rows_, prepared->ne[1], 1, 1};
  if (residual == nullptr) return graph::custom<Products, 1>(g, *this, GGML_TYPE_F32, shape, {prepared});
  return graph::custom<Products, 2>(g, *this, GGML_TYPE_F32, shape, {prepared, ggml_cont(g, residual)});
}

void Products::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* x = dst->src[0];
  const ggml_tensor* residual = dst->src[1];
  const Target target{static_cast<float*>(dst->data),
                      residual == nullptr ? nullptr : static_cast<const float*>(residual->data), rows_, dst->ne[1]};
  // Pairs of row blocks, so that both ways of working cut alike.
  std::int64_t units = 0;
  for (const PackedMatrix* matrix : matrices_) units += (matrix->row_blocks() + 1) / 2;
  if (form_ == Form::gated) units /= 2;
  const auto [first, last] = graph::share(units, ith, nth);
  if (target.tokens <= kernels_->few_tokens)
    few(x, target, first, last);
  else
    many(x, target, first, last);
}

void Products::few(const ggml_tensor* x, const Target& target, std::int64_t first, std::int64_t last) const {
  const auto* tokens = static_cast<const TokenBytes*>(x->data);
  const int count = static_cast<int>(target.tokens);
  alignas(64) float out[8 * lanes];
  alignas(64) float up[8 * lanes];
  std::int64_t row_offset = 0;
  std::int64_t unit = 0;
  for (const PackedMatrix* matrix : matrices_) {
    const std::int64_t pairs = (matrix->row_blocks() + 1) / 2;
    const std::int64_t begin = std::clamp<std::int64_t>(first - unit, 0, pairs) * 2;
    const std::int64_t end = std::min(std::clamp<std::int64_t>(last - unit, 0, pairs) * 2, matrix->row_blocks());
    for (std::int64_t block = begin; block < end; ++block) {
      kernels_->multiply(*matrix, precision_, block, tokens, x->ne[0], count, out);
      if (form_ == Form::gated) {
        kernels_->multiply(*matrices_[1], precision_, block, tokens, x->ne[0], count, up);
        kernels_->gate(out, up, out, count * lanes);
      }
      const std::int64_t rows = std::min(lanes, matrix->rows - block * lanes);
      for (int token = 0; token < count; ++token)
        target.put(row_offset + block * lanes, rows, token, out + token * lanes);
    }
    if (form_ == Form::gated) return;
    unit += pairs;
    row_offset += matrix->rows;
  }
}

void Products::many(const ggml_tensor* x, const Target& target, std::int64_t first, std::int64_t last) const {
  const auto* tokens = static_cast<const TokenBytes*>(x->data);
  alignas(64) float out[8 * pair_lanes];
  alignas(64) float up[8 * pair_lanes];
  std::int64_t row_offset = 0;
  std::int64_t unit = 0;
  for (const PackedMatrix* matrix : matrices_) {
    const bool is_gated = form_ == Form::gated;
    const std::int64_t panel = panel_bytes(*matrix, precision_);
    std::uint8_t* panels = scratch(panel * (is_gated ? 4 : 2));
    const std::int64_t pairs = (matrix->row_blocks() + 1) / 2;
    const std::int64_t begin = std::clamp<std::int64_t>(first - unit, 0, pairs);
    const std::int64_t end = std::clamp<std::int64_t>(last - unit, 0, pairs);
    const auto expand_pair = [&](const PackedMatrix& from, std::int64_t block, std::uint8_t* to) {
      kernels_->expand(from, precision_, block, to);
      if (block + 1 < from.row_blocks()) kernels_->expand(from, precision_, block + 1, to + panel);
    };
    for (std::int64_t pair = begin; pair < end; ++pair) {
      const std::int64_t block = 2 * pair;
      expand_pair(*matrix, block, panels);
      if (is_gated) expand_pair(*matrices_[1], block, panels + 2 * panel);
      const std::int64_t rows = std::min(pair_lanes, matrix->rows - block * lanes);
      for (std::int64_t token = 0; token < target.tokens; token += kernels_->panel_tokens) {
        const int count = static_cast<int>(std::min<std::int64_t>(kernels_->panel_tokens, target.tokens - token));
        const TokenBytes* inputs = tokens + token * x->ne[0];
        kernels_->multiply_panels(*matrix, precision_, block, panels, inputs, x->ne[0], count, out);
        if (is_gated) {
          kernels_->multiply_panels(*matrices_[1], precision_, block, panels + 2 * panel, inputs, x->ne[0], count, up);
          kernels_->gate(out, up, out, count * pair_lanes);
        }
        for (int i = 0; i < count; ++i) target.put(row_offset + block * lanes, rows, token + i, out + i * pair_lanes);
      }
    }
    if (is_gated) return;
    unit += pairs;
    row_offset += matrix->rows;
  }
}

}  // namespace lutra::lut
