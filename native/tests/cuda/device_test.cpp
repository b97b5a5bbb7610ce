// Whole models on the emulated card, through the very interface that the shared library exports, against the processor.
// usage: cuda-device-test <shipped libraries> <folder of our CPU module> <tests/golden/text>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>

#include "core/npy.h"
#include "cuda/device_session.h"
#include "graph/error.h"
#include "launch.h"
#include "testing.h"
#include "text/session.h"

extern "C" const lutra::cuda::Interface* lutra_cuda_interface();

namespace {

using namespace lutra;
namespace fs = std::filesystem;

int failures = 0;

void check(bool holds, const std::string& promise) {
  std::printf("%s %s\n", holds ? "ok    " : "FAILED", promise.c_str());
  failures += holds ? 0 : 1;
}

void refused(const std::string& promise, const std::string& code, const std::string& part,
             const std::function<void()>& action) {
  try {
    action();
  } catch (const graph::GraphError& error) {
    const bool is_told = error.code() == code && std::string(error.what()).find(part) != std::string::npos;
    if (!is_told) std::printf("       said: %s: %s\n", error.code().c_str(), error.what());
    check(is_told, promise);
    return;
  }
  check(false, promise + " (nothing was thrown)");
}

double worst_share(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return INFINITY;
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(actual[i])) return INFINITY;
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
  }
  return worst / static_cast<double>(*most - *least);
}

std::vector<std::int32_t> some_tokens(std::size_t count, std::int64_t vocab_size) {
  std::vector<std::int32_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<std::int32_t>(i * 37 % static_cast<size_t>(vocab_size));
  return tokens;
}

/// The library that models are loaded with, and the processor beside it.
struct Machine {
  const cuda::Library* library;
  const graph::Compute* compute;
};

std::unique_ptr<cuda::DeviceLlama> load(const Machine& machine, const fs::path& folder,
                                        std::size_t computer_bytes = 0) {
  const cuda::Room room{.context_size = 512, .computer_bytes = computer_bytes};
  return cuda::DeviceLlama::load(*machine.library, machine.library->cards().at(0), folder.string(), room,
                                 *machine.compute, lut::Precision::exact);
}

/// The card has that much memory in all, until the end of this.
class SmallCard {
 public:
  explicit SmallCard(std::size_t bytes) : before_(cuda::emulate::card().memory_bytes) {
    cuda::emulate::card().memory_bytes = bytes;
  }
  SmallCard(const SmallCard&) = delete;
  SmallCard& operator=(const SmallCard&) = delete;
  ~SmallCard() { cuda::emulate::card().memory_bytes = before_; }

 private:
  std::size_t before_;
};

/// What the logits must be. Some random models turn every rounding of the activations into another mix of what
/// attention sees: those are measured by PyTorch's logits with the same numbers rounded to f16.
std::vector<float> expected_logits(const core::NpzArchive& archive) {
  const auto f16 = archive.find("f16_logits");
  return (f16 == archive.end() ? archive.at("logits") : f16->second).to_floats();
}
constexpr double allowed_share = 2e-3;

