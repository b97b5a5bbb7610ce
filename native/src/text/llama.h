#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/safetensors.h"
#include "core/threads.h"
#include "graph/modules.h"
#include "text/attention.h"
#include "text/config.h"
#include "text/projections.h"

namespace lutra::text {

struct SelfAttention {
  Projections qkv_proj;
  Projections o_proj;
  graph::Tensor q_norm, k_norm;  // (head_dim), over the values of a head (Qwen3), or null
};

struct Mlp {
  Projections gate_up_proj;
  Projections down_proj;
};

struct Block {
  graph::RMSNorm input_layernorm;
  SelfAttention self_attn;
  graph::RMSNorm post_attention_layernorm;
  Mlp mlp;
};

/// What a session lets a layer do.
struct LayerAttention {
  StoreKeys store;
  Attend attend;
};

/// Where a text model lies within a checkpoint.
struct LlamaSource {
  Config config;
  core::Safetensors file;
  std::string folder;            ///< for formats that keep numbers in files of their own
  std::string model = "model.";  ///< before `embed_tokens`, `layers` and `norm`
  std::string head = "lm_head";
  std::vector<std::int64_t> layers = {};  ///< each layer's number in the checkpoint; empty: 0, 1, 2, …
  bool has_head = true;                   ///< else only layers, and others go on from their residual stream
};

/// Looks at the residual stream (hidden_size, n) that a layer hands on, and gives what goes to the next one.
using ResidualTap = std::function<graph::Tensor(graph::GraphBuilder& g, std::int64_t layer, graph::Tensor x)>;

/// A layer's attention: queries (head_dim * n_heads, n), turned and scaled, their keys already in the cache; `own` is
/// what it does by itself. Gives the like of the queries.
using AttentionTap =
    std::function<graph::Tensor(graph::GraphBuilder& g, std::int64_t layer, graph::Tensor queries, const Attend& own)>;

/// A Llama-class language model from a Hugging Face folder: Llama 2 to 3.2, Mistral, Qwen2 and Qwen3, with weights in
/// f32, f16 or bf16, in bitsandbytes' 4 bits, FLUTE, HIGGS, or our own LUT layout.
/// In fast mode 16-bit projections and the head are kept in 8 bits (Q8_0); in exact mode they stay as they lie.
class Llama {
 public:
  /// Throws `graph::GraphError` with the contract's codes; the message names the file and the tensor or field.
  /// `progress` counts bytes of weights.
  static std::unique_ptr<Llama> load(const std::string& folder, const graph::Compute& compute, lut::Precision precision,
                                     const core::Progress& progress = {});
  /// A text model within a larger checkpoint.
  static std::unique_ptr<Llama> load(LlamaSource source, const graph::Compute& compute, lut::Precision precision,
                                     const core::Progress& progress = {});

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const graph::Compute& compute() const { return *compute_; }
  [[nodiscard]] lut::Precision precision() const { return precision_; }
  /// Packed weights and those used as they lie in the file.
  [[nodiscard]] std::size_t weight_bytes() const { return weight_bytes_; }
  /// `lutra 4-bit avx512 int8`, for people.
  [[nodiscard]] std::string kernel() const;

  /// The graph of `n` tokens: input `ids` i32 (n); output `logits` (vocab_size, n), or (vocab_size, 1) of the last; of
  /// a model without a head `residual` (hidden_size, n).
  /// `before` may put blocks of its own before each layer and, as layer `num_hidden_layers`, after the last; `attend`
  /// stands in the place of a layer's attention.
  void forward(graph::GraphBuilder& g, std::int64_t n, std::span<const LayerAttention> layers, bool all_logits,
               const ResidualTap& tap = {}, const ResidualTap& before = {}, const AttentionTap& attend = {});
  [[nodiscard]] bool has_head() const { return lm_head_.has_value(); }
  /// Begins to add up the inputs of every packed projection, for a quantizer.
  void observe(AllStatistics& all);
  /// The attention parts of every layer over a cache.
  [[nodiscard]] std::vector<LayerAttention> attention_over(Cache& cache, const Step& step) const;

 private:
  class Loader;
  /// Rows of the embedding, read where they lie in the file.
  class Embedding {
   public:
    explicit Embedding(core::TensorView weight) : weight_(std::move(weight)) {}
    graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor ids) const;  // i32 (n) -> (hidden_size, n)
    void run(ggml_tensor* dst, int ith, int nth) const noexcept;

   private:
    core::TensorView weight_;
  };

  Llama(Config config, core::Safetensors file, const graph::Compute& compute, lut::Precision precision);

  Config config_;
  core::Safetensors file_;
  const graph::Compute* compute_;
  lut::Precision precision_;
  graph::Weights weights_;  // norms and biases, f32
  std::size_t weight_bytes_ = 0;
  int bits_ = 16;  // of the first quantized projection
  std::optional<Embedding> embed_tokens_;
  std::vector<Block> layers_;
  std::optional<graph::RMSNorm> norm_;
  std::optional<Projections> lm_head_;
};

}  // namespace lutra::text
