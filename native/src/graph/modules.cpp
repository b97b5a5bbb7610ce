#include "graph/modules.h"

#include <cmath>

namespace lutra::graph {

namespace {

/// (n_frames, n_channels) + (n_channels)
Tensor add_per_channel(GraphBuilder& g, Tensor x, Tensor bias) {
  return bias == nullptr ? x : ggml_add(g, x, ggml_reshape_2d(g, bias, 1, bias->ne[0]));
}

}  // namespace

Tensor Linear::operator()(GraphBuilder& g, Tensor x) const {
  Tensor y = ggml_mul_mat(g, weight, x);
  return bias == nullptr ? y : ggml_add(g, y, bias);
}

Tensor Embedding::operator()(GraphBuilder& g, Tensor ids) const { return ggml_get_rows(g, weight, ids); }

Tensor RMSNorm::operator()(GraphBuilder& g, Tensor x) const { return ggml_mul(g, ggml_rms_norm(g, x, eps), weight); }

Tensor LayerNorm::operator()(GraphBuilder& g, Tensor x) const {
  Tensor y = ggml_norm(g, x, eps);
  if (weight != nullptr) y = ggml_mul(g, y, weight);
  return bias == nullptr ? y : ggml_add(g, y, bias);
}

Tensor GroupNorm::operator()(GraphBuilder& g, Tensor x) const {
  const int64_t n_frames = x->ne[0];
  const int64_t n_channels = x->ne[1];
  Tensor y = ggml_group_norm(g, ggml_reshape_3d(g, x, n_frames, 1, n_channels), n_groups, eps);
  y = ggml_mul(g, ggml_reshape_2d(g, y, n_frames, n_channels), ggml_reshape_2d(g, weight, 1, n_channels));
  return add_per_channel(g, y, bias);
}

Tensor Rope::operator()(GraphBuilder& g, Tensor x, Tensor positions) const {
  const int mode = halves ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL;
  return ggml_rope_ext(g, x, positions, freq_factors, n_dims, mode, 0, freq_base, freq_scale, 0.0F, 1.0F, 0.0F, 0.0F);
}

Tensor flash_attention(GraphBuilder& g, Tensor q, Tensor k, Tensor v, Tensor mask, float scale) {
  Tensor y = ggml_flash_attn_ext(g, q, k, v, mask, scale, 0.0F, 0.0F);  // (head_dim, n_heads, n_q)
  ggml_prec_set_acc(y, GGML_PREC_F32);
  return ggml_reshape_2d(g, y, y->ne[0] * y->ne[1], y->ne[2]);
}

Tensor plain_attention(GraphBuilder& g, Tensor q, Tensor k, Tensor v, Tensor mask, float scale) {
  Tensor scores = ggml_mul_mat(g, k, q);  // (n_kv, n_q, n_heads)
  scores = ggml_soft_max_ext(g, scores, mask, scale, 0.0F);
  Tensor v_by_position = ggml_cont(g, ggml_transpose(g, v));  // (n_kv, head_dim, n_kv_heads)
  Tensor y = ggml_mul_mat(g, v_by_position, scores);          // (head_dim, n_q, n_heads)
  y = ggml_cont(g, ggml_permute(g, y, 0, 2, 1, 3));           // (head_dim, n_heads, n_q)
  return ggml_reshape_2d(g, y, y->ne[0] * y->ne[1], y->ne[2]);
}

Tensor Attention::operator()(GraphBuilder& g, Tensor x, Tensor positions, Tensor mask, const Rope& rope) const {
  const int64_t n = x->ne[1];
  const auto heads = [&](const Linear& projection, int count) {
    Tensor y = projection(g, x);
    return ggml_reshape_3d(g, y, y->ne[0] / count, count, n);  // (head_dim, count, n)
  };
  Tensor q = rope(g, heads(q_proj, n_heads), positions);
  Tensor k = rope(g, heads(k_proj, n_kv_heads), positions);
  Tensor v = heads(v_proj, n_kv_heads);
  const float scale = 1.0F / std::sqrt(static_cast<float>(q->ne[0]));
  const auto by_head = [&](Tensor y) { return ggml_permute(g, y, 0, 2, 1, 3); };  // (head_dim, n, count)
  return o_proj(g, flash_attention(g, by_head(q), by_head(k), by_head(v), mask, scale));
}

Tensor SwiGLU::operator()(GraphBuilder& g, Tensor x) const {
  return down_proj(g, ggml_swiglu_split(g, gate_proj(g, x), up_proj(g, x)));
}

Tensor Conv1d::operator()(GraphBuilder& g, Tensor x) const {
  const int64_t kernel = weight->ne[0];
  const int64_t n_in = weight->ne[1];
  const int64_t n_out = weight->ne[2];
  Tensor columns = ggml_im2col(g, weight, x, stride, 0, padding, 0, dilation, 0, false, GGML_TYPE_F32);
  columns = ggml_reshape_2d(g, columns, kernel * n_in, columns->ne[1]);  // (kernel * n_in, n_frames')
  Tensor matrix = ggml_reshape_2d(g, weight, kernel * n_in, n_out);
  // ggml's matrix product takes anything as its first source, but only f32 as its second.
  Tensor y = weight->type == GGML_TYPE_F32
                 ? ggml_mul_mat(g, columns, matrix)
                 : ggml_cont(g, ggml_transpose(g, ggml_mul_mat(g, matrix, columns)));  // (n_frames', n_out)
  return add_per_channel(g, y, bias);
}

Tensor ConvTranspose1d::operator()(GraphBuilder& g, Tensor x) const {
  Tensor by_frame = ggml_cont(g, ggml_transpose(g, x));           // (n_in, n_frames)
  Tensor columns = ggml_mul_mat(g, weight_columns, by_frame);     // (kernel * n_out, n_frames)
  Tensor y = ggml_col2im_1d(g, columns, stride, n_out, padding);  // (n_frames', n_out)
  return add_per_channel(g, y, bias);
}

std::vector<float> transposed_columns(std::span<const float> weight, int64_t n_in, int64_t n_out, int64_t kernel) {
  std::vector<float> columns(weight.size());
  for (int64_t i = 0; i < n_in; ++i) {
    for (int64_t o = 0; o < n_out; ++o) {
      for (int64_t t = 0; t < kernel; ++t) {
        columns[static_cast<size_t>((o * kernel + t) * n_in + i)] =
            weight[static_cast<size_t>((i * n_out + o) * kernel + t)];
      }
    }
  }
  return columns;
}

Tensor snake(GraphBuilder& g, Tensor x, Tensor alpha, Tensor inverse_beta) {
  Tensor wave = ggml_sqr(g, ggml_sin(g, ggml_mul(g, x, alpha)));
  return ggml_add(g, x, ggml_mul(g, wave, inverse_beta));
}

}  // namespace lutra::graph
