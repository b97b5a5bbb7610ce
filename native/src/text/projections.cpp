#include "text/projections.h"

#include <algorithm>

namespace lutra::text {

using graph::GraphBuilder;
using graph::Tensor;

Projections::Projections(std::vector<Part> parts, lut::Precision precision) : parts_(std::move(parts)) {
  const auto shares = [&](const Part& part) {
    return part.packed && lut::share_activations(*part.packed, *parts_.front().packed);
  };
  is_one_ = parts_.front().packed && std::all_of(parts_.begin(), parts_.end(), shares);
  std::vector<const lut::PackedMatrix*> all;
  for (const Part& part : parts_) {
    if (!part.packed) continue;
    all.push_back(part.packed.get());
    if (is_one_) continue;
    prepare_.emplace_back(*part.packed, precision);
    products_.emplace_back(std::vector{all.back()}, precision);
  }
  if (!is_one_) return;
  prepare_.emplace_back(*all.front(), precision);
  products_.emplace_back(all, precision);
  if (all.size() == 2 && all[0]->rows == all[1]->rows) gated_.emplace(all, precision, lut::Products::Form::gated);
}

std::vector<Tensor> Projections::operator()(GraphBuilder& g, Tensor x, const graph::RMSNorm* norm) {
  std::vector<Tensor> results;
  const auto with_bias = [&](const Part& part, Tensor y) {
    return part.bias == nullptr ? y : ggml_add(g, y, part.bias);
  };
  if (is_one_) {
    Tensor prepared = prepare_.front()(g, x, norm == nullptr ? nullptr : norm->weight, norm == nullptr ? 0 : norm->eps);
    Tensor all = products_.front()(g, prepared);
    std::int64_t first = 0;
    for (const Part& part : parts_) {
      Tensor rows = parts_.size() == 1 ? all
                                       : ggml_view_2d(g, all, part.rows, all->ne[1], all->nb[1],
                                                      static_cast<size_t>(first) * sizeof(float));
      results.push_back(with_bias(part, rows));
      first += part.rows;
    }
    return results;
  }
  if (norm != nullptr) x = (*norm)(g, x);
  std::size_t next = 0;
  for (const Part& part : parts_) {
    if (part.dense) {
      results.push_back(with_bias(part, (*part.dense)(g, x)));
      continue;
    }
    results.push_back(with_bias(part, products_[next](g, prepare_[next](g, x, nullptr, 0))));
    ++next;
  }
  return results;
}

Tensor Projections::gated(GraphBuilder& g, Tensor x, const graph::RMSNorm& norm) {
  const bool has_bias = parts_[0].bias != nullptr || parts_[1].bias != nullptr;
  if (gated_ && !has_bias) return (*gated_)(g, prepare_.front()(g, x, norm.weight, norm.eps));
  const auto parts = (*this)(g, x, &norm);
  return ggml_mul(g, ggml_silu(g, ggml_cont(g, parts[0])), parts[1]);
}

Tensor Projections::added(GraphBuilder& g, Tensor x, Tensor residual) {
  if (is_one_ && parts_.front().bias == nullptr)
    return products_.front()(g, prepare_.front()(g, x, nullptr, 0), residual);
  return ggml_add(g, residual, (*this)(g, x, nullptr).front());
}

void Projections::observe(AllStatistics& all) {
  std::size_t next = 0;
  for (const Part& part : parts_) {
    if (!part.packed) continue;
    if (is_one_ && next > 0) return;  // the others share the first one's inputs
    auto& own = all[part.name];
    own = std::make_unique<lut::InputStatistics>();
    prepare_[next++].observe(own.get());
  }
}

}  // namespace lutra::text
