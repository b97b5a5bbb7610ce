#include "audio/dit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "graph/need.h"

namespace lutra::audio {

using graph::GraphBuilder;
using graph::GraphError;
using graph::Tensor;

namespace {

constexpr std::size_t tensors_per_block = 32;
constexpr std::size_t nodes_per_block = 96;
constexpr std::size_t other_tensors = 64;
constexpr float norm_eps = 1e-5F;     // torch's own, and the original's
constexpr float qk_norm_eps = 1e-6F;  // as stable-audio-tools sets it
constexpr float rotary_base = 10'000;

std::int64_t count_blocks(const Checkpoint& checkpoint) {
  std::int64_t n = 0;
  constexpr std::int64_t most = 1000;
  while (n < most && checkpoint.find_dit("transformer_blocks." + std::to_string(n) + ".attn1.to_out.0.weight")) ++n;
  if (n == 0) static_cast<void>(checkpoint.dit("transformer_blocks.0.attn1.to_out.0.weight"));
  return n;
}

[[noreturn]] void wrong_shape(const std::string& name) {
  throw GraphError("bad-file", "The tensor \"" + name + "\" has a shape that does not go with the others.",
                   "Get the model's files again.", name);
}

}  // namespace

/// Takes the transformer's tensors, each of the shape that those before it ask for.
class Dit::Loader {
 public:
  Loader(Dit& dit, const Checkpoint& checkpoint, const core::Progress& progress)
      : dit_(&dit), checkpoint_(&checkpoint), progress_(&progress) {}

  /// `rows` or `columns` 0: whatever the file has.
  Dense dense(const std::string& name, std::int64_t rows, std::int64_t columns) {
    core::TensorView weight = checkpoint_->dit(name + ".weight");
    const std::int64_t n_rows = weight.shape.empty() ? 0 : weight.shape[0];
    if (n_rows == 0 || (rows != 0 && n_rows != rows) || (columns != 0 && weight.elements() / n_rows != columns))
      wrong_shape(name + ".weight");
    const auto bias = checkpoint_->find_dit(name + ".bias");
    return dit_->parameters_.dense(name, weight, bias ? &*bias : nullptr, *progress_);
  }
  Norm norm(const std::string& name, std::int64_t width, float eps) {
    const std::array<std::int64_t, 1> shape = {width};
    Tensor weight = dit_->parameters_.tensor(name + ".weight", checkpoint_->dit(name + ".weight", shape));
    Tensor bias = nullptr;
    if (checkpoint_->find_dit(name + ".bias"))
      bias = dit_->parameters_.tensor(name + ".bias", checkpoint_->dit(name + ".bias", shape));
    return {weight, bias, eps};
  }
  Attention attention(const std::string& name, std::int64_t context_width) {
    const std::int64_t head_dim = dit_->head_dim_;
    const std::int64_t kv_width = checkpoint_->dit(name + ".to_k.weight").shape[0];
    if (kv_width % head_dim != 0 || dit_->width_ % kv_width != 0) wrong_shape(name + ".to_k.weight");
    Dense q = dense(name + ".to_q", dit_->width_, dit_->width_);
    Dense k = dense(name + ".to_k", kv_width, context_width);
    Dense v = dense(name + ".to_v", kv_width, context_width);
    Dense out = dense(name + ".to_out.0", dit_->width_, dit_->width_);
    Attention result{std::move(q), std::move(k), std::move(v), std::move(out), {}, {}};
    if (checkpoint_->find_dit(name + ".norm_q.weight")) result.q_norm = norm(name + ".norm_q", head_dim, qk_norm_eps);
    if (checkpoint_->find_dit(name + ".norm_k.weight")) result.k_norm = norm(name + ".norm_k", head_dim, qk_norm_eps);
    return result;
  }

