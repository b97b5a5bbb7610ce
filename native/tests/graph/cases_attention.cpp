#include <cmath>
#include <limits>

#include "reference.h"
#include "testing.h"

namespace lutra::testing {

namespace {

Data causal_mask(int64_t n) {
  Data mask{"mask", GGML_TYPE_F16, {n, n}, {}, false};
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t column = 0; column < n; ++column) {
      mask.values.push_back(column <= row ? 0 : -std::numeric_limits<float>::infinity());
    }
  }
  return mask;
}

void add_attention(std::vector<Case>& cases) {
  struct Kind {
    const char* name;
    AttentionShape shape;
    bool is_causal, is_flash;
    ggml_type kv_type;
  };
  const Kind kinds[] = {
      {"flash attention, causal, grouped heads", {64, 4, 2, 7, 7}, true, true, GGML_TYPE_F32},
      {"flash attention, causal, grouped heads, f16", {64, 4, 2, 33, 33}, true, true, GGML_TYPE_F16},
      {"flash attention, across, f16", {64, 4, 4, 5, 130}, false, true, GGML_TYPE_F16},
      {"flash attention, one query, f16", {128, 8, 2, 1, 37}, false, true, GGML_TYPE_F16},
      {"plain attention, causal, grouped heads", {64, 4, 2, 7, 7}, true, false, GGML_TYPE_F32},
      {"plain attention, across", {32, 4, 4, 5, 130}, false, false, GGML_TYPE_F32},
  };
  for (const Kind& kind : kinds) {
    const auto& [d, n_heads, n_kv_heads, n_q, n_kv] = kind.shape;
    Case test{
        .name = kind.name,
        .data = {input("q", {d, n_q, n_heads}, 1),
                 {"k", kind.kv_type, {d, n_kv, n_kv_heads}, noise(d * n_kv * n_kv_heads, 2), false},
                 {"v", kind.kv_type, {d, n_kv, n_kv_heads}, noise(d * n_kv * n_kv_heads, 3), false}},
        .forward =
            [kind](GraphBuilder& g, const NamedTensors& t) {
              Tensor mask = kind.is_causal ? t.at("mask") : nullptr;
              const auto attend = kind.is_flash ? graph::flash_attention : graph::plain_attention;
              const float scale = 1.0F / std::sqrt(static_cast<float>(kind.shape.head_dim));
              return attend(g, t.at("q"), t.at("k"), t.at("v"), mask, scale);
            },
        .expected =
            [kind](const NamedValues& v) {
              const Values mask = kind.is_causal ? v.at("mask") : Values{};
              return attention(v.at("q"), v.at("k"), v.at("v"), mask, kind.shape);
            },
        .cpu_tolerance = kind.is_flash ? 1e-5 : 1e-10,
        .gpu_tolerance = 1e-4,
    };
    if (kind.is_causal) test.data.push_back(causal_mask(n_kv));
    cases.push_back(test);
  }
}

void add_rope(std::vector<Case>& cases) {
  struct Kind {
    const char* name;
    RopeShape shape;
    bool has_factors;
  };
  const Kind kinds[] = {
      {"rope in halves", {64, 3, 5, 64, 10000, true}, false},
      {"rope in pairs", {64, 3, 5, 64, 500000, false}, false},
      {"rope on a part of the head", {64, 3, 5, 32, 10000, true}, false},
      {"rope with frequency factors", {32, 2, 5, 32, 10000, true}, true},
  };
  for (const Kind& kind : kinds) {
    const auto& [head_dim, n_heads, n, n_dims, freq_base, halves] = kind.shape;
    Case test{
        .name = kind.name,
        .data = {input("x", {head_dim, n_heads, n}, 1), ids("positions", {0, 1, 17, 400, 2000})},
        .forward =
            [kind](GraphBuilder& g, const NamedTensors& t) {
              graph::Rope rope{.n_dims = static_cast<int>(kind.shape.n_dims),
                               .freq_base = static_cast<float>(kind.shape.freq_base)};
              rope.halves = kind.shape.halves;
              if (kind.has_factors) rope.freq_factors = t.at("factors");
              return rope(g, t.at("x"), t.at("positions"));
            },
        .expected =
            [kind](const NamedValues& v) {
              return rope(v.at("x"), v.at("positions"), kind.has_factors ? v.at("factors") : Values{}, kind.shape);
            },
        // f32 angles of thousands of radians.
        .cpu_tolerance = 1e-7,
    };
    if (kind.has_factors) {
      test.data.push_back(input("factors", {n_dims / 2}, 2));
      for (float& value : test.data.back().values) value = 2 + value;
    }
    cases.push_back(test);
  }
}

void add_soft_max(std::vector<Case>& cases) {
  cases.push_back({
      .name = "soft_max",
      .data = {input("x", {37, 5}, 1)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_soft_max(g, t.at("x")); },
      .expected = [](const NamedValues& v) { return soft_max(v.at("x"), 37); },
  });
  cases.push_back({
      .name = "soft_max with a mask and a scale",
      .data = {input("x", {9, 9}, 2), causal_mask(9)},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return ggml_soft_max_ext(g, t.at("x"), t.at("mask"), 3.0F, 0.0F); },
      .expected =
          [](const NamedValues& v) {
            return soft_max(zip(v.at("x"), v.at("mask"), [](double x, double mask) { return 3 * x + mask; }), 9);
          },
  });
}

}  // namespace

void add_attention_cases(std::vector<Case>& cases) {
  add_attention(cases);
  add_rope(cases);
  add_soft_max(cases);
}

}  // namespace lutra::testing
