#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "dense/attention.h"
#include "graph/runner.h"
#include "vision/linear.h"

namespace lutra::vision {

/// One block of a vision transformer, its modules under whatever names a checkpoint has for them.
struct VisionBlock {
  dense::LayerNorm norm1;
  Linear qkv;
  Linear o;
  dense::LayerNorm norm2;
  Linear fc1;  ///< with the activation
  Linear fc2;
  float attention_scale = 1;  ///< of a gated residual
  float mlp_scale = 1;

  [[nodiscard]] std::size_t size_bytes() const {
    return qkv.size_bytes() + o.size_bytes() + fc1.size_bytes() + fc2.size_bytes();
  }
};

/// What checkpoints call a block's modules, behind the block's own name.
struct BlockNames {
  std::string norm1;
  std::string attention;  ///< before "q_proj", "k_proj" and "v_proj"
  std::string o;
  std::string norm2;
};
struct BlockShape {
  std::int64_t width;
  std::int64_t intermediate;
  double eps;
  dense::Activation act;
};

/// Throws GraphError that names the tensor.
VisionBlock read_block(text::WeightReader& reader, const std::string& name, const BlockNames& names,
                       const BlockShape& shape);

/// Runs blocks over a sequence of tokens, one graph for each, so that work between them can be seen, told of and
/// stopped, and memory is that of one block. Not for two threads at once.
class Transformer {
 public:
  Transformer(const graph::Compute& compute, std::int64_t heads, bool is_post_norm = false)
      : compute_(&compute), heads_(heads), is_post_norm_(is_post_norm) {}

  std::vector<VisionBlock> blocks;

  /// Called with the number of finished blocks and the state after them, (n, width) row-major.
  using Watch = std::function<void(std::int64_t done, const std::vector<float>& x)>;

  /// x (n, width) -> the state after the first `count` blocks. `sight`: what the later tokens see;
  /// `is_uniform`: every token is the mean of all values, as where a mask hides everything.
  /// Throws GraphError `cancelled`, `out-of-memory`.
  std::vector<float> operator()(std::vector<float> x, std::int64_t width, std::int64_t count,
                                const std::optional<dense::ShortSight>& sight, bool is_uniform,
                                const core::Progress& progress, const Watch& watch = {});

  [[nodiscard]] std::size_t size_bytes() const;

 private:
  graph::Tensor attend(graph::GraphBuilder& g, VisionBlock& block, graph::Tensor x, bool is_uniform);
  graph::Tensor run_block(graph::GraphBuilder& g, VisionBlock& block, graph::Tensor x, bool is_uniform);

  const graph::Compute* compute_;
  std::int64_t heads_;
  bool is_post_norm_;
  dense::Attend attend_;
};

/// The convolution that makes tokens of patches: `<name>.weight` (width, 3, patch, patch), `<name>.bias` or none.
class PatchEmbedding {
 public:
  PatchEmbedding(text::WeightReader& reader, const std::string& name, std::int64_t width, std::int64_t patch);

  /// Pixels (3, height, width) -> (patches, width), from the top left
  std::vector<float> operator()(const graph::Compute& compute, std::span<const float> pixels, std::int64_t height,
                                std::int64_t width, const core::Progress& progress) const;

 private:
  std::int64_t patch_;
  dense::DenseF32 weight_;
};

/// Rows (n, columns) through a module, in a graph of its own.
std::vector<float> apply(const graph::Compute& compute, const std::vector<float>& x, std::int64_t columns,
                         const core::Progress& progress,
                         const std::function<graph::Tensor(graph::GraphBuilder&, graph::Tensor)>& module);

}  // namespace lutra::vision