  void load() {
    Dit& m = *dit_;
    m.width_ = checkpoint_->dit("proj_in.weight").shape.at(0);
    m.channels_ = checkpoint_->dit("proj_in.weight").shape.at(1);
    const std::int64_t heads = checkpoint_->config().dit.num_heads;
    if (m.width_ % heads != 0 || m.width_ / heads % 2 != 0) {
      throw GraphError("bad-file", "The configuration's \"num_heads\" does not divide the transformer's width.",
                       "Get the model's configuration again.", "num_heads");
    }
    m.head_dim_ = m.width_ / heads;
    // Half of each head is turned, but never less than 32 numbers of it.
    constexpr std::int64_t least_rotary = 32;
    m.rotary_dims_ = static_cast<int>(std::max(m.head_dim_ / 2, least_rotary));
    std::vector<float> inverse;
    if (const auto view = checkpoint_->find_dit("transformer.rotary_pos_emb.inv_freq")) {
      inverse = Checkpoint::floats(*view, "transformer.rotary_pos_emb.inv_freq");
      m.rotary_dims_ = static_cast<int>(2 * inverse.size());
    }
    if (m.rotary_dims_ > m.head_dim_) wrong_shape("transformer.rotary_pos_emb.inv_freq");
    // As the file has them: a narrow one has rounded them.
    for (int i = 0; i < m.rotary_dims_ / 2; ++i) {
      const double exact = std::pow(static_cast<double>(rotary_base), -2.0 * i / m.rotary_dims_);
      const double own = inverse.empty() ? exact : static_cast<double>(inverse[static_cast<std::size_t>(i)]);
      m.rotary_factors_.push_back(static_cast<float>(exact / own));
    }
    const core::TensorView frequencies = checkpoint_->dit("time_proj.weight");
    m.time_frequencies_ = Checkpoint::floats(frequencies, "time_proj.weight");
    const auto two = [&](std::vector<Dense>& target, const std::string& name, std::int64_t in, std::int64_t out) {
      const std::int64_t inner = checkpoint_->dit(name + ".0.weight").shape.at(0);
      target.push_back(dense(name + ".0", inner, in));
      target.push_back(dense(name + ".2", out, inner));
    };
    two(m.time_, "timestep_proj", frequencies.elements() * 2, m.width_);
    m.global_width_ = checkpoint_->dit("global_proj.0.weight").shape.at(1);
    two(m.global_, "global_proj", m.global_width_, m.width_);
    m.cross_width_ = checkpoint_->dit("cross_attention_proj.0.weight").shape.at(1);
    const std::int64_t context = checkpoint_->dit("cross_attention_proj.2.weight").shape.at(0);
    two(m.cross_, "cross_attention_proj", m.cross_width_, context);
    m.ends_.push_back(dense("preprocess_conv", m.channels_, m.channels_));
    m.ends_.push_back(dense("proj_in", m.width_, m.channels_));
    m.ends_.push_back(dense("proj_out", m.channels_, m.width_));
    m.ends_.push_back(dense("postprocess_conv", m.channels_, m.channels_));
    const std::int64_t n = count_blocks(*checkpoint_);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::string block = "transformer_blocks." + std::to_string(i) + ".";
      Norm norm1 = norm(block + "norm1", m.width_, norm_eps);
      Attention attn1 = attention(block + "attn1", m.width_);
      Norm norm2 = norm(block + "norm2", m.width_, norm_eps);
      Attention attn2 = attention(block + "attn2", context);
      Norm norm3 = norm(block + "norm3", m.width_, norm_eps);
      const std::int64_t inner = checkpoint_->dit(block + "ff.net.2.weight").shape.at(1);
      Dense ff_in = dense(block + "ff.net.0.proj", 2 * inner, m.width_);
      Dense ff_out = dense(block + "ff.net.2", m.width_, inner);
      m.blocks_.push_back(
          {norm1, std::move(attn1), norm2, std::move(attn2), norm3, std::move(ff_in), std::move(ff_out)});
      progress_->tell(static_cast<std::uint64_t>(i + 1), static_cast<std::uint64_t>(n) + 1);
    }
    m.parameters_.upload(core::Progress(progress_->stop_token()));
    progress_->tell(static_cast<std::uint64_t>(n) + 1, static_cast<std::uint64_t>(n) + 1);
  }

 private:
  Dit* dit_;
  const Checkpoint* checkpoint_;
  const core::Progress* progress_;
};

