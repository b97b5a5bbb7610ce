#include "reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lutra::testing {

namespace {
int64_t length(const Values& values) { return static_cast<int64_t>(values.size()); }
}  // namespace

Values matrix_product(const Values& w, const Values& x, int64_t k) {
  const int64_t m = length(w) / k;
  const int64_t n = length(x) / k;
  Values y;
  for (int64_t column = 0; column < n; ++column) {
    for (int64_t row = 0; row < m; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i) sum += w[row * k + i] * x[column * k + i];
      y.push_back(sum);
    }
  }
  return y;
}

Values map(const Values& x, const std::function<double(double)>& function) {
  Values y = x;
  for (double& value : y) value = function(value);
  return y;
}

Values zip(const Values& a, const Values& b, const std::function<double(double, double)>& function) {
  Values y = a;
  for (size_t i = 0; i < y.size(); ++i) y[i] = function(a[i], b[i % b.size()]);
  return y;
}

Values rms_norm(const Values& x, int64_t row, double eps) {
  Values y = x;
  for (int64_t start = 0; start < length(x); start += row) {
    double sum = 0;
    for (int64_t i = start; i < start + row; ++i) sum += x[i] * x[i];
    const double scale = 1 / std::sqrt(sum / static_cast<double>(row) + eps);
    for (int64_t i = start; i < start + row; ++i) y[i] *= scale;
  }
  return y;
}

Values layer_norm(const Values& x, int64_t row, double eps) {
  Values centred = x;
  for (int64_t start = 0; start < length(x); start += row) {
    double sum = 0;
    for (int64_t i = start; i < start + row; ++i) sum += x[i];
    for (int64_t i = start; i < start + row; ++i) centred[i] -= sum / static_cast<double>(row);
  }
  return rms_norm(centred, row, eps);
}

Values soft_max(const Values& x, int64_t row) {
  Values y = x;
  for (int64_t start = 0; start < length(x); start += row) {
    const double top = *std::max_element(x.begin() + start, x.begin() + start + row);
    double sum = 0;
    for (int64_t i = start; i < start + row; ++i) sum += y[i] = std::exp(x[i] - top);
    for (int64_t i = start; i < start + row; ++i) y[i] /= sum;
  }
  return y;
}

double silu(double x) { return x / (1 + std::exp(-x)); }
double gelu_erf(double x) { return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

Values rope(const Values& x, const std::vector<double>& positions, const Values& freq_factors, const RopeShape& shape) {
  Values y = x;
  const auto [head_dim, n_heads, n, n_dims, freq_base, halves] = shape;
  for (int64_t position = 0; position < n; ++position) {
    for (int64_t head = 0; head < n_heads; ++head) {
      const int64_t start = (position * n_heads + head) * head_dim;
      for (int64_t pair = 0; pair < n_dims / 2; ++pair) {
        const double factor = freq_factors.empty() ? 1 : freq_factors[pair];
        const double angle = positions[position] *
                             std::pow(freq_base, -2.0 * static_cast<double>(pair) / static_cast<double>(n_dims)) /
                             factor;
        const int64_t a = start + (halves ? pair : 2 * pair);
        const int64_t b = halves ? a + n_dims / 2 : a + 1;
        y[a] = x[a] * std::cos(angle) - x[b] * std::sin(angle);
        y[b] = x[a] * std::sin(angle) + x[b] * std::cos(angle);
      }
    }
  }
  return y;
}

Values attention(const Values& q, const Values& k, const Values& v, const Values& mask, const AttentionShape& shape) {
  const auto [d, n_heads, n_kv_heads, n_q, n_kv] = shape;
  Values y(static_cast<size_t>(d * n_heads * n_q));
  for (int64_t head = 0; head < n_heads; ++head) {
    const int64_t kv_head = head / (n_heads / n_kv_heads);
    for (int64_t row = 0; row < n_q; ++row) {
      Values scores;
      for (int64_t column = 0; column < n_kv; ++column) {
        double sum = 0;
        for (int64_t i = 0; i < d; ++i) sum += q[(head * n_q + row) * d + i] * k[(kv_head * n_kv + column) * d + i];
        scores.push_back(sum / std::sqrt(static_cast<double>(d)) + (mask.empty() ? 0 : mask[row * n_kv + column]));
      }
      const Values weights = soft_max(scores, n_kv);
      for (int64_t i = 0; i < d; ++i) {
        double sum = 0;
        for (int64_t column = 0; column < n_kv; ++column) sum += weights[column] * v[(kv_head * n_kv + column) * d + i];
        y[(row * n_heads + head) * d + i] = sum;
      }
    }
  }
  return y;
}

Values conv1d(const Values& x, const Values& w, const ConvShape& shape) {
  const auto [n_frames, n_in, n_out, kernel, stride, padding, dilation] = shape;
  const int64_t n_result = (n_frames + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  Values y;
  for (int64_t out = 0; out < n_out; ++out) {
    for (int64_t frame = 0; frame < n_result; ++frame) {
      double sum = 0;
      for (int64_t in = 0; in < n_in; ++in) {
        for (int64_t tap = 0; tap < kernel; ++tap) {
          const int64_t at = frame * stride - padding + tap * dilation;
          if (at >= 0 && at < n_frames) sum += x[in * n_frames + at] * w[(out * n_in + in) * kernel + tap];
        }
      }
      y.push_back(sum);
    }
  }
  return y;
}

Values conv_transpose1d(const Values& x, const Values& w, const ConvShape& shape) {
  const auto [n_frames, n_in, n_out, kernel, stride, padding, dilation] = shape;
  const int64_t n_result = (n_frames - 1) * stride + kernel - 2 * padding;
  Values y(static_cast<size_t>(n_result * n_out));
  for (int64_t in = 0; in < n_in; ++in) {
    for (int64_t out = 0; out < n_out; ++out) {
      for (int64_t frame = 0; frame < n_frames; ++frame) {
        for (int64_t tap = 0; tap < kernel; ++tap) {
          const int64_t at = frame * stride + tap * dilation - padding;
          if (at < 0 || at >= n_result) continue;
          y[out * n_result + at] += x[in * n_frames + frame] * w[(in * n_out + out) * kernel + tap];
        }
      }
    }
  }
  return y;
}

Values swap_outer(const Values& x, int64_t a, int64_t b, int64_t c) {
  Values y;
  for (int64_t j = 0; j < b; ++j) {
    for (int64_t k = 0; k < c; ++k) {
      for (int64_t i = 0; i < a; ++i) y.push_back(x[(k * b + j) * a + i]);
    }
  }
  return y;
}

Values transpose(const Values& x, int64_t a, int64_t b) {
  Values y;
  for (int64_t i = 0; i < a; ++i) {
    for (int64_t j = 0; j < b; ++j) y.push_back(x[j * a + i]);
  }
  return y;
}

}  // namespace lutra::testing
