// Language models against transformers, on tiny checkpoints of each family and format.
// usage: text-test <shipped libraries> <folder of our CPU module> <tests/golden/text>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <tuple>

#include "core/npy.h"
#include "graph/error.h"
#include "testing.h"
#include "text/session.h"

namespace {

using namespace lutra;
namespace fs = std::filesystem;

int failures = 0;

void check(bool holds, const std::string& promise) {
  std::printf("%s %s\n", holds ? "ok    " : "FAILED", promise.c_str());
  failures += holds ? 0 : 1;
}

std::vector<std::int32_t> tokens_of(const core::NpzArchive& archive) {
  const core::NpyArray& array = archive.at("tokens");
  std::vector<std::int32_t> tokens(array.bytes.size() / sizeof(std::int32_t));
  std::memcpy(tokens.data(), array.bytes.data(), array.bytes.size());
  return tokens;
}

void compare(const fs::path& folder, const graph::Compute& compute) {
  const std::string name = folder.filename().string();
  const auto archive = core::read_npz((folder / "expected.npz").string());
  const auto expected = archive->at("logits").to_floats();
  const auto tokens = tokens_of(*archive);
  const auto model = text::Llama::load(folder.string(), compute, lut::Precision::exact);
  const auto actual = text::Session(*model, 512, text::CacheType::f32).add_all_logits(tokens);
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
  const double share = worst / (*most - *least);
  char text[160];
  std::snprintf(text, sizeof text, "%s: the logits are transformers' (worst error %.1e of their range)", name.c_str(),
                share);
  check(actual.size() == expected.size() && share < 1e-4, text);

  const auto width = static_cast<size_t>(model->config().vocab_size);
  bool same = true;
  for (size_t at = 0; at < tokens.size(); ++at) {
    const auto best = [&](const std::vector<float>& logits) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(at * width);
      return std::max_element(begin, begin + static_cast<std::ptrdiff_t>(width)) - begin;
    };
    same = same && best(actual) == best(expected);
  }
  check(same, name + ": the likeliest token is the same everywhere");
}

void refused(const std::string& promise, const std::string& part, const std::function<void()>& action);

double worst_share(std::span<const float> actual, std::span<const float> expected) {
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
  return worst / static_cast<double>(*most - *least);
}

/// What a chat does: tokens one by one and in pieces, taken back, and kept in each kind of cache.
void keep_a_conversation(const fs::path& golden, const graph::Compute& compute) {
  const auto model = text::Llama::load(golden.string(), compute, lut::Precision::exact);
  const auto width = static_cast<size_t>(model->config().vocab_size);
  std::vector<std::int32_t> tokens(300);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i * 37 % width);
  const auto whole = text::Session(*model, 512, text::CacheType::f32).add_all_logits(tokens);
  const auto last = std::span(whole).last(width);

  text::Session steps(*model, 512, text::CacheType::f32);
  for (const std::int32_t token : tokens) steps.add(std::span(&token, 1));
  check(worst_share(steps.add(std::span(tokens).first(1)), last) > 1e-3, "another token gives other logits");
  check(steps.keep_prefix(tokens) == 299, "a beginning that is there already is kept, all but its last token");
  check(worst_share(steps.add(std::span(tokens).last(1)), last) < 1e-5,
        "one by one, across blocks of the cache, the logits are those of the whole");
  auto other = tokens;
  other[100] = 1;
  check(steps.keep_prefix(other) == 100, "what differs is forgotten");
  check(worst_share(steps.add(std::span(tokens).subspan(100)), last) < 1e-5, "and can be computed anew");

  for (const auto& [type, name, most] :
       {std::tuple{text::CacheType::f16, "f16", 2e-3}, std::tuple{text::CacheType::q8, "q8", 3e-2}}) {
    text::Session session(*model, 512, type);
    const double share = worst_share(session.add(tokens), last);
    char line[120];
    std::snprintf(line, sizeof line, "a cache in %s is off by %.1e of the range", name, share);
    check(share < most, line);
  }
  text::Session small(*model, 64, text::CacheType::f16);
  refused("more tokens than the context holds are refused with both numbers", "64 tokens, not 300",
          [&] { small.add(tokens); });

  int seen = 0;
  text::Session tapped(*model, 512, text::CacheType::f32);
  tapped.set_tap([&](graph::GraphBuilder& g, std::int64_t layer, graph::Tensor x) {
    ++seen;
    return layer == 0 ? ggml_scale(g, x, 0.0F) : x;
  });
  const auto silenced = tapped.add(tokens);
  check(seen == static_cast<int>(model->config().num_hidden_layers) && worst_share(silenced, last) > 1e-2,
        "the residual stream can be looked at and replaced between layers");
}