Dit::Dit(const Checkpoint& checkpoint, const graph::Compute& compute, WeightType type, const core::Progress& progress)
    : compute_(&compute),
      parameters_(compute, type,
                  static_cast<std::size_t>(count_blocks(checkpoint)) * tensors_per_block + other_tensors) {
  Loader(*this, checkpoint, progress).load();
}

Tensor Dit::Norm::operator()(GraphBuilder& g, Tensor x) const {
  Tensor y = ggml_mul(g, ggml_norm(g, x, eps), weight);
  return bias == nullptr ? y : ggml_add(g, y, bias);
}

/// x (width, n, batch); context (width', n', batch); positions for self-attention, else null
Tensor Dit::attend(GraphBuilder& g, Attention& attention, Tensor x, Tensor context, Tensor positions, Tensor factors) {
  const auto heads = [&](Tensor y, const std::optional<Norm>& norm) {
    y = ggml_reshape_4d(g, y, head_dim_, y->ne[0] / head_dim_, y->ne[1], y->ne[2]);  // (head_dim, heads, n, batch)
    if (norm) y = (*norm)(g, y);
    return y;
  };
  const auto turned = [&](Tensor y) {
    if (positions == nullptr) return y;
    return ggml_rope_ext(g, y, positions, factors, rotary_dims_, GGML_ROPE_TYPE_NEOX, 0, rotary_base, 1.0F, 0.0F, 1.0F,
                         0.0F, 0.0F);
  };
  Tensor q = turned(heads(attention.q(g, x), attention.q_norm));
  Tensor k = turned(heads(attention.k(g, context), attention.k_norm));
  Tensor v = heads(attention.v(g, context), {});
  if (graph::is_cpu(compute_->device())) return attention.out(g, attend_(g, q, k, v));
  const auto by_head = [&](Tensor y) { return ggml_cont(g, ggml_permute(g, y, 0, 2, 1, 3)); };
  q = by_head(q);  // (head_dim, n, heads, batch)
  k = by_head(k);
  v = ggml_cont(g, ggml_permute(g, v, 1, 2, 0, 3));  // (n', head_dim, heads, batch)
  Tensor scores = ggml_mul_mat(g, k, q);  // (n', n, heads, batch); head h reads kv head h / (heads / kv heads)
  scores = ggml_soft_max_ext(g, scores, nullptr, 1.0F / std::sqrt(static_cast<float>(head_dim_)), 0.0F);
  Tensor y = ggml_mul_mat(g, v, scores);             // (head_dim, n, heads, batch)
  y = ggml_cont(g, ggml_permute(g, y, 0, 2, 1, 3));  // (head_dim, heads, n, batch)
  return attention.out(g, ggml_reshape_3d(g, y, width_, x->ne[1], x->ne[2]));
}

