#pragma once
#include <cstdint>
#include <functional>
#include <vector>

/// Plain loops in f64, against which the devices are held. Shapes in ggml's order, fastest dimension first.
namespace lutra::testing {

using Values = std::vector<double>;

/// w (k, m) x (k, n) -> (m, n)
Values matrix_product(const Values& w, const Values& x, int64_t k);
Values map(const Values& x, const std::function<double(double)>& function);
/// `b` is repeated along `a`.
Values zip(const Values& a, const Values& b, const std::function<double(double, double)>& function);
Values rms_norm(const Values& x, int64_t row, double eps);
Values layer_norm(const Values& x, int64_t row, double eps);
/// Rows of `row` values.
Values soft_max(const Values& x, int64_t row);
double silu(double x);
double gelu_erf(double x);
double gelu_tanh(double x);

struct RopeShape {
  int64_t head_dim, n_heads, n, n_dims;
  double freq_base;
  bool halves;
};
/// x (head_dim, n_heads, n)
Values rope(const Values& x, const std::vector<double>& positions, const Values& freq_factors, const RopeShape& shape);

struct AttentionShape {
  int64_t head_dim, n_heads, n_kv_heads, n_q, n_kv;
};
/// q (head_dim, n_q, n_heads), k and v (head_dim, n_kv, n_kv_heads), mask (n_kv, n_q) or empty
/// -> (head_dim * n_heads, n_q)
Values attention(const Values& q, const Values& k, const Values& v, const Values& mask, const AttentionShape& shape);

struct ConvShape {
  int64_t n_frames, n_in, n_out, kernel, stride, padding, dilation;
};
/// x (n_frames, n_in), w (kernel, n_in, n_out) -> (n_frames', n_out)
Values conv1d(const Values& x, const Values& w, const ConvShape& shape);
/// x (n_frames, n_in), w (kernel, n_out, n_in) -> ((n_frames - 1) * stride + kernel - 2 * padding, n_out)
Values conv_transpose1d(const Values& x, const Values& w, const ConvShape& shape);

/// (a, b, c) -> (a, c, b)
Values swap_outer(const Values& x, int64_t a, int64_t b, int64_t c);
/// (a, b) -> (b, a)
Values transpose(const Values& x, int64_t a, int64_t b);

}  // namespace lutra::testing