/// Every family and format: all positions at once, then the same tokens step by step through the graph.
void compare(const Machine& machine, const fs::path& folder) {
  const std::string name = folder.filename().string();
  const auto archive = core::read_npz((folder / "expected.npz").string());
  const auto expected = expected_logits(*archive);
  const core::NpyArray& array = archive->at("tokens");
  std::vector<std::int32_t> tokens(array.bytes.size() / sizeof(std::int32_t));
  std::memcpy(tokens.data(), array.bytes.data(), array.bytes.size());
  const auto model = load(machine, folder);
  const auto width = static_cast<size_t>(model->config().vocab_size);

  const auto whole = cuda::DeviceSession(*model, 512, text::CacheType::f16).add_all_logits(tokens);
  const double share = worst_share(whole, expected);
  char line[160];
  std::snprintf(line, sizeof line, "%s: logits of all tokens at once are off by %.1e of their range", name.c_str(),
                share);
  check(share < allowed_share, line);

  cuda::DeviceSession steps(*model, 512, text::CacheType::f16);
  text::Sampler likeliest({.temperature = 0, .repeat_penalty = 1});
  const size_t count = std::min<size_t>(tokens.size(), 6);
  std::vector<float> logits(width);
  double worst = 0;
  bool is_likeliest = true;
  for (size_t i = 0; i < count; ++i) {
    const std::int32_t next = steps.follow(tokens[i], likeliest, logits);
    worst = std::max(worst, worst_share(logits, std::span(expected).subspan(i * width, width)));
    is_likeliest = is_likeliest && next == std::max_element(logits.begin(), logits.end()) - logits.begin();
  }
  std::snprintf(line, sizeof line, "%s: and step by step by %.1e", name.c_str(), worst);
  check(worst < allowed_share, line);
  check(is_likeliest, name + ": what is drawn at no temperature is the likeliest");
}

/// A card that has room for one of two layers: the processor runs the other, and the answers are the same.
void split(const Machine& machine, const fs::path& folder) {
  const std::string name = folder.filename().string();
  const auto archive = core::read_npz((folder / "expected.npz").string());
  const auto expected = expected_logits(*archive);
  const auto whole = load(machine, folder);
  const auto width = static_cast<size_t>(whole->config().vocab_size);
  const auto tokens = some_tokens(20, whole->config().vocab_size);

  size_t free_bytes = 0;
  size_t total_bytes = 0;
  static_cast<void>(cudaMemGetInfo(&free_bytes, &total_bytes));
  std::unique_ptr<cuda::DeviceLlama> model;
  constexpr size_t step = 10'000;
  size_t room = total_bytes - free_bytes;
  while (!model) {
    const SmallCard card(room += step);
    try {
      model = load(machine, folder);
    } catch (const graph::GraphError& error) {
      if (error.code() != "out-of-memory") throw;
    }
  }
  check(model->layers_on_card() == 1 && model->first_layers() != nullptr &&
            model->kernel().find("; ") != std::string::npos && model->weight_bytes() > 0,
        name + ": a card with room for one layer takes the last one");
  const core::NpyArray& array = archive->at("tokens");
  std::vector<std::int32_t> known(array.bytes.size() / sizeof(std::int32_t));
  std::memcpy(known.data(), array.bytes.data(), array.bytes.size());
  const auto logits = cuda::DeviceSession(*model, 512, text::CacheType::f16).add_all_logits(known);
  const double share = worst_share(logits, expected);
  char line[160];
  std::snprintf(line, sizeof line, "%s: a model cut in two is off by %.1e of the range", name.c_str(), share);
  check(share < allowed_share, line);

  const auto answer = [&](cuda::DeviceLlama& llama) {
    cuda::DeviceSession chat(llama, 64, text::CacheType::f16);
    text::Sampler likeliest({.temperature = 0, .repeat_penalty = 1});
    chat.read(tokens, {}, {});
    std::vector<std::int32_t> result{chat.draw(likeliest)};
    while (result.size() < 8) result.push_back(chat.follow(result.back(), likeliest, std::stop_token()));
    return result;
  };
  check(answer(*model) == answer(*whole), name + ": and writes the tokens of the whole");

  auto chat = std::make_unique<cuda::DeviceSession>(*model, 64, text::CacheType::f16);
  text::Sampler likeliest({.temperature = 0, .repeat_penalty = 1});
  chat->read(tokens, {}, {});
  std::vector<float> once(width);
  std::vector<float> again(width);
  chat->follow(7, likeliest, once);
  static_cast<void>(chat->keep_prefix(tokens));
  chat->follow(tokens.back(), likeliest, again);
  chat->follow(7, likeliest, again);
  check(worst_share(again, once) < 1e-4, name + ": what was taken back is forgotten in both parts");

  chat.reset();
  model.reset();
  const SmallCard card(room);
  refused(name + ": without memory for the other layers either, the sentence tells of both", "out-of-memory",
          "1 of 2 layers fit on Emulated card", [&] { load(machine, folder, 1000); });
}

