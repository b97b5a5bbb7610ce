#pragma once
#include <vector>

#include "text/attention.h"
#include "vision/cross_attention.h"

namespace lutra::vision {

/// mPLUG-Owl3's hyper attention, which its config does not name but its tensors show.
enum class HyperKind {
  gated,  ///< 240728: text and pictures are attended to apart, and a sigmoid per channel blends the two
  joint,  ///< 241014, 241101: one softmax over pictures and text
};

/// The attention of a hyper layer: a text model's own, and to the pictures that each token sees. A picture's keys are
/// kept as they were made, so that they serve wherever the picture stands in a text; what turns them to that place
/// turns the queries back instead, for all keys of a picture stand at one place.
class HyperAttend {
 public:
  /// `gate`: the sigmoids (hidden_size), of HyperKind::gated. All must outlive this.
  HyperAttend(HyperKind kind, const text::Config& config, const CrossStep& step, std::int64_t layer,
              const std::vector<float>& gate);

  /// queries (head_dim * n_heads, n), turned and scaled by `own`'s part before it -> like them
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor queries, const text::Attend& own);
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  struct Rows;
  void attend_pictures(Rows& rows, std::int64_t kv_head) const;
  void attend_text(Rows& rows, std::int64_t kv_head) const;

  HyperKind kind_;
  const text::Config* config_;
  const CrossStep* step_;
  std::int64_t layer_;  ///< among the hyper layers
  const std::vector<float>* gate_;
  const text::Attend* own_ = nullptr;
  const text::AttentionKernels* kernels_;
};

/// Cosines (head_dim / 2) and sines (head_dim / 2) that turn a head to a position.
std::vector<float> turn_of(const text::Config& config, std::int64_t position);

/// Puts what `v_kv_proj` makes, head by head a key and a value, in a picture's place.
class StoreHyper {
 public:
  StoreHyper(const CrossShape& shape, const KeysTarget& target, std::int64_t layer)
      : shape_(&shape), target_(&target), layer_(layer) {}

  /// kv (2 * head_dim * n_kv_heads, n) -> a single value that says nothing
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor kv) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  const CrossShape* shape_;
  const KeysTarget* target_;
  std::int64_t layer_;
};

}  // namespace lutra::vision
