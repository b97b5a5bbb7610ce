#include <cmath>

#include "reference.h"
#include "testing.h"

namespace lutra::testing {

namespace {

double plus(double a, double b) { return a + b; }
double times(double a, double b) { return a * b; }

void add_small_modules(std::vector<Case>& cases) {
  cases.push_back({
      .name = "Linear with a bias",
      .data = {weight("fc.weight", GGML_TYPE_F16, {64, 9}, 1), weight("fc.bias", GGML_TYPE_F32, {9}, 2),
               input("x", {64, 5}, 3)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return graph::Linear(t.scope("fc"))(g, t.at("x")); },
      .expected =
          [](const NamedValues& v) {
            return zip(matrix_product(v.at("fc.weight"), v.at("x"), 64), v.at("fc.bias"), plus);
          },
      .cpu_tolerance = 1e-6,
  });
  cases.push_back({
      .name = "Embedding",
      .data = {weight("embed.weight", GGML_TYPE_F32, {6, 4}, 1), ids("i", {3, 0, 3})},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return graph::Embedding(t.scope("embed"))(g, t.at("i")); },
      .expected =
          [](const NamedValues& v) {
            const Values& w = v.at("embed.weight");
            Values y(w.begin() + 18, w.end());
            y.insert(y.end(), w.begin(), w.begin() + 6);
            y.insert(y.end(), w.begin() + 18, w.end());
            return y;
          },
  });
  cases.push_back({
      .name = "RMSNorm",
      .data = {weight("norm.weight", GGML_TYPE_F32, {33}, 1), input("x", {33, 5}, 2)},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return graph::RMSNorm(t.scope("norm"), 1e-6F)(g, t.at("x")); },
      .expected = [](const NamedValues& v) { return zip(rms_norm(v.at("x"), 33, 1e-6), v.at("norm.weight"), times); },
  });
  cases.push_back({
      .name = "LayerNorm",
      .data = {weight("norm.weight", GGML_TYPE_F32, {33}, 1), weight("norm.bias", GGML_TYPE_F32, {33}, 2),
               input("x", {33, 5}, 3)},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return graph::LayerNorm(t.scope("norm"), 1e-6F)(g, t.at("x")); },
      .expected =
          [](const NamedValues& v) {
            return zip(zip(layer_norm(v.at("x"), 33, 1e-6), v.at("norm.weight"), times), v.at("norm.bias"), plus);
          },
  });
  cases.push_back({
      .name = "GroupNorm",
      .data = {weight("norm.weight", GGML_TYPE_F32, {6}, 1), weight("norm.bias", GGML_TYPE_F32, {6}, 2),
               input("x", {11, 6}, 3)},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return graph::GroupNorm(t.scope("norm"), 3, 1e-5F)(g, t.at("x")); },
      .expected =
          [](const NamedValues& v) {
            Values y = layer_norm(v.at("x"), 22, 1e-5);
            for (size_t i = 0; i < y.size(); ++i) y[i] = y[i] * v.at("norm.weight")[i / 11] + v.at("norm.bias")[i / 11];
            return y;
          },
  });
}

void add_convolutions(std::vector<Case>& cases) {
  const ConvShape shape{23, 4, 5, 6, 3, 1, 1};
  const auto add_bias = [](Values y, const Values& bias) {
    const size_t n_frames = y.size() / bias.size();
    for (size_t i = 0; i < y.size(); ++i) y[i] += bias[i / n_frames];
    return y;
  };
  cases.push_back({
      .name = "Conv1d with a bias",
      .data = {weight("conv.weight", GGML_TYPE_F32, {6, 4, 5}, 1), weight("conv.bias", GGML_TYPE_F32, {5}, 2),
               input("x", {23, 4}, 3)},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return graph::Conv1d(t.scope("conv"), 3, 1, 1)(g, t.at("x")); },
      .expected =
          [=](const NamedValues& v) {
            return add_bias(conv1d(v.at("x"), v.at("conv.weight"), shape), v.at("conv.bias"));
          },
  });
  const Data w = weight("up.weight", GGML_TYPE_F32, {6, 5, 4}, 1);
  cases.push_back({
      .name = "ConvTranspose1d with a bias",
      .data = {w,
               {"up.columns", GGML_TYPE_F32, {4, 6 * 5}, graph::transposed_columns(w.values, 4, 5, 6), true},
               weight("up.bias", GGML_TYPE_F32, {5}, 2),
               input("x", {23, 4}, 3)},
      .forward =
          [](GraphBuilder& g, const NamedTensors& t) {
            return graph::ConvTranspose1d(t.at("up.columns"), t.at("up.bias"), 5, 3, 1)(g, t.at("x"));
          },
      .expected =
          [=](const NamedValues& v) {
            return add_bias(conv_transpose1d(v.at("x"), v.at("up.weight"), shape), v.at("up.bias"));
          },
  });
}

