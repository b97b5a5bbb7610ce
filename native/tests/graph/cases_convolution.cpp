#include <cmath>

#include "reference.h"
#include "testing.h"

namespace lutra::testing {

namespace {

void add_conv1d(std::vector<Case>& cases) {
  // frames, in, out, kernel, stride, padding, dilation
  const ConvShape shapes[] = {
      {37, 3, 5, 7, 1, 3, 1}, {50, 8, 4, 3, 1, 9, 9},   {33, 2, 6, 4, 2, 1, 1},
      {5, 1, 1, 1, 1, 0, 1},  {19, 16, 33, 3, 1, 1, 1},
  };
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16}) {
    for (const ConvShape& shape : shapes) {
      cases.push_back({
          .name = std::string("conv1d ") + ggml_type_name(type) + ", kernel " + std::to_string(shape.kernel) +
                  ", stride " + std::to_string(shape.stride) + ", dilation " + std::to_string(shape.dilation),
          .data = {weight("conv.weight", type, {shape.kernel, shape.n_in, shape.n_out}, 1),
                   input("x", {shape.n_frames, shape.n_in}, 2)},
          .forward =
              [=](GraphBuilder& g, const NamedTensors& t) {
                const graph::Conv1d conv(t.scope("conv"), static_cast<int>(shape.stride),
                                         static_cast<int>(shape.padding), static_cast<int>(shape.dilation));
                return conv(g, t.at("x"));
              },
          .expected = [=](const NamedValues& v) { return conv1d(v.at("x"), v.at("conv.weight"), shape); },
          .cpu_tolerance = type == GGML_TYPE_F32 ? 1e-10 : 1e-6,
          .gpu_tolerance = 1e-5,
      });
    }
  }
}

void add_conv_transpose1d(std::vector<Case>& cases) {
  const ConvShape shapes[] = {
      {13, 6, 5, 8, 4, 2, 1}, {7, 3, 2, 5, 2, 0, 1}, {1, 4, 3, 4, 2, 1, 1}, {9, 2, 1, 3, 3, 0, 1}};
  for (const ConvShape& shape : shapes) {
    Data w = weight("w", GGML_TYPE_F32, {shape.kernel, shape.n_out, shape.n_in}, 1);
    Data columns{"columns",
                 GGML_TYPE_F32,
                 {shape.n_in, shape.kernel * shape.n_out},
                 graph::transposed_columns(w.values, shape.n_in, shape.n_out, shape.kernel),
                 true};
    cases.push_back({
        .name = "conv_transpose1d, kernel " + std::to_string(shape.kernel) + ", stride " +
                std::to_string(shape.stride) + ", padding " + std::to_string(shape.padding),
        .data = {w, columns, input("x", {shape.n_frames, shape.n_in}, 2)},
        .forward =
            [=](GraphBuilder& g, const NamedTensors& t) {
              const graph::ConvTranspose1d conv(t.at("columns"), nullptr, static_cast<int>(shape.n_out),
                                                static_cast<int>(shape.stride), static_cast<int>(shape.padding));
              return conv(g, t.at("x"));
            },
        .expected = [=](const NamedValues& v) { return conv_transpose1d(v.at("x"), v.at("w"), shape); },
    });
  }
}

void add_snake(std::vector<Case>& cases) {
  Data x = input("x", {41, 6}, 1);
  for (float& value : x.values) value *= 4;
  cases.push_back({
      .name = "snake",
      .data = {x, weight("alpha", GGML_TYPE_F32, {1, 6}, 2), weight("inverse_beta", GGML_TYPE_F32, {1, 6}, 3)},
      .forward = [](GraphBuilder& g,
                    const NamedTensors& t) { return graph::snake(g, t.at("x"), t.at("alpha"), t.at("inverse_beta")); },
      .expected =
          [](const NamedValues& v) {
            Values y = v.at("x");
            for (size_t i = 0; i < y.size(); ++i) {
              const double wave = std::sin(v.at("alpha")[i / 41] * y[i]);
              y[i] += wave * wave * v.at("inverse_beta")[i / 41];
            }
            return y;
          },
  });
}

}  // namespace

void add_convolution_cases(std::vector<Case>& cases) {
  add_conv1d(cases);
  add_conv_transpose1d(cases);
  add_snake(cases);
}

}  // namespace lutra::testing
