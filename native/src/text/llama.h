#pragma once
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "graph/modules.h"
#include "lut/dense_mul_mat.h"
#include "lut/lut_mul_mat.h"
#include "text/config.h"

namespace lutra::text {

/// A projection as the checkpoint stores it: each decides for itself whether it is quantized.
struct Linear {
  std::unique_ptr<lut::LutMulMat> lut;
  std::unique_ptr<lut::DenseMulMat> dense;
  graph::Tensor bias = nullptr;  // (n_out), or null

  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;  // (n_in, n) -> (n_out, n)
};

struct Attention {
  Linear q_proj, k_proj, v_proj, o_proj;
  std::optional<graph::RMSNorm> q_norm, k_norm;  // over the values of a head (Qwen3)
  const Config* config;

  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor positions, graph::Tensor mask,
                           const graph::Rope& rope) const;
};

struct Mlp {
  Linear gate_proj, up_proj, down_proj;

  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x) const;
};

struct Block {
  graph::RMSNorm input_layernorm;
  Attention self_attn;
  graph::RMSNorm post_attention_layernorm;
  Mlp mlp;

  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor positions, graph::Tensor mask,
                           const graph::Rope& rope) const;
};

/// A Llama-class language model from a Hugging Face folder: Llama 2 to 3.2, Mistral, Qwen2 and Qwen3, with weights in
/// f32, f16 or bf16, in bitsandbytes' 4 bits, or in our own LUT layout. Exact: products and sums in f32.
class Llama {
 public:
  /// Throws `graph::GraphError` with the contract's codes; the message names the file and the tensor or field.
  static std::unique_ptr<Llama> load(const std::string& folder, const graph::Compute& compute);

  [[nodiscard]] const Config& config() const { return config_; }

  /// The logits of every position, row-major (n_tokens, vocab_size). Throws `graph::GraphError`: `bad-input` for a
  /// token that is not in the vocabulary or more tokens than the model was made for, `cancelled`, `out-of-memory`.
  std::vector<float> logits(std::span<const std::int32_t> tokens, const std::stop_token& stop = {});

 private:
  Llama(Config config, core::Safetensors file, const graph::Compute& compute);

  void declare_weights();
  void upload_weights();
  void read_blocks();
  [[nodiscard]] Linear linear(const std::string& prefix, std::int64_t rows, std::int64_t columns) const;
  void forward(graph::GraphBuilder& g, std::int64_t n) const;

  Config config_;
  core::Safetensors file_;
  const graph::Compute* compute_;
  graph::Weights weights_;
  std::vector<Block> layers_;
  Linear lm_head_;
};

}  // namespace lutra::text