/// 8-bit products stay close to exact ones.
void compare_fast(const fs::path& folder, const graph::Compute& compute) {
  const auto archive = core::read_npz((folder / "expected.npz").string());
  const auto expected = archive->at("logits").to_floats();
  const auto model = text::Llama::load(folder.string(), compute, lut::Precision::fast);
  const auto actual = text::Session(*model, 512, text::CacheType::f16).add_all_logits(tokens_of(*archive));
  double difference = 0;
  double power = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - static_cast<double>(expected[i]), 2);
    power += std::pow(static_cast<double>(expected[i]), 2);
  }
  const double share = std::sqrt(difference / power);
  char line[160];
  std::snprintf(line, sizeof line, "%s: fast logits are off by %.1f %%", folder.filename().c_str(), 100 * share);
  // Random weights amplify every rounding: a trained model loses far less (see the perplexity test).
  check(share < 0.12, line);
}

void refused(const std::string& promise, const std::string& part, const std::function<void()>& action) {
  try {
    action();
  } catch (const graph::GraphError& error) {
    const bool is_named = std::string(error.what()).find(part) != std::string::npos;
    if (!is_named) std::printf("       said: %s\n", error.what());
    check(is_named, promise);
    return;
  }
  check(false, promise + " (nothing was thrown)");
}

/// A copy of a golden folder with one text in its config replaced.
class Damaged {
 public:
  Damaged(const fs::path& golden, const std::string& from, const std::string& to) {
    path_ = fs::temp_directory_path() / ("lutra-text-" + std::to_string(counter++) + "-" +
                                         std::to_string(std::hash<std::string>{}(golden.string() + to)));
    fs::create_directories(path_);
    fs::copy_file(golden / "model.safetensors", path_ / "model.safetensors", fs::copy_options::overwrite_existing);
    std::ifstream input(golden / "config.json");
    std::string text((std::istreambuf_iterator<char>(input)), {});
    const size_t at = text.find(from);
    if (at != std::string::npos) text.replace(at, from.size(), to);
    std::ofstream(path_ / "config.json") << text;
  }
  Damaged(const Damaged&) = delete;
  Damaged& operator=(const Damaged&) = delete;
  ~Damaged() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  static inline int counter = 0;
  fs::path path_;
};

void refuse_what_does_not_add_up(const fs::path& golden, const graph::Compute& compute) {
  const auto load = [&](const std::string& from, const std::string& to) {
    return [&golden, &compute, from, to] {
      const Damaged folder(golden, from, to);
      text::Llama::load(folder.path(), compute, lut::Precision::exact);
    };
  };
  refused("an unknown kind of model is named", "\"wizard\"",
          load("\"model_type\": \"llama\"", "\"model_type\": \"wizard\""));
  refused("absurd numbers are refused before memory is taken", "hidden_size",
          load("\"hidden_size\": 64", "\"hidden_size\": 9000000000"));
  refused("a shape that does not match names the tensor", "model.embed_tokens.weight",
          load("\"vocab_size\": 160", "\"vocab_size\": 161"));
  refused("heads that do not divide are refused", "num_key_value_heads",
          load("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"));
  refused("a missing layer names its tensor", "model.layers.2",
          load("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"));
  refused("unknown rotary scaling is named", "\"yarn\"", load("\"rope_type\": \"llama3\"", "\"rope_type\": \"yarn\""));
  refused("a config that is no JSON is named", "config.json", load("{", "{{"));
  refused("a folder that is not there is named", "config.json",
          [&] { text::Llama::load("/no/such/folder", compute, lut::Precision::exact); });
  const auto model = text::Llama::load(golden.string(), compute, lut::Precision::exact);
  text::Session session(*model, 512, text::CacheType::f32);
  refused("a token outside the vocabulary is named", "Token 160",
          [&] { session.add(std::vector<std::int32_t>{1, 160}); });
  refused("no tokens at all are refused", "not 0", [&] { session.add({}); });
  std::stop_source stopped;
  stopped.request_stop();
  bool is_cancelled = false;
  try {
    session.add(std::vector<std::int32_t>(200, 3), stopped.get_token());
  } catch (const graph::GraphError& error) {
    is_cancelled = error.code() == "cancelled";
  }
  check(is_cancelled, "work that was told to stop stops");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: text-test <shipped libraries> <our libraries> <tests/golden/text>\n", stderr);
    return 2;
  }
  const auto& ggml = graph::Ggml::load(testing::library_paths(argv[1], argv[2]));
  const graph::Compute compute(ggml, ggml.cpu_device(), 2);
  const fs::path golden = argv[3];
  int families = 0;
  for (const auto& entry : fs::directory_iterator(golden)) {
    if (!entry.is_directory()) continue;
    try {
      compare(entry.path(), compute);
      compare_fast(entry.path(), compute);
      ++families;
    } catch (const graph::GraphError& error) {
      check(false, entry.path().filename().string() + ": " + error.what());
    }
  }
  check(families == 10, "every golden model was compared");
  keep_a_conversation(golden / "llama-bnb-nf4", compute);
  refuse_what_does_not_add_up(golden / "llama-bnb-nf4", compute);
  return failures == 0 ? 0 : 1;
}