/// What a chat does.
void keep_a_conversation(const Machine& machine, const fs::path& folder) {
  const auto model = load(machine, folder);
  const auto tokens = some_tokens(270, model->config().vocab_size);
  const auto width = static_cast<size_t>(model->config().vocab_size);
  const auto whole = cuda::DeviceSession(*model, 512, text::CacheType::f16).add_all_logits(tokens);
  const auto last = std::span(whole).last(width);

  cuda::DeviceSession pieces(*model, 512, text::CacheType::f16);
  text::Sampler likeliest({.temperature = 0, .repeat_penalty = 1});
  pieces.read(std::span(tokens).first(254), {}, {});
  const auto before = cuda::emulate::counts();
  std::vector<float> logits(width);
  for (size_t i = 254; i < tokens.size(); ++i) pieces.follow(tokens[i], likeliest, logits);
  const auto after = cuda::emulate::counts();
  check(worst_share(logits, last) < 5e-3, "a prompt and then steps, across pages, give the logits of the whole");
  check(after.captures - before.captures == 1 && after.graph_launches - before.graph_launches == 15,
        "after the first step every step is one launch of one graph");
  check(pieces.keep_prefix(tokens) == 269, "a beginning that is there already is kept, all but its last token");
  pieces.follow(tokens.back(), likeliest, logits);
  check(worst_share(logits, last) < 5e-3, "and its last token computed anew gives the same");

  std::vector<float> again(width);
  static_cast<void>(pieces.keep_prefix(tokens));
  pieces.follow(tokens.back(), likeliest, again);
  check(logits == again, "the same step again has the same bits");

  cuda::DeviceSession bytes(*model, 512, text::CacheType::q8);
  bytes.read(std::span(tokens).first(269), {}, {});
  bytes.follow(tokens.back(), likeliest, logits);
  char line[120];
  const double share = worst_share(logits, last);
  std::snprintf(line, sizeof line, "a cache in bytes is off by %.1e of the range", share);
  check(share < 3e-2, line);

  int seen = 0;
  cuda::DeviceSession looked(*model, 512, text::CacheType::f16);
  looked.set_look([&](std::int64_t layer, std::span<float> residual) {
    ++seen;
    if (layer == 0) std::fill(residual.begin(), residual.end(), 0.0F);
    return layer == 0;
  });
  const auto silenced = looked.add_all_logits(std::span(tokens).first(20));
  check(seen == static_cast<int>(model->config().num_hidden_layers) &&
            worst_share(silenced, std::span(whole).first(20 * width)) > 1e-2,
        "the residual stream can be looked at and replaced between layers");
}

/// An answer, token by token, is the processor's: the same draws from nearly the same logits.
void answer_alike(const Machine& machine, const fs::path& folder) {
  const auto on_card = load(machine, folder);
  const auto on_cpu = text::Llama::load(folder.string(), *machine.compute, lut::Precision::exact);
  const auto prompt = some_tokens(20, on_card->config().vocab_size);
  const text::SamplerOptions options{.temperature = 0.8F, .top_k = 30, .seed = 11};
  const auto answer = [&](text::Conversation& conversation) {
    text::Sampler sampler(options);
    conversation.read(prompt, {}, {});
    std::vector<std::int32_t> result{conversation.draw(sampler)};
    while (result.size() < 12) result.push_back(conversation.follow(result.back(), sampler, {}));
    return result;
  };
  cuda::DeviceSession card(*on_card, 64, text::CacheType::f16);
  text::Session cpu(*on_cpu, 64, text::CacheType::f32);
  check(answer(card) == answer(cpu), "a seed writes the same answer on the card as on the processor");
}