/// A Llama layer's two halves, against the same equations written with loops.
void add_transformer_parts(std::vector<Case>& cases) {
  constexpr int64_t hidden = 64;
  constexpr int64_t head_dim = 16;
  constexpr int64_t n_heads = 4;
  constexpr int64_t n_kv_heads = 2;
  constexpr int64_t n = 6;
  Data mask{"mask", GGML_TYPE_F16, {n, n}, {}, false};
  for (int64_t i = 0; i < n * n; ++i) mask.values.push_back(i % n <= i / n ? 0.0F : -INFINITY);
  cases.push_back({
      .name = "Attention of the Llama family",
      .data = {weight("self_attn.q_proj.weight", GGML_TYPE_F32, {hidden, n_heads * head_dim}, 1),
               weight("self_attn.k_proj.weight", GGML_TYPE_F32, {hidden, n_kv_heads * head_dim}, 2),
               weight("self_attn.v_proj.weight", GGML_TYPE_F32, {hidden, n_kv_heads * head_dim}, 3),
               weight("self_attn.o_proj.weight", GGML_TYPE_F32, {n_heads * head_dim, hidden}, 4),
               input("x", {hidden, n}, 5), ids("positions", {0, 1, 2, 3, 4, 5}), mask},
      .forward =
          [=](GraphBuilder& g, const NamedTensors& t) {
            const graph::Attention attend(t.scope("self_attn"), n_heads, n_kv_heads);
            const graph::Rope rotate{.n_dims = head_dim, .freq_base = 10000};
            return attend(g, t.at("x"), t.at("positions"), t.at("mask"), rotate);
          },
      .expected =
          [=](const NamedValues& v) {
            const auto project = [&](const char* name) {
              return matrix_product(v.at(std::string("self_attn.") + name + "_proj.weight"), v.at("x"), hidden);
            };
            const Values& at = v.at("positions");
            const Values q = rope(project("q"), at, {}, {head_dim, n_heads, n, head_dim, 10000, true});
            const Values k = rope(project("k"), at, {}, {head_dim, n_kv_heads, n, head_dim, 10000, true});
            const Values y = attention(swap_outer(q, head_dim, n_heads, n), swap_outer(k, head_dim, n_kv_heads, n),
                                       swap_outer(project("v"), head_dim, n_kv_heads, n), v.at("mask"),
                                       {head_dim, n_heads, n_kv_heads, n, n});
            return matrix_product(v.at("self_attn.o_proj.weight"), y, n_heads * head_dim);
          },
      .cpu_tolerance = 1e-5,
      .gpu_tolerance = 1e-4,
  });
  cases.push_back({
      .name = "SwiGLU of the Llama family",
      .data = {weight("mlp.gate_proj.weight", GGML_TYPE_F32, {hidden, 96}, 1),
               weight("mlp.up_proj.weight", GGML_TYPE_F32, {hidden, 96}, 2),
               weight("mlp.down_proj.weight", GGML_TYPE_F32, {96, hidden}, 3), input("x", {hidden, n}, 4)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return graph::SwiGLU(t.scope("mlp"))(g, t.at("x")); },
      .expected =
          [=](const NamedValues& v) {
            const Values gate = matrix_product(v.at("mlp.gate_proj.weight"), v.at("x"), hidden);
            const Values up = matrix_product(v.at("mlp.up_proj.weight"), v.at("x"), hidden);
            const Values y = zip(gate, up, [](double a, double b) { return silu(a) * b; });
            return matrix_product(v.at("mlp.down_proj.weight"), y, 96);
          },
      .cpu_tolerance = 1e-8,
      .gpu_tolerance = 1e-5,
  });
}

}  // namespace

void add_module_cases(std::vector<Case>& cases) {
  add_small_modules(cases);
  add_convolutions(cases);
  add_transformer_parts(cases);
}

}  // namespace lutra::testing
