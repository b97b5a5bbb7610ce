// What loader, weights and runner promise besides right numbers.
// usage: graph-promises-test <shipped libraries> <folder of our CPU module> [<device>]
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "graph/error.h"
#include "graph/ops.h"
#include "testing.h"

using namespace lutra;           // NOLINT
using namespace lutra::testing;  // NOLINT
namespace fs = std::filesystem;

namespace {

int n_failed = 0;  // NOLINT

void check(bool holds, const std::string& promise) {
  if (holds) return;
  ++n_failed;
  std::printf("FAILED %s\n", promise.c_str());
}

void fails_with(const std::string& code, const std::function<void()>& action, const std::string& promise) {
  try {
    action();
  } catch (const graph::GraphError& error) {
    if (error.code() != code) std::printf("  it said %s: %s\n", error.code().c_str(), error.what());
    check(error.code() == code, promise);
    return;
  }
  check(false, promise + " (nothing was thrown)");
}

void loading(const std::string& shipped, const std::string& own) {
  fails_with("engine-unavailable", [] { graph::Ggml::instance(); }, "ggml cannot be used before it is loaded");

  const fs::path folder = fs::temp_directory_path() / ("lutra-graph-" + std::to_string(getpid()));
  fs::create_directories(folder);
  graph::LibraryPaths missing = library_paths(shipped, "");
  missing.base = (folder / "libggml-base.so").string();
  fails_with("file-access", [&] { graph::Ggml::load(missing); }, "a missing library is named");
  std::ofstream(missing.base) << "not a library";
  fails_with("file-access", [&] { graph::Ggml::load(missing); }, "a damaged library is refused");

  // A broken CPU module of ours leads to the shipped one, and the note says why.
  graph::LibraryPaths paths = library_paths(shipped, "");
  const std::string broken = (folder / "libggml-cpu-broken.so").string();
  std::ofstream(broken) << "not a module";
  paths.cpu_modules = {broken};
  const graph::Ggml& ggml = graph::Ggml::load(paths);
  check(!ggml.cpu_module().is_own, "a damaged CPU module of ours is not used");
  check(ggml.cpu_module().note.find("libggml-cpu-broken") != std::string::npos, "the note says what was wrong with it");
  check(ggml.cpu_module().path.starts_with(shipped), "the shipped CPU module takes its place");
  check(!ggml.unavailable().empty(), "a backend that is not there is told, with a reason");
  check(ggml.devices().back() == ggml.cpu_device(), "the CPU is a device");
  check(!graph::describe(ggml.cpu_device()).features.empty(), "the CPU tells its instruction sets");

  check(&graph::Ggml::load(library_paths(shipped, own)) == &ggml, "loading again is free");
  graph::LibraryPaths other = paths;
  other.base = missing.base;
  fails_with("conflict", [&] { graph::Ggml::load(other); }, "a second ggml in one process is refused");
  fails_with("not-found", [&] { graph::device_named(ggml, "Abacus7"); }, "an unknown device is named");
  fs::remove_all(folder);
}

void weights(const Compute& compute) {
  constexpr std::array<int64_t, 2> shape{3, 32};
  Weights weights(compute, 2);
  weights.declare("a.weight", GGML_TYPE_F32, shape);
  check(weights.at("a.weight")->ne[0] == 32, "a checkpoint's shape is turned to ggml's order");
  fails_with("bad-file", [&] { weights.declare("a.weight", GGML_TYPE_F32, shape); }, "a tensor comes once");
  fails_with(
      "bad-file", [&] { weights.declare("b", GGML_TYPE_Q8_0, std::array<int64_t, 2>{32, 3}); },
      "rows fill their blocks");
  fails_with(
      "bad-file", [&] { weights.declare("b", GGML_TYPE_F32, std::array<int64_t, 5>{1, 1, 1, 1, 1}); },
      "four dimensions");
  fails_with("bad-file", [&] { weights.declare("b", GGML_TYPE_F32, std::array<int64_t, 1>{0}); }, "no empty tensors");
  fails_with("internal", [&] { weights.upload("a.weight", {}); }, "nothing is uploaded before memory is there");
  weights.allocate();
  const std::vector<float> values(96);
  const auto bytes = std::as_bytes(std::span(values));
  weights.upload("a.weight", bytes);
  fails_with("bad-file", [&] { weights.upload("a.weight", bytes.first(380)); }, "a short tensor is refused");
  fails_with("bad-file", [&] { weights.upload("c", bytes); }, "a missing tensor is named");
  fails_with("internal", [&] { weights.declare("d", GGML_TYPE_F32, shape); }, "nothing is added later");
  check(graph::Scope(weights, "a.").optional("bias") == nullptr, "an optional tensor may be missing");

  Weights huge(compute, 1);
  huge.declare("huge", GGML_TYPE_F32, std::array<int64_t, 2>{int64_t{1} << 24, int64_t{1} << 24});
  fails_with("out-of-memory", [&] { huge.allocate(); }, "too large a model is refused, not fatal");
}

void running(const Compute& compute) {
  Runner runner(compute, 64);
  fails_with("internal", [&] { runner.compute(); }, "a graph is built before it runs");
  runner.build([](GraphBuilder& g) { g.output("y", ggml_scale(g, g.input("x", GGML_TYPE_F32, {4}), 2.0F)); });
  fails_with("internal", [&] { runner.set("z", std::vector<float>(4)); }, "an unknown input is named");
  fails_with("internal", [&] { runner.set("x", std::vector<float>(5)); }, "an input has its size");
  fails_with("internal", [&] { static_cast<void>(runner.get("z")); }, "an unknown output is named");
  for (const float value : {1.0F, -3.0F}) {
    runner.set("x", std::vector<float>(4, value));
    runner.compute();
    check(runner.get("y") == std::vector<float>(4, 2 * value), "a graph runs many times");
  }
  runner.build([](GraphBuilder& g) { g.output("y", ggml_sqr(g, g.input("x", GGML_TYPE_F32, {2}))); });
  runner.set("x", std::vector<float>{3, 4});
  runner.compute();
  check(runner.get("y") == std::vector<float>{9, 16}, "a runner takes another graph");

  fails_with(
      "not-supported",
      [&] {
        runner.build([](GraphBuilder& g) {
          g.output("y", ggml_argsort(g, g.input("x", GGML_TYPE_F32, {4}), GGML_SORT_ORDER_ASC));
        });
      },
      "an op outside the allow-list is refused, not fatal");
  fails_with("internal", [&] { runner.compute(); }, "a refused graph does not run");
}

/// Copies its input, and asks for a stop from within the graph once it is armed.
struct StopAt {
  std::stop_source* source;
  void run(ggml_tensor* dst, int ith, int) const noexcept {
    if (ith != 0) return;
    std::copy_n(static_cast<const float*>(dst->src[0]->data), ggml_nelements(dst), static_cast<float*>(dst->data));
    if (source != nullptr) source->request_stop();
  }
};

/// A stop in the middle: nothing after it may run, neither on the device nor on the CPU beside it. The last node before
/// each output triples, so that a value on its way there is not mistaken for one that has arrived.
void cancelling(Runner& runner) {
  std::stop_source source;
  StopAt stop{nullptr};
  const StopAt pass{nullptr};
  constexpr std::array<int64_t, 4> ne{4, 1, 1, 1};
  runner.build([&](GraphBuilder& g) {
    Tensor x = ggml_scale(g, g.input("x", GGML_TYPE_F32, {4}), 2.0F);
    Tensor y = graph::custom(g, stop, GGML_TYPE_F32, ne, std::array{x});
    for (int i = 0; i < 1000; ++i) y = ggml_scale(g, y, 1.0F);
    y = ggml_scale(g, y, 3.0F);
    g.output("on the device", y);
    y = graph::custom(g, pass, GGML_TYPE_F32, ne, std::array{y});
    g.output("at the end", ggml_scale(g, y, 3.0F));
  });
  const auto holds = [&](const char* output, float value) {
    return runner.get(output) == std::vector<float>(4, value);
  };
  const auto fill = [&](float value) { runner.set("x", std::vector<float>(4, value)); };
  fill(1);
  runner.compute(source.get_token());
  check(holds("on the device", 6) && holds("at the end", 18), "a graph that may be stopped runs to its end");

  stop.source = &source;
  fill(5);
  fails_with("cancelled", [&] { runner.compute(source.get_token()); }, "a stop from within ends the run");
  check(!holds("on the device", 30), "after a stop the device computes no more");
  check(!holds("at the end", 90), "after a stop the CPU computes no more");
  fill(7);
  fails_with("cancelled", [&] { runner.compute(source.get_token()); }, "a stop from before starts no run");
  check(!holds("on the device", 42), "a stop from before runs nothing");
  fill(5);
  runner.compute();
  check(holds("on the device", 30) && holds("at the end", 90), "a cancelled graph runs again");
}

void sharing() {
  for (const int64_t n_items : {0, 1, 7, 64}) {
    for (const int nth : {1, 2, 3, 16}) {
      int64_t expected_first = 0;
      for (int ith = 0; ith < nth; ++ith) {
        const auto [first, last] = graph::share(n_items, ith, nth);
        check(first == std::min(expected_first, n_items) && last >= first, "shares follow one another");
        expected_first = last;
      }
      check(expected_first == n_items, "shares cover everything");
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 && count != 4) {
    std::fputs("usage: graph-promises-test <shipped libraries> <our libraries> [<device>]\n", stderr);
    return 2;
  }
  const std::string shipped = arguments[1];
  if (shipped.empty()) {
    std::printf("SKIPPED: the platform package is not installed.\n");
    return skipped;
  }
  try {
    if (count == 4) {
      const graph::Ggml& ggml = graph::Ggml::load(library_paths(shipped, arguments[2]));
      const Compute compute(ggml, graph::device_named(ggml, arguments[3]), 2);
      Runner runner(compute, 2048);
      cancelling(runner);
      check(runner.runs_on_device("on the device"), "the graph ran on the device");
      std::printf("%d failed\n", n_failed);
      std::fflush(stdout);
      // Without destructors: Mesa's software driver touches buffers after their end.
      std::_Exit(n_failed == 0 ? 0 : 1);
    } else {
      loading(shipped, arguments[2]);
      const graph::Ggml& ggml = graph::Ggml::instance();
      const Compute compute(ggml, ggml.cpu_device(), 2);
      weights(compute);
      running(compute);
      Runner runner(compute, 2048);
      cancelling(runner);
      sharing();
    }
  } catch (const graph::GraphError& error) {
    const bool is_missing = count == 4 && error.code() == "not-found";
    std::printf("%s: %s\n", is_missing ? "SKIPPED" : "FAILED", error.what());
    return is_missing ? skipped : 1;
  }
  std::printf("%d failed\n", n_failed);
  return n_failed == 0 ? 0 : 1;
}
