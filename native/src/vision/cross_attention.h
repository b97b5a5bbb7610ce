#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "text/attention.h"

namespace lutra::vision {

/// Keys and values of one picture for every cross-attention layer: made once, read by every question about it.
class PictureKeys {
 public:
  /// Throws `std::bad_alloc`.
  PictureKeys(text::CacheShape shape, std::int64_t layers, std::int64_t tokens);

  [[nodiscard]] const text::Cache& cache() const { return cache_; }
  [[nodiscard]] text::Cache& cache() { return cache_; }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  /// Those that stand for something: mllama keeps empty tiles, which a few tokens see.
  [[nodiscard]] std::int64_t real_tokens() const { return real_tokens_; }
  void set_real_tokens(std::int64_t tokens) { real_tokens_ = tokens; }
  [[nodiscard]] std::size_t size_bytes() const { return cache_.size_bytes(); }

 private:
  text::Cache cache_;
  std::int64_t tokens_;
  std::int64_t real_tokens_;
};

using Pictures = std::vector<std::shared_ptr<const PictureKeys>>;

/// What a token of the text attends to.
struct Sight {
  /// Positions `first` to `end` of a picture, by its place in the prompt.
  struct Span {
    std::int64_t picture;
    std::int64_t first;
    std::int64_t end;
    bool operator==(const Span&) const = default;
  };
  std::vector<Span> spans;
  /// False: the block's feed-forward branch is left out (mllama, for tokens that no picture was meant for).
  bool has_feed_forward = true;
  bool operator==(const Sight&) const = default;
};

/// A text as cross-attention reads it. Places are positions in the text model's cache.
struct Reading {
  std::vector<Sight> sights;            ///< the different ones
  std::vector<std::size_t> sight_of;    ///< of each token
  std::vector<std::int32_t> media_row;  ///< of each token: the row of the media embedding in its place, or -1
  Sight after;                          ///< of what is written after the text
  /// Of each picture, where a family turns keys to a picture's place in the text: see turn_of. Empty elsewhere.
  std::vector<std::vector<float>> picture_turns;

  [[nodiscard]] const Sight& at(std::int64_t position) const {
    return static_cast<std::size_t>(position) < sight_of.size() ? sights[sight_of[static_cast<std::size_t>(position)]]
                                                                : after;
  }
  /// Another token that sees this.
  void add(const Sight& sight, std::int32_t row = -1);
};

/// What the blocks of a session look at while a graph runs.
struct CrossStep {
  const text::Step* step = nullptr;  ///< where the tokens of the run are
  Reading reading;
  Pictures pictures;
};

/// The shape of cross-attention in a model.
struct CrossShape {
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t zero_vectors = 0;  ///< places with key and value 0 that every token sees
};

/// Attention of text tokens to what each of them sees; 0 for those that see nothing.
class CrossAttend {
 public:
  /// `q_norm` (head_dim), an RMSNorm over each head, or empty. All must outlive this.
  CrossAttend(const CrossShape& shape, const CrossStep& step, std::int64_t layer, const std::vector<float>& q_norm,
              double eps);

  /// q (head_dim * n_heads, n), contiguous -> like it
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor q) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  void attend_rows(ggml_tensor* dst, std::int64_t kv_head, std::int64_t begin, int count) const;
  void prepare(const float* query, float* target) const;

  const CrossShape* shape_;
  const CrossStep* step_;
  std::int64_t layer_;
  const std::vector<float>* q_norm_;
  double eps_;
  const text::AttentionKernels* kernels_;
};

/// x + scale * y; without y for tokens whose feed-forward branch is left out, where there is a step.
class GatedAdd {
 public:
  explicit GatedAdd(float scale, const CrossStep* step = nullptr) : scale_(scale), step_(step) {}

  /// x and y (hidden_size, n), contiguous -> like them
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor y) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  float scale_;
  const CrossStep* step_;
};

/// Where keys and values go.
struct KeysTarget {
  PictureKeys* keys = nullptr;
  std::int64_t first = 0;  ///< position of the first token
};

/// Puts a layer's keys, normed per head where there is a norm, and values in a picture's place.
class StorePicture {
 public:
  StorePicture(const CrossShape& shape, const KeysTarget& target, std::int64_t layer, const std::vector<float>& k_norm,
               double eps)
      : shape_(&shape), target_(&target), layer_(layer), k_norm_(&k_norm), eps_(eps) {}

  /// k and v (head_dim * n_kv_heads, n); rows may lie apart -> a single value that says nothing
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor k, graph::Tensor v) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

 private:
  const CrossShape* shape_;
  const KeysTarget* target_;
  std::int64_t layer_;
  const std::vector<float>* k_norm_;
  double eps_;
};

}  // namespace lutra::vision