void refuse_what_cannot_be(const Machine& machine, const fs::path& folder) {
  const auto model = load(machine, folder);
  text::Sampler sampler({});
  cuda::DeviceSession session(*model, 64, text::CacheType::f16);
  refused("more tokens than the context holds are refused with both numbers", "bad-input", "64 tokens, not 65",
          [&] { session.read(some_tokens(65, 160), {}, {}); });
  refused("a token outside the vocabulary is named", "bad-input", "Token 160",
          [&] { session.follow(160, sampler, std::stop_token()); });
  std::stop_source stopped;
  stopped.request_stop();
  refused("work that was told to stop stops", "cancelled", "Cancelled",
          [&] { session.read(some_tokens(8, 160), stopped.get_token(), {}); });

  size_t free_bytes = 0;
  size_t total_bytes = 0;
  static_cast<void>(cudaMemGetInfo(&free_bytes, &total_bytes));
  {
    const SmallCard card(total_bytes - free_bytes + 30'000);  // less than a layer or a page
    refused("a model of which the card cannot hold a layer is refused with the numbers", "out-of-memory", "MB free of",
            [&] { load(machine, folder); });
    refused("a chat that grows beyond the card's memory ends with a sentence", "out-of-memory", "more are needed",
            [&] { session.read(some_tokens(8, 160), {}, {}); });
  }
  session.read(some_tokens(8, 160), {}, {});
  check(session.tokens().size() == 8, "and goes on when there is memory again");
}

void look_for_cards(const fs::path& folder) {
  auto& card = cuda::emulate::card();
  const auto reason = [] { return cuda::Library(*lutra_cuda_interface()).reason(); };
  card.devices = 0;
  check(reason().find("no graphics card") != std::string::npos, "without a card the reason says so");
  card.devices = 1;
  card.major = 7;
  check(reason().find("compute capability 7.0") != std::string::npos, "too old a card is named with what it lacks");
  card.major = 8;
  check(reason().empty(), "a card that can is taken");
  check(cuda::Library(folder.string() + "/nothing.so").reason().find("not built") != std::string::npos,
        "a library that is not there is no error");
  check(cuda::Library((folder / "README.md").string()).reason().find("do not load") != std::string::npos,
        "nor is a file that is no library");
  check(cuda::Library(LUTRA_OTHER_VERSION).reason().find("another version") != std::string::npos,
        "a library of another version is not called");
  const cuda::Library opened(LUTRA_EMULATION);
  check(opened.reason().empty() && opened.cards().size() == 1 && opened.cards()[0].facts.memory_free_bytes > 0,
        "one that fits is opened, and its card told with its memory");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: cuda-device-test <shipped libraries> <our libraries> <tests/golden/text>\n", stderr);
    return 2;
  }
  const auto& ggml = graph::Ggml::load(testing::library_paths(argv[1], argv[2]));
  const graph::Compute compute(ggml, ggml.cpu_device(), 1);
  const fs::path golden = argv[3];
  look_for_cards(golden);
  const cuda::Library library(*lutra_cuda_interface());
  const Machine machine{&library, &compute};
  int families = 0;
  for (const auto& entry : fs::directory_iterator(golden)) {
    if (!entry.is_directory()) continue;
    try {
      compare(machine, entry.path());
      ++families;
    } catch (const graph::GraphError& error) {
      check(false, entry.path().filename().string() + ": " + error.what());
    }
  }
  check(families == 10, "every golden model was compared");
  split(machine, golden / "llama32-bf16");   // the embedding is the head
  split(machine, golden / "llama-bnb-nf4");  // it is not, and weights are packed
  keep_a_conversation(machine, golden / "llama32-bf16");
  answer_alike(machine, golden / "qwen3-bf16");
  refuse_what_cannot_be(machine, golden / "llama32-bf16");
  return failures == 0 ? 0 : 1;
}
