#include "reference.h"
#include "testing.h"

namespace lutra::testing {

namespace {

struct Rounding {
  ggml_type type;
  /// The CPU rounds the other factor to the weight's companion type, a GPU to f16.
  double cpu, gpu;
};

const Rounding roundings[] = {
    {GGML_TYPE_F32, 1e-12, 1e-6}, {GGML_TYPE_F16, 1e-5, 1e-5},  {GGML_TYPE_BF16, 1e-4, 1e-4},
    {GGML_TYPE_Q8_0, 1e-3, 1e-3}, {GGML_TYPE_Q4_0, 1e-3, 1e-3},
};

void add_products(std::vector<Case>& cases) {
  struct Shape {
    int64_t k, m, n;
  };
  // One row, odd sizes, a vector, and more columns than any tile.
  const Shape shapes[] = {{32, 1, 1}, {96, 33, 5}, {256, 17, 1}, {256, 64, 130}, {64, 130, 9}};
  for (const auto& [type, cpu, gpu] : roundings) {
    for (const auto& [k, m, n] : shapes) {
      cases.push_back({
          .name = std::string("mul_mat ") + ggml_type_name(type) + " " + std::to_string(k) + "x" + std::to_string(m) +
                  "x" + std::to_string(n),
          .data = {weight("w", type, {k, m}, 1), input("x", {k, n}, 2)},
          .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_mul_mat(g, t.at("w"), t.at("x")); },
          .expected = [k = k](const NamedValues& v) { return matrix_product(v.at("w"), v.at("x"), k); },
          .cpu_tolerance = cpu,
          .gpu_tolerance = gpu,
      });
    }
  }
  cases.push_back({
      .name = "mul_mat f32 with an odd inner size",
      .data = {weight("w", GGML_TYPE_F32, {33, 7}, 3), input("x", {33, 3}, 4)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_mul_mat(g, t.at("w"), t.at("x")); },
      .expected = [](const NamedValues& v) { return matrix_product(v.at("w"), v.at("x"), 33); },
  });
  cases.push_back({
      .name = "mul_mat f32, two matrices for four",
      .data = {weight("w", GGML_TYPE_F32, {32, 5, 2}, 3), input("x", {32, 3, 4}, 4)},
      .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_mul_mat(g, t.at("w"), t.at("x")); },
      .expected =
          [](const NamedValues& v) {
            Values y;
            for (int head = 0; head < 4; ++head) {
              const auto w = v.at("w").begin() + (head / 2) * 32 * 5;
              const auto x = v.at("x").begin() + head * 32 * 3;
              const Values part = matrix_product(Values(w, w + 32 * 5), Values(x, x + 32 * 3), 32);
              y.insert(y.end(), part.begin(), part.end());
            }
            return y;
          },
  });
}

void add_rows(std::vector<Case>& cases) {
  for (const Rounding& rounding : roundings) {
    cases.push_back({
        .name = std::string("get_rows ") + ggml_type_name(rounding.type),
        .data = {weight("w", rounding.type, {64, 11}, 5), ids("i", {10, 0, 3, 3, 7})},
        .forward = [](GraphBuilder& g, const NamedTensors& t) { return ggml_get_rows(g, t.at("w"), t.at("i")); },
        .expected =
            [](const NamedValues& v) {
              Values y;
              for (const double id : v.at("i")) {
                const auto row = v.at("w").begin() + static_cast<int64_t>(id) * 64;
                y.insert(y.end(), row, row + 64);
              }
              return y;
            },
        .cpu_tolerance = 1e-12,
        .gpu_tolerance = 1e-6,
    });
  }
}

/// y = 2 w x per row, as an op of our own. Reads the weight as its type stores it.
struct DoubledProduct {
  void run(ggml_tensor* dst, int ith, int nth) const noexcept {
    const ggml_tensor* w = dst->src[0];
    const ggml_tensor* x = dst->src[1];
    const auto to_float = ggml_get_type_traits(w->type)->to_float;
    const auto [first, last] = graph::share(w->ne[1], ith, nth);
    thread_local std::vector<float> row;
    row.resize(static_cast<size_t>(w->ne[0]));
    for (int64_t m = first; m < last; ++m) {
      const char* bytes = static_cast<const char*>(w->data) + static_cast<size_t>(m) * w->nb[1];
      if (to_float == nullptr) {
        std::copy_n(reinterpret_cast<const float*>(bytes), w->ne[0], row.data());
      } else {
        to_float(bytes, row.data(), w->ne[0]);
      }
      for (int64_t n = 0; n < x->ne[1]; ++n) {
        const float* column = static_cast<const float*>(x->data) + n * x->ne[0];
        double sum = 0;
        for (int64_t k = 0; k < w->ne[0]; ++k) sum += static_cast<double>(row[static_cast<size_t>(k)]) * column[k];
        static_cast<float*>(dst->data)[n * dst->ne[0] + m] = static_cast<float>(2 * sum);
      }
    }
  }
};
const DoubledProduct doubled_product;

void add_custom(std::vector<Case>& cases) {
  for (const Rounding& rounding : roundings) {
    cases.push_back({
        .name = std::string("custom op on ") + ggml_type_name(rounding.type) + ", between nodes of the device",
        .data = {weight("w", rounding.type, {64, 13}, 6), input("x", {64, 3}, 7)},
        .forward =
            [](GraphBuilder& g, const NamedTensors& t) {
              Tensor x = ggml_scale(g, t.at("x"), 3.0F);
              Tensor y = graph::custom(g, doubled_product, GGML_TYPE_F32, {13, 3, 1, 1}, std::array{t.at("w"), x});
              return ggml_scale(g, y, 0.5F);
            },
        .expected =
            [](const NamedValues& v) {
              return map(matrix_product(v.at("w"), v.at("x"), 64), [](double y) { return 3 * y; });
            },
        .gpu_tolerance = 1e-10,
    });
  }
}

}  // namespace

void add_matrix_cases(std::vector<Case>& cases) {
  add_products(cases);
  add_rows(cases);
  add_custom(cases);
}

}  // namespace lutra::testing
