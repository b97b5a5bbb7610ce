#include "check/plain_llama.h"

#include <algorithm>
#include <cmath>

#include "core/dtype.h"

namespace lutra::cuda::check {
namespace {

std::size_t whole(std::int64_t value) { return static_cast<std::size_t>(value); }

}  // namespace

PlainLlama::PlainLlama(const Shape& shape, std::span<const std::uint16_t> embedding,
                       std::span<const std::int32_t> tokens, core::ThreadPool& threads)
    : shape_(shape),
      embedding_(embedding),
      threads_(&threads),
      tokens_(static_cast<std::int64_t>(tokens.size())),
      residual_(tokens.size() * whole(shape.hidden)) {
  const std::size_t width = whole(shape.hidden);
  for (std::size_t token = 0; token < tokens.size(); ++token) {
    for (std::size_t i = 0; i < width; ++i)
      residual_[token * width + i] = core::f16_to_f32(embedding[static_cast<std::size_t>(tokens[token]) * width + i]);
  }
}

PlainLlama::Rows PlainLlama::normed(std::span<const float> weight) const {
  Rows y(residual_.size());
  const std::size_t width = whole(shape_.hidden);
  for (std::size_t first = 0; first < y.size(); first += width) {
    double power = 0;
    for (std::size_t i = 0; i < width; ++i) power += static_cast<double>(residual_[first + i]) * residual_[first + i];
    const auto scale = static_cast<float>(1 / std::sqrt(power / static_cast<double>(width) + shape_.norm_eps));
    for (std::size_t i = 0; i < width; ++i) y[first + i] = residual_[first + i] * scale * weight[i];
  }
  return y;
}

PlainLlama::Rows PlainLlama::product(const lut::LutMatrix& matrix, const Rows& x) {
  const std::size_t rows = whole(matrix.rows);
  const std::size_t width = whole(matrix.columns);
  Rows y(whole(tokens_) * rows);
  threads_->for_each(rows, 16, [&](std::size_t begin, std::size_t end) {
    std::vector<float> weight(width);
    for (std::size_t row = begin; row < end; ++row) {
      matrix.dequantize_row(static_cast<std::int64_t>(row), weight);
      for (std::size_t token = 0; token < whole(tokens_); ++token) {
        const float* input = x.data() + token * width;
        float sum = 0;
        for (std::size_t i = 0; i < width; ++i) sum += weight[i] * input[i];
        y[token * rows + row] = sum;
      }
    }
  });
  return y;
}

void PlainLlama::turn(Rows& x, std::int64_t heads) const {
  const std::int64_t half = shape_.head_dim / 2;
  for (std::int64_t token = 0; token < tokens_; ++token) {
    for (std::int64_t head = 0; head < heads; ++head) {
      float* y = x.data() + (token * heads + head) * shape_.head_dim;
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(token) *
            std::pow(shape_.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(shape_.head_dim));
        const auto cos = static_cast<float>(std::cos(angle));
        const auto sin = static_cast<float>(std::sin(angle));
        const float a = y[i];
        y[i] = a * cos - y[half + i] * sin;
        y[half + i] = y[half + i] * cos + a * sin;
      }
    }
  }
}

PlainLlama::Rows PlainLlama::attend(const Rows& q, const Rows& k, const Rows& v) {
  Rows y(q.size());
  const std::int64_t dim = shape_.head_dim;
  for (std::int64_t token = 0; token < tokens_; ++token) {
    for (std::int64_t head = 0; head < shape_.heads; ++head) {
      const std::int64_t kv_head = head / (shape_.heads / shape_.kv_heads);
      const std::int64_t at = (token * shape_.heads + head) * dim;
      std::vector<float> shares(whole(token + 1));
      float top = -INFINITY;
      for (std::int64_t past = 0; past <= token; ++past) {
        float score = 0;
        for (std::int64_t i = 0; i < dim; ++i)
          score += q[whole(at + i)] * k[whole((past * shape_.kv_heads + kv_head) * dim + i)];
        shares[whole(past)] = score / std::sqrt(static_cast<float>(dim));
        top = std::max(top, shares[whole(past)]);
      }
      float sum = 0;
      for (float& share : shares) {
        share = std::exp(share - top);
        sum += share;
      }
      for (std::int64_t past = 0; past <= token; ++past) {
        for (std::int64_t i = 0; i < dim; ++i)
          y[whole(at + i)] += shares[whole(past)] / sum * v[whole((past * shape_.kv_heads + kv_head) * dim + i)];
      }
    }
  }
  return y;
}

void PlainLlama::run(const PlainLayer& layer) {
  const auto add = [&](const Rows& y) {
    for (std::size_t i = 0; i < y.size(); ++i) residual_[i] += y[i];
  };
  const Rows x = normed(layer.input_norm);
  Rows q = product(layer.q, x);
  Rows k = product(layer.k, x);
  turn(q, shape_.heads);
  turn(k, shape_.kv_heads);
  add(product(layer.o, attend(q, k, product(layer.v, x))));
  const Rows h = normed(layer.post_attention_norm);
  Rows gate = product(layer.gate, h);
  const Rows up = product(layer.up, h);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  add(product(layer.down, gate));
}

std::vector<float> PlainLlama::logits(std::span<const float> norm) {
  const Rows x = normed(norm);
  const std::size_t width = whole(shape_.hidden);
  const std::size_t rows = whole(shape_.vocab);
  Rows y(whole(tokens_) * rows);
  threads_->for_each(rows, 64, [&](std::size_t begin, std::size_t end) {
    std::vector<float> weight(width);
    for (std::size_t row = begin; row < end; ++row) {
      for (std::size_t i = 0; i < width; ++i) weight[i] = core::f16_to_f32(embedding_[row * width + i]);
      for (std::size_t token = 0; token < whole(tokens_); ++token) {
        float sum = 0;
        for (std::size_t i = 0; i < width; ++i) sum += weight[i] * x[token * width + i];
        y[token * rows + row] = sum;
      }
    }
  });
  return y;
}

}  // namespace lutra::cuda::check
