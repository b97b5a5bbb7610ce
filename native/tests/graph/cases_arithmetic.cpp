#include <cmath>

#include "reference.h"
#include "testing.h"

namespace lutra::testing {

namespace {

void add_binary(std::vector<Case>& cases) {
  struct Binary {
    const char* name;
    Tensor (*build)(GraphBuilder&, Tensor, Tensor);
    double (*value)(double, double);
  };
  const Binary binaries[] = {
      {"add", [](GraphBuilder& g, Tensor a, Tensor b) -> Tensor { return ggml_add(g, a, b); },
       [](double a, double b) { return a + b; }},
      {"sub", [](GraphBuilder& g, Tensor a, Tensor b) -> Tensor { return ggml_sub(g, a, b); },
       [](double a, double b) { return a - b; }},
      {"mul", [](GraphBuilder& g, Tensor a, Tensor b) -> Tensor { return ggml_mul(g, a, b); },
       [](double a, double b) { return a * b; }},
  };
  for (const Binary& binary : binaries) {
    cases.push_back({
        .name = std::string(binary.name) + " with a repeated row",
        .data = {input("a", {37, 5, 2}, 1), input("b", {37}, 2)},
        .forward = [=](GraphBuilder& g, const NamedTensors& t) { return binary.build(g, t.at("a"), t.at("b")); },
        .expected = [=](const NamedValues& v) { return zip(v.at("a"), v.at("b"), binary.value); },
    });
  }
}

void add_unary(std::vector<Case>& cases) {
  struct Unary {
    const char* name;
    Tensor (*build)(GraphBuilder&, Tensor);
    double (*value)(double);
    double tolerance;
  };
  // The CPU's gelu reads a table of f16.
  const Unary unaries[] = {
      {"sqr", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_sqr(g, x); }, [](double x) { return x * x; },
       1e-10},
      {"sin", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_sin(g, x); }, [](double x) { return std::sin(x); },
       1e-10},
      {"scale", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_scale(g, x, -2.5F); },
       [](double x) { return -2.5 * x; }, 1e-10},
      {"gelu_erf", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_gelu_erf(g, x); }, gelu_erf, 1e-8},
      {"gelu", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_gelu(g, x); }, gelu_tanh, 1e-5},
      {"silu", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_silu(g, x); }, silu, 1e-8},
      {"tanh", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_tanh(g, x); },
       [](double x) { return std::tanh(x); }, 1e-8},
  };
  for (const Unary& unary : unaries) {
    Data x = input("x", {33, 7}, 3);
    for (float& value : x.values) value *= 6;
    cases.push_back({
        .name = unary.name,
        .data = {x},
        .forward = [=](GraphBuilder& g, const NamedTensors& t) { return unary.build(g, t.at("x")); },
        .expected = [=](const NamedValues& v) { return map(v.at("x"), unary.value); },
        .cpu_tolerance = unary.tolerance,
    });
  }
}

void add_glu(std::vector<Case>& cases) {
  cases.push_back({
      .name = "swiglu of two tensors",
      .data = {input("gate", {35, 4}, 1), input("up", {35, 4}, 2)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_swiglu_split(g, t.at("gate"), t.at("up")); },
      .expected =
          [](const NamedValues& v) {
            return zip(v.at("gate"), v.at("up"), [](double gate, double up) { return silu(gate) * up; });
          },
      .cpu_tolerance = 1e-8,
  });
  struct Halves {
    const char* name;
    Tensor (*build)(GraphBuilder&, Tensor);
    double (*value)(double);
    bool gate_first;
  };
  const Halves all[] = {
      {"swiglu, gate first", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_swiglu(g, x); }, silu, true},
      {"swiglu, value first", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_swiglu_swapped(g, x); }, silu,
       false},
      {"geglu_erf", [](GraphBuilder& g, Tensor x) -> Tensor { return ggml_geglu_erf(g, x); }, gelu_erf, true},
  };
  for (const Halves& halves : all) {
    cases.push_back({
        .name = halves.name,
        .data = {input("x", {2 * 35, 3}, 4)},
        .forward = [=](GraphBuilder& g, const NamedTensors& t) { return halves.build(g, t.at("x")); },
        .expected =
            [=](const NamedValues& v) {
              Values y;
              for (int row = 0; row < 3; ++row) {
                for (int i = 0; i < 35; ++i) {
                  const double first = v.at("x")[row * 70 + i];
                  const double second = v.at("x")[row * 70 + 35 + i];
                  y.push_back(halves.gate_first ? halves.value(first) * second : halves.value(second) * first);
                }
              }
              return y;
            },
        .cpu_tolerance = 1e-8,
    });
  }
}

void add_norms(std::vector<Case>& cases) {
  for (const int64_t row : {5, 64, 1030}) {
    cases.push_back({
        .name = "rms_norm of " + std::to_string(row),
        .data = {input("x", {row, 7}, 5)},
        .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_rms_norm(g, t.at("x"), 1e-5F); },
        .expected = [=](const NamedValues& v) { return rms_norm(v.at("x"), row, 1e-5); },
    });
    cases.push_back({
        .name = "norm of " + std::to_string(row),
        .data = {input("x", {row, 7}, 6)},
        .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_norm(g, t.at("x"), 1e-5F); },
        .expected = [=](const NamedValues& v) { return layer_norm(v.at("x"), row, 1e-5); },
    });
  }
}

void add_moves(std::vector<Case>& cases) {
  cases.push_back({
      .name = "concat of columns",
      .data = {input("a", {9, 4}, 1), input("b", {9, 3}, 2)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_concat(g, t.at("a"), t.at("b"), 1); },
      .expected =
          [](const NamedValues& v) {
            Values y = v.at("a");
            y.insert(y.end(), v.at("b").begin(), v.at("b").end());
            return y;
          },
  });
  cases.push_back({
      .name = "repeat of a row",
      .data = {input("a", {9}, 1)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_repeat_4d(g, t.at("a"), 9, 3, 1, 1); },
      .expected =
          [](const NamedValues& v) {
            Values y;
            for (int i = 0; i < 3; ++i) y.insert(y.end(), v.at("a").begin(), v.at("a").end());
            return y;
          },
  });
  // There and back: f32 -> type -> transposed in that type -> f32.
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16}) {
    Data x = input("x", {9, 5}, 3);
    for (float& value : x.values) value = std::round(value * 64) / 64;
    cases.push_back({
        .name = std::string("cont and cpy through ") + ggml_type_name(type),
        .data = {x},
        .forward =
            [=](GraphBuilder& g, const NamedTensors& t) {
              Tensor moved = ggml_cont(g, ggml_transpose(g, ggml_cast(g, t.at("x"), type)));
              return ggml_cast(g, moved, GGML_TYPE_F32);
            },
        .expected = [](const NamedValues& v) { return transpose(v.at("x"), 9, 5); },
    });
  }
}

}  // namespace

void add_arithmetic_cases(std::vector<Case>& cases) {
  add_binary(cases);
  add_unary(cases);
  add_glu(cases);
  add_norms(cases);
  add_moves(cases);
}

}  // namespace lutra::testing
