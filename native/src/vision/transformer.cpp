#include "vision/transformer.h"

#include <algorithm>
#include <array>

namespace lutra::vision {
namespace {

/// Patches of a picture (3, height, width) as rows (patches, 3 * patch * patch).
std::vector<float> patches_of(std::span<const float> pixels, std::int64_t height, std::int64_t width,
                              std::int64_t patch) {
  const std::int64_t high = height / patch;
  const std::int64_t wide = width / patch;
  std::vector<float> rows(static_cast<std::size_t>(high * wide * 3 * patch * patch));
  auto to = rows.begin();
  for (std::int64_t row = 0; row < high; ++row) {
    for (std::int64_t column = 0; column < wide; ++column) {
      for (std::int64_t channel = 0; channel < 3; ++channel) {
        for (std::int64_t y = 0; y < patch; ++y) {
          const std::int64_t at = (channel * height + row * patch + y) * width + column * patch;
          to = std::copy_n(pixels.begin() + static_cast<std::ptrdiff_t>(at), patch, to);
        }
      }
    }
  }
  return rows;
}

dense::DenseF32 patch_weight(text::WeightReader& reader, const std::string& name, std::int64_t width,
                             std::int64_t patch) {
  const auto weight = reader.floats(name + ".weight", std::array<std::int64_t, 4>{width, 3, patch, patch});
  std::vector<float> bias;
  if (reader.file().find(name + ".bias") != nullptr) bias = reader.floats(name + ".bias", std::array{width});
  return {weight, bias, dense::Activation::none, width, 3 * patch * patch};
}

}  // namespace

using graph::GraphBuilder;
using graph::Tensor;

VisionBlock read_block(text::WeightReader& reader, const std::string& name, const BlockNames& names,
                       const BlockShape& shape) {
  const std::int64_t width = shape.width;
  const std::string attention = name + names.attention;
  auto norm1 = layer_norm(reader, name + names.norm1, width, shape.eps);
  Linear qkv(reader, {{attention + "q_proj", width}, {attention + "k_proj", width}, {attention + "v_proj", width}},
             width);
  Linear o(reader, {{name + names.o, width}}, width);
  auto norm2 = layer_norm(reader, name + names.norm2, width, shape.eps);
  Linear fc1(reader, {{name + "mlp.fc1", shape.intermediate}}, width, shape.act);
  Linear fc2(reader, {{name + "mlp.fc2", width}}, shape.intermediate);
  return {std::move(norm1), std::move(qkv), std::move(o), std::move(norm2), std::move(fc1), std::move(fc2)};
}

Tensor Transformer::attend(GraphBuilder& g, VisionBlock& block, Tensor x, bool is_uniform) {
  const auto qkv = block.qkv(g, x);
  const std::int64_t head_dim = qkv[0]->ne[0] / heads_;
  const auto heads_of = [&](Tensor y) {
    return ggml_view_3d(g, y, head_dim, heads_, y->ne[1], static_cast<std::size_t>(head_dim) * sizeof(float), y->nb[1],
                        0);
  };
  Tensor q = heads_of(qkv[0]);
  if (is_uniform) q = ggml_scale(g, ggml_cont(g, q), 0.0F);
  Tensor y = attend_(g, q, heads_of(qkv[1]), heads_of(qkv[2]));  // (width, n)
  return block.o.one(g, y);
}

Tensor Transformer::run_block(GraphBuilder& g, VisionBlock& block, Tensor x, bool is_uniform) {
  const auto added = [&](Tensor y, float scale) { return ggml_add(g, x, scale == 1.0F ? y : ggml_scale(g, y, scale)); };
  if (is_post_norm_) {
    x = ggml_add(g, x, block.norm1(g, attend(g, block, x, is_uniform)));
    return ggml_add(g, x, block.norm2(g, block.fc2.one(g, block.fc1.one(g, x))));
  }
  x = added(attend(g, block, block.norm1(g, x), is_uniform), block.attention_scale);
  return added(block.fc2.one(g, block.fc1.one(g, block.norm2(g, x))), block.mlp_scale);
}

std::vector<float> Transformer::operator()(std::vector<float> x, std::int64_t width, std::int64_t count,
                                           const std::optional<dense::ShortSight>& sight, bool is_uniform,
                                           const core::Progress& progress, const Watch& watch) {
  constexpr std::size_t nodes_per_block = 64;
  graph::Runner runner(*compute_, nodes_per_block);
  attend_.set_short_sight(sight);
  attend_.set_stop(progress.stop_token());
  const std::int64_t n = static_cast<std::int64_t>(x.size()) / width;
  if (watch) watch(0, x);
  for (std::int64_t done = 0; done < count; ++done) {
    runner.build([&](GraphBuilder& g) {
      Tensor input = g.input("x", GGML_TYPE_F32, {width, n});
      g.output("y", run_block(g, blocks[static_cast<std::size_t>(done)], input, is_uniform));
    });
    runner.set("x", x);
    runner.compute(progress.stop_token());
    x = runner.get("y");
    if (watch) watch(done + 1, x);
  }
  return x;
}

std::size_t Transformer::size_bytes() const {
  std::size_t bytes = 0;
  for (const VisionBlock& block : blocks) bytes += block.size_bytes();
  return bytes;
}

PatchEmbedding::PatchEmbedding(text::WeightReader& reader, const std::string& name, std::int64_t width,
                               std::int64_t patch)
    : patch_(patch), weight_(patch_weight(reader, name, width, patch)) {}

std::vector<float> PatchEmbedding::operator()(const graph::Compute& compute, std::span<const float> pixels,
                                              std::int64_t height, std::int64_t width,
                                              const core::Progress& progress) const {
  return apply(compute, patches_of(pixels, height, width, patch_), 3 * patch_ * patch_, progress,
               [&](GraphBuilder& g, Tensor x) { return weight_(g, x); });
}

std::vector<float> apply(const graph::Compute& compute, const std::vector<float>& x, std::int64_t columns,
                         const core::Progress& progress, const std::function<Tensor(GraphBuilder&, Tensor)>& module) {
  constexpr std::size_t nodes = 32;
  graph::Runner runner(compute, nodes);
  runner.build([&](GraphBuilder& g) {
    Tensor input = g.input("x", GGML_TYPE_F32, {columns, static_cast<std::int64_t>(x.size()) / columns});
    g.output("y", module(g, input));
  });
  runner.set("x", x);
  runner.compute(progress.stop_token());
  return runner.get("y");
}

}  // namespace lutra::vision
