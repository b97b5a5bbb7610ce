#pragma once
#include "graph/runner.h"

/// The kit that models are written with. A module takes its parameters from a Scope under the checkpoint's own names
/// and is called with a builder and a tensor. Shapes in comments are ggml's: fastest dimension first.
namespace lutra::graph {

struct Linear {
  Tensor weight;  // (n_in, n_out)
  Tensor bias;    // (n_out), or null

  explicit Linear(const Scope& scope) : weight(scope("weight")), bias(scope.optional("bias")) {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;  // (n_in, …) -> (n_out, …)
};

struct Embedding {
  Tensor weight;  // (hidden_size, n_tokens)

  explicit Embedding(const Scope& scope) : weight(scope("weight")) {}
  Tensor operator()(GraphBuilder& g, Tensor ids) const;  // i32 (n) -> (hidden_size, n)
};

struct RMSNorm {
  Tensor weight;  // (hidden_size)
  float eps;

  RMSNorm(const Scope& scope, float epsilon) : weight(scope("weight")), eps(epsilon) {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;
};

struct LayerNorm {
  Tensor weight;  // (hidden_size), or null
  Tensor bias;    // (hidden_size), or null
  float eps;

  LayerNorm(const Scope& scope, float epsilon)
      : weight(scope.optional("weight")), bias(scope.optional("bias")), eps(epsilon) {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;
};

/// Normalises groups of channels of a signal (n_frames, n_channels).
struct GroupNorm {
  Tensor weight;  // (n_channels)
  Tensor bias;    // (n_channels)
  int n_groups;
  float eps;

  GroupNorm(const Scope& scope, int groups, float epsilon)
      : weight(scope("weight")), bias(scope("bias")), n_groups(groups), eps(epsilon) {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;
};

struct Rope {
  int n_dims;
  float freq_base;
  float freq_scale = 1.0F;
  /// Pairs (i, i + n_dims/2), as Hugging Face's checkpoints have them; false: (2i, 2i + 1).
  bool halves = true;
  Tensor freq_factors = nullptr;  // (n_dims / 2), or null

  Tensor operator()(GraphBuilder& g, Tensor x, Tensor positions) const;  // (head_dim, n_heads, n)
};

/// softmax(q k^T * scale + mask) v with grouped heads.
/// q (head_dim, n_q, n_heads), k and v (head_dim, n_kv, n_kv_heads), mask f16 (n_kv, n_q) or null
/// -> (head_dim * n_heads, n_q)
Tensor flash_attention(GraphBuilder& g, Tensor q, Tensor k, Tensor v, Tensor mask, float scale);
/// The same with its score matrix in memory, for devices without the fused op. `mask` may be f16 or f32.
Tensor plain_attention(GraphBuilder& g, Tensor q, Tensor k, Tensor v, Tensor mask, float scale);

/// Multi-head attention of the Llama family: `q_proj`, `k_proj`, `v_proj`, `o_proj`.
struct Attention {
  Linear q_proj, k_proj, v_proj, o_proj;
  int n_heads, n_kv_heads;

  Attention(const Scope& scope, int heads, int kv_heads)
      : q_proj(scope / "q_proj"),
        k_proj(scope / "k_proj"),
        v_proj(scope / "v_proj"),
        o_proj(scope / "o_proj"),
        n_heads(heads),
        n_kv_heads(kv_heads) {}
  /// x (hidden_size, n); positions i32 (n); mask f16 (n, n) or null.
  Tensor operator()(GraphBuilder& g, Tensor x, Tensor positions, Tensor mask, const Rope& rope) const;
};

/// down(silu(gate(x)) * up(x)): `gate_proj`, `up_proj`, `down_proj`.
struct SwiGLU {
  Linear gate_proj, up_proj, down_proj;

  explicit SwiGLU(const Scope& scope)
      : gate_proj(scope / "gate_proj"), up_proj(scope / "up_proj"), down_proj(scope / "down_proj") {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;
};

/// 1-D convolution in full f32: ggml_conv_1d would round its columns to f16.
struct Conv1d {
  Tensor weight;  // (kernel, n_in, n_out)
  Tensor bias;    // (n_out), or null
  int stride, padding, dilation;

  Conv1d(const Scope& scope, int conv_stride, int conv_padding, int conv_dilation)
      : weight(scope("weight")),
        bias(scope.optional("bias")),
        stride(conv_stride),
        padding(conv_padding),
        dilation(conv_dilation) {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;  // (n_frames, n_in) -> (n_frames', n_out)
};

/// Transposed 1-D convolution as a matrix product and a scatter, which every device has.
/// `weight_columns` is not the checkpoint's tensor but its permutation, see transposed_columns().
struct ConvTranspose1d {
  Tensor weight_columns;  // (n_in, kernel * n_out)
  Tensor bias;            // (n_out), or null
  int n_out, stride, padding;

  ConvTranspose1d(Tensor columns, Tensor conv_bias, int out_channels, int conv_stride, int conv_padding)
      : weight_columns(columns), bias(conv_bias), n_out(out_channels), stride(conv_stride), padding(conv_padding) {}
  Tensor operator()(GraphBuilder& g, Tensor x) const;  // (n_frames, n_in) -> (n_frames', n_out)
};

/// Re-lays a transposed convolution's weight, (n_in, n_out, kernel) in the checkpoint's order, to (n_out, kernel,
/// n_in).
std::vector<float> transposed_columns(std::span<const float> weight, int64_t n_in, int64_t n_out, int64_t kernel);

/// x + sin(alpha x)^2 / beta, per channel. GPUs fuse this very sequence of nodes.
/// x (n_frames, n_channels); alpha and inverse_beta f32 (1, n_channels).
Tensor snake(GraphBuilder& g, Tensor x, Tensor alpha, Tensor inverse_beta);

}  // namespace lutra::graph
