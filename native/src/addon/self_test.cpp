#include "addon/self_test.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <stop_token>

#include "core/philox.h"
#include "graph/custom.h"
#include "graph/error.h"
#include "graph/runner.h"

namespace lutra::addon {

namespace {

using graph::Compute;
using graph::GraphBuilder;
using graph::Runner;

constexpr int64_t n_in = 96;
constexpr int64_t n_out = 33;
constexpr int64_t n_columns = 5;

std::vector<float> noise(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(generator()) / 2147483648.0F - 1.0F;
  return values;
}

/// Mean square of the difference over the mean square of what is right.
double nmse(const std::vector<float>& actual, const std::vector<double>& expected) {
  double difference = 0;
  double power = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    power += expected[i] * expected[i];
  }
  return difference / power;
}

std::string scientific(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1e", value);
  return text.data();
}

Check compare(const std::string& name, double error, double tolerance) {
  return {name, error <= tolerance, "NMSE " + scientific(error) + ", at most " + scientific(tolerance)};
}

/// Random123's first known answer: what a seed means must be the same on every machine.
Check random_numbers() {
  constexpr std::array<std::uint32_t, 4> known = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  return {"random numbers", core::philox4x32({0, 0, 0, 0}, {0, 0}) == known, "Philox4x32-10 against its known answer"};
}

Check guarded(const std::string& name, const std::function<Check()>& check) {
  try {
    return check();
  } catch (const std::exception& error) {
    return {name, false, error.what()};
  }
}

/// weight (n_in, n_out) x input (n_in, n_columns), both as the device's type stores them.
Check matrix_product(const Compute& compute, ggml_type type, double tolerance) {
  const std::vector<float> w = noise(n_in * n_out, 1);
  const std::vector<float> x = noise(n_in * n_columns, 2);

  std::vector<std::byte> packed(ggml_row_size(type, n_in) * n_out);
  ggml_quantize_chunk(type, w.data(), packed.data(), 0, n_out, n_in, nullptr);
  graph::Weights weights(compute, 1);
  const std::array<int64_t, 2> shape{n_out, n_in};
  weights.declare("weight", type, shape);
  weights.allocate();
  weights.upload("weight", packed);

  Runner runner(compute, 16);
  runner.build([&](GraphBuilder& g) {
    g.output("y", ggml_mul_mat(g, weights.at("weight"), g.input("x", GGML_TYPE_F32, {n_in, n_columns})));
  });
  runner.set("x", x);
  runner.compute();

  std::vector<double> expected;
  for (int64_t column = 0; column < n_columns; ++column) {
    for (int64_t row = 0; row < n_out; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < n_in; ++i) sum += static_cast<double>(w[row * n_in + i]) * x[column * n_in + i];
      expected.push_back(sum);
    }
  }
  const std::string device = ggml_backend_dev_name(compute.device());
  return compare(std::string("matrix product, ") + ggml_type_name(type) + ", " + device,
                 nmse(runner.get("y"), expected), tolerance);
}

/// Squares its input, each thread a share of the rows.
struct SquareRows {
  void run(ggml_tensor* dst, int ith, int nth) const noexcept {
    const auto [first, last] = graph::share(ggml_nrows(dst), ith, nth);
    const auto* x = static_cast<const float*>(dst->src[0]->data);
    auto* y = static_cast<float*>(dst->data);
    for (int64_t i = first * dst->ne[0]; i < last * dst->ne[0]; ++i) y[i] = x[i] * x[i];
  }
};

Check custom_node(const Compute& compute) {
  const std::vector<float> x = noise(n_in * n_out, 3);
  const SquareRows square;
  Runner runner(compute, 16);
  runner.build([&](GraphBuilder& g) {
    const std::array sources{g.input("x", GGML_TYPE_F32, {n_in, n_out})};
    g.output("y", graph::custom(g, square, GGML_TYPE_F32, {n_in, n_out, 1, 1}, sources));
  });
  runner.set("x", x);
  runner.compute();
  std::vector<double> expected;
  for (const float value : x) expected.push_back(static_cast<double>(value) * value);
  return compare("our own kind of node", nmse(runner.get("y"), expected), 1e-12);
}

/// Asks for a stop from inside the graph, as a user does while it runs.
struct StopHere {
  std::stop_source* source;
  void run(ggml_tensor*, int ith, int) const noexcept {
    if (ith == 0) source->request_stop();
  }
};
struct MarkReached {
  bool* reached;
  void run(ggml_tensor*, int ith, int) const noexcept {
    if (ith == 0) *reached = true;
  }
};

Check cancelling(const Compute& compute) {
  std::stop_source source;
  bool reached_end = false;
  const StopHere stop{&source};
  const MarkReached mark{&reached_end};
  Runner runner(compute, 64);
  runner.build([&](GraphBuilder& g) {
    graph::Tensor y = g.input("x", GGML_TYPE_F32, {8});
    y = graph::custom(g, stop, GGML_TYPE_F32, {8, 1, 1, 1}, std::array{y});
    for (int i = 0; i < 8; ++i) y = ggml_scale(g, y, 0.5F);
    g.output("y", graph::custom(g, mark, GGML_TYPE_F32, {8, 1, 1, 1}, std::array{y}));
  });
  runner.set("x", std::vector<float>(8, 1.0F));
  const std::string name = "cancelling a running graph";
  try {
    runner.compute(source.get_token());
  } catch (const graph::GraphError& error) {
    if (error.code() != "cancelled") throw;
    return {name, !reached_end, reached_end ? "It said cancelled, but ran to its end." : "It stopped midway."};
  }
  return {name, false, "It ran to its end."};
}

}  // namespace

std::vector<Check> self_test(const graph::Ggml& ggml) {
  std::vector<Check> checks;
  const auto run = [&](const std::string& name, const std::function<Check()>& check) {
    checks.push_back(guarded(name, check));
  };
  for (ggml_backend_dev_t device : ggml.devices()) {
    const std::string name = ggml_backend_dev_name(device);
    run(name, [&] {
      const Compute compute(ggml, device);
      const bool on_cpu = graph::is_cpu(device);
      // Vulkan keeps tiles of f32 products in f16; see the op tests.
      run("f32, " + name, [&] { return matrix_product(compute, GGML_TYPE_F32, on_cpu ? 1e-10 : 1e-5); });
      run("f16, " + name, [&] { return matrix_product(compute, GGML_TYPE_F16, 1e-5); });
      run("q8_0, " + name, [&] { return matrix_product(compute, GGML_TYPE_Q8_0, 1e-3); });
      return Check{"device " + name + " starts", true, std::to_string(compute.n_threads()) + " CPU threads"};
    });
  }
  const auto on_cpu = [&](Check (*check)(const Compute&)) {
    return [&, check] { return check(Compute(ggml, ggml.cpu_device())); };
  };
  run("random numbers", random_numbers);
  run("our own kind of node", on_cpu(custom_node));
  run("cancelling a running graph", on_cpu(cancelling));
  return checks;
}

}  // namespace lutra::addon
