#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/threads.h"
#include "lut/lut_matrix.h"

namespace lutra::cuda::check {

struct Shape {
  std::int64_t hidden = 4096;
  std::int64_t inner = 14336;
  std::int64_t layers = 32;
  std::int64_t heads = 32;
  std::int64_t kv_heads = 8;
  std::int64_t head_dim = 128;
  std::int64_t vocab = 128256;
  float norm_eps = 1e-5F;
  double rope_theta = 500000;
  int bits = 4;
  std::int64_t group_size = 64;
};

/// Small enough for the emulation and for compute-sanitizer, and odd where a real model is even.
constexpr Shape small_shape{
    .hidden = 128, .inner = 192, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 32, .vocab = 320};

/// For a text of several pieces and pages.
constexpr Shape text_shape{
    .hidden = 1024, .inner = 2816, .layers = 4, .heads = 16, .kv_heads = 4, .head_dim = 64, .vocab = 4096, .bits = 3};

struct PlainLayer {
  std::vector<float> input_norm, post_attention_norm;
  lut::LutMatrix q, k, v, o, gate, up, down;
};

/// The forward pass in plain loops of f32 on the processor, a layer at a time, so that no more than one layer's weights
/// are ever in memory.
class PlainLlama {
 public:
  /// `embedding` f16 (vocab, hidden), which is the head, too; it must outlive this.
  PlainLlama(const Shape& shape, std::span<const std::uint16_t> embedding, std::span<const std::int32_t> tokens,
             core::ThreadPool& threads);

  void run(const PlainLayer& layer);
  /// (tokens, vocab)
  std::vector<float> logits(std::span<const float> norm);

 private:
  using Rows = std::vector<float>;  // (tokens, width)

  [[nodiscard]] Rows normed(std::span<const float> weight) const;
  [[nodiscard]] Rows product(const lut::LutMatrix& matrix, const Rows& x);
  void turn(Rows& x, std::int64_t heads) const;
  [[nodiscard]] Rows attend(const Rows& q, const Rows& k, const Rows& v);

  Shape shape_;
  std::span<const std::uint16_t> embedding_;
  core::ThreadPool* threads_;
  std::int64_t tokens_;
  Rows residual_;
};

}  // namespace lutra::cuda::check