void Dit::build(const Sizes& sizes) {
  if (runner_ && built_ == sizes) return;
  runner_ = std::make_unique<graph::Runner>(*compute_, blocks_.size() * nodes_per_block + other_tensors);
  const int cross_branches = sizes.has_negative ? 2 : 1;
  runner_->build([&](GraphBuilder& g) {
    const auto perceive = [&](std::vector<Dense>& two, Tensor x) { return two[1](g, ggml_silu(g, two[0](g, x))); };
    Tensor latents = g.input("latents", GGML_TYPE_F32, {channels_, sizes.frames});
    Tensor time = g.input("time", GGML_TYPE_F32, {static_cast<std::int64_t>(time_frequencies_.size()) * 2, 1});
    Tensor global = g.input("global", GGML_TYPE_F32, {global_width_, 1});
    Tensor cross = g.input("cross", GGML_TYPE_F32, {cross_width_, sizes.cross_tokens, cross_branches});
    Tensor positions = g.input("positions", GGML_TYPE_I32, {sizes.frames + 1});
    Tensor factors = g.input("factors", GGML_TYPE_F32, {rotary_dims_ / 2});

    Tensor context = perceive(cross_, cross);
    Tensor first = ggml_add(g, perceive(global_, global), perceive(time_, time));  // (width, 1)
    Tensor x = ends_[1](g, ggml_add(g, latents, ends_[0](g, latents)));
    x = ggml_concat(g, first, x, 1);  // (width, frames + 1)
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      Block& block = blocks_[i];
      Tensor y = block.norm1(g, x);
      x = ggml_add(g, x, attend(g, block.attn1, y, y, positions, factors));
      // Up to the first cross-attention the branches are one.
      if (i == 0 && sizes.branches > 1) x = ggml_repeat_4d(g, x, x->ne[0], x->ne[1], sizes.branches, 1);
      if (sizes.branches == cross_branches) {
        x = ggml_add(g, x, attend(g, block.attn2, block.norm2(g, x), context, nullptr, nullptr));
      } else {
        // Zeros attended to are zeros: the branch without a prompt needs none of it.
        Tensor with = ggml_view_2d(g, x, x->ne[0], x->ne[1], x->nb[1], 0);
        Tensor without = ggml_view_2d(g, x, x->ne[0], x->ne[1], x->nb[1], x->nb[2]);
        with = ggml_add(g, with, attend(g, block.attn2, block.norm2(g, with), context, nullptr, nullptr));
        x = ggml_concat(g, with, without, 2);
      }
      y = ggml_glu(g, block.ff_in(g, block.norm3(g, x)), GGML_GLU_OP_SWIGLU, true);  // value * silu(gate), value first
      x = ggml_add(g, x, block.ff_out(g, y));
    }
    x = ggml_cont(g, ggml_view_3d(g, x, x->ne[0], sizes.frames, x->ne[2], x->nb[1], x->nb[2], x->nb[1]));
    x = ends_[2](g, x);
    g.output("velocity", ggml_add(g, x, ends_[3](g, x)));  // (channels, frames, branches)
  });
  built_ = sizes;
}

Dit::Velocity Dit::operator()(std::span<const float> latents, std::int64_t frames, double t, const Condition& condition,
                              bool guided, const std::stop_token& stop) {
  const auto n = static_cast<std::size_t>(frames);
  const auto channels = static_cast<std::size_t>(channels_);
  const bool has_negative = guided && !condition.negative.empty();
  const auto cross_tokens = static_cast<std::int64_t>(condition.cross.size()) / cross_width_;
  if (latents.size() != n * channels || static_cast<std::int64_t>(condition.global.size()) != global_width_ ||
      cross_tokens == 0 || cross_tokens * cross_width_ != static_cast<std::int64_t>(condition.cross.size()) ||
      (has_negative && condition.negative.size() != condition.cross.size())) {
    throw GraphError("bad-input", "The latents or conditions are not of the model's sizes.",
                     "The text encoder may belong to another model.", "cross_states");
  }
  build({frames, cross_tokens, guided ? 2 : 1, has_negative});

  std::vector<float> tokens(latents.size());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t f = 0; f < n; ++f) tokens[f * channels + c] = latents[c * n + f];
  }
  std::vector<float> time;
  const double turn = 2 * std::numbers::pi * t;
  for (const float w : time_frequencies_) time.push_back(static_cast<float>(std::cos(turn * static_cast<double>(w))));
  for (const float w : time_frequencies_) time.push_back(static_cast<float>(std::sin(turn * static_cast<double>(w))));
  std::vector<std::int32_t> positions(n + 1);
  for (std::size_t i = 0; i <= n; ++i) positions[i] = static_cast<std::int32_t>(i);
  std::vector<float> cross = condition.cross;
  if (has_negative) cross.insert(cross.end(), condition.negative.begin(), condition.negative.end());
  runner_->set("latents", tokens);
  runner_->set("time", time);
  runner_->set("global", condition.global);
  runner_->set("cross", cross);
  runner_->set("positions", positions);
  runner_->set("factors", rotary_factors_);
  runner_->compute(stop);

  const auto out = runner_->get("velocity");
  const auto branch = [&](std::size_t which) {
    std::vector<float> result(latents.size());
    const float* from = out.data() + which * latents.size();
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t f = 0; f < n; ++f) result[c * n + f] = from[f * channels + c];
    }
    return result;
  };
  return {branch(0), guided ? branch(1) : std::vector<float>{}};
}

}  // namespace lutra::audio
