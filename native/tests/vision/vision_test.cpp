// Models that look against their reference classes, on tiny checkpoints of each family and format.
// usage: vision-test <shipped libraries> <folder of our CPU module> <tests/golden/vision>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>

#include "core/npy.h"
#include "dense/attention.h"
#include "graph/error.h"
#include "testing.h"
#include "vision/evaluate.h"
#include "vision/mllama.h"
#include "vision/session.h"

namespace {

using namespace lutra;
namespace fs = std::filesystem;

int failures = 0;

void check(bool holds, const std::string& promise) {
  std::printf("%s %s\n", holds ? "ok    " : "FAILED", promise.c_str());
  failures += holds ? 0 : 1;
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

double worst_share(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
  return worst / static_cast<double>(*most - *least);
}

std::vector<std::int32_t> whole(const core::NpyArray& array) {
  std::vector<std::int32_t> result;
  for (const float value : array.to_floats()) result.push_back(static_cast<std::int32_t>(value));
  return result;
}

core::NpzArchive arrays(const fs::path& file) { return core::read_npz(file.string()).value(); }

std::int32_t best(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// The pictures of a folder's inputs, looked at.
vision::Pictures see_all(vision::Model& model, const core::NpzArchive& inputs, text::CacheType type) {
  const core::NpyArray& array = inputs.at("pixel_values");
  const auto values = array.to_floats();
  const size_t batch_dimensions = array.shape.size() == 6 ? 2 : 1;
  const std::vector<std::int64_t> shape(array.shape.begin() + static_cast<std::ptrdiff_t>(batch_dimensions),
                                        array.shape.end());
  size_t size = 1;
  for (const std::int64_t length : shape) size *= static_cast<size_t>(length);
  vision::Pictures pictures;
  for (size_t i = 0; i < values.size() / size; ++i) {
    vision::Pixels pixels;
    pixels.values.assign(values.begin() + static_cast<std::ptrdiff_t>(i * size),
                         values.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
    pixels.shape = shape;
    if (inputs.contains("aspect_ratio_ids")) {
      pixels.aspect_ratio_id = whole(inputs.at("aspect_ratio_ids"))[i];
      const auto mask = whole(inputs.at("aspect_ratio_mask"));
      const auto tiles = static_cast<size_t>(shape[0]);
      for (size_t tile = 0; tile < tiles; ++tile) pixels.tiles.push_back(mask[i * tiles + tile] != 0);
    }
    pictures.push_back(model.keys_of(model.look(pixels, {}), type, {}));
  }
  return pictures;
}

/// The likeliest tokens one by one, after the rest of a prompt that is read in two pieces.
std::vector<std::int32_t> greedy(vision::Session& session, std::span<const std::int32_t> rest, size_t count) {
  if (rest.size() > 2) session.add(rest.first(2));
  auto logits = session.add(rest.subspan(rest.size() > 2 ? 2 : 0));
  std::vector<std::int32_t> tokens;
  while (true) {
    tokens.push_back(best(logits));
    if (tokens.size() == count) return tokens;
    logits = session.add(std::span(&tokens.back(), 1));
  }
}

/// Every stage of a golden folder, and the tokens that follow.
void compare(const fs::path& folder, const graph::Compute& compute) {
  const std::string name = folder.filename().string();
  const auto inputs = arrays(folder / "inputs.npz");
  const auto expected = arrays(folder / "expected.npz");
  const auto model = vision::Model::load(folder.string(), compute, lut::Precision::exact);
  const auto stages = vision::evaluate(*model, inputs, {});
  for (const char* stage : {"vision_features", "cross_attention_states", "logits"}) {
    const auto found = stages.find(stage);
    const core::NpyArray& wanted = expected.at(stage);
    const bool has_shape = found != stages.end() && found->second.shape == wanted.shape;
    const double share = has_shape ? worst_share(found->second.to_floats(), wanted.to_floats()) : 1;
    char text[160];
    std::snprintf(text, sizeof text, "%s: %s are the reference's (worst error %.1e of their range)", name.c_str(),
                  stage, share);
    check(share < 2e-5, text);
  }
  const auto ids = whole(inputs.at("input_ids"));
  const auto wanted = whole(expected.at("greedy_tokens"));
  vision::Session session(*model, 256, text::CacheType::f32);
  const auto pictures = see_all(*model, inputs, text::CacheType::f32);
  const auto* mllama = dynamic_cast<const vision::Mllama*>(model.get());
  vision::Reading reading = model->read(ids, pictures);
  if (mllama != nullptr && !inputs.contains("cross_attention_mask")) {
    reading = {};
    for (size_t i = 0; i < ids.size(); ++i) reading.add(mllama->open_sight(pictures));
    reading.after = mllama->open_sight(pictures);
  }
  session.begin(ids, pictures, reading);
  check(greedy(session, ids, wanted.size()) == wanted, name + ": the tokens that follow are the reference's");
}

/// Attention where the later queries see less, over more keys than are worked on at a time.
void see_as_far_as_told(const graph::Compute& compute) {
  constexpr std::int64_t dim = 128;
  constexpr std::int64_t n = 100;
  constexpr std::int64_t n_keys = 500;
  constexpr dense::ShortSight sight{37, 250};
  const auto attended = [&](std::int64_t keys, const std::optional<dense::ShortSight>& told) {
    dense::Attend attend;
    attend.set_short_sight(told);
    graph::Runner runner(compute);
    runner.build([&](graph::GraphBuilder& g) {
      const auto input = [&](const char* name, std::int64_t count) {
        return g.input(name, GGML_TYPE_F32, {dim, 1, count, 1});
      };
      g.output("y", attend(g, input("q", n), input("k", keys), input("v", keys)));
    });
    const auto of = [&](std::int64_t count, std::uint32_t seed) {
      auto values = testing::noise(static_cast<size_t>(dim * n_keys), seed);
      values.resize(static_cast<size_t>(dim * count));
      return values;
    };
    runner.set("q", of(n, 1));
    runner.set("k", of(keys, 2));
    runner.set("v", of(keys, 3));
    runner.compute();
    return runner.get("y");
  };
  const auto all = attended(n_keys, {});
  const auto few = attended(sight.keys, {});
  const auto told = attended(n_keys, sight);
  constexpr auto split = static_cast<size_t>(dim * sight.first);
  check(worst_share(std::span(told).first(split), std::span(all).first(split)) < 1e-6 &&
            worst_share(std::span(told).subspan(split), std::span(few).subspan(split)) < 1e-6 &&
            worst_share(all, few) > 1e-2,
        "tokens of padding see what is real, and the others everything");
}

std::vector<std::int32_t> with_token(std::vector<std::int32_t> ids, size_t place, std::int32_t token) {
  ids[place] = token;
  return ids;
}

/// What a session does with questions about pictures: follow-ups, other pictures, none, and being stopped.
void keep_a_conversation(const fs::path& folder, const graph::Compute& compute) {
  const std::string name = folder.filename().string();
  const auto inputs = arrays(folder / "inputs.npz");
  const auto model = vision::Model::load(folder.string(), compute, lut::Precision::exact);
  const auto ids = whole(inputs.at("input_ids"));
  const auto pictures = see_all(*model, inputs, text::CacheType::f32);
  const auto fresh = [&](std::span<const std::int32_t> tokens, const vision::Pictures& seen) {
    vision::Session session(*model, 256, text::CacheType::f32);
    session.begin(tokens, seen);
    const auto logits = session.add(tokens);
    return std::vector<float>(logits.begin(), logits.end());
  };
  vision::Session session(*model, 256, text::CacheType::f32);
  session.begin(ids, pictures);
  session.add(ids);
  for (const std::int32_t token : {7, 8, 9}) session.add(std::span(&token, 1));
  auto longer = ids;
  longer.insert(longer.end(), {7, 8, 9, 30, 31});
  const auto kept = session.begin(longer, pictures);
  check(kept == static_cast<std::int64_t>(ids.size()) + 3, name + ": a follow-up question reads only what is new");
  check(worst_share(session.add(std::span(longer).subspan(static_cast<size_t>(kept))), fresh(longer, pictures)) < 1e-5,
        name + ": and is answered as if all were read anew");

  auto turned = see_all(*model, inputs, text::CacheType::f32);
  const auto first_place = std::find(ids.begin(), ids.end(), model->image_token_id()) - ids.begin();
  check(session.begin(longer, turned) <= first_place, name + ": another picture in its place is read again");

  std::vector<std::int32_t> plain = {3, 9, 27, 81, 40, 41};
  const auto kept_of_plain = static_cast<size_t>(session.begin(plain, {}));
  check(worst_share(session.add(std::span(plain).subspan(kept_of_plain)), fresh(plain, {})) < 1e-6,
        name + ": a text without pictures after one with them is read as such");
  check(worst_share(fresh(plain, {}), fresh(with_token(plain, 0, 4), {})) > 1e-3, name + ": and depends on its tokens");

  vision::Session half(*model, 256, text::CacheType::f16);
  const auto half_pictures = see_all(*model, inputs, text::CacheType::f16);
  half.begin(ids, half_pictures);
  check(worst_share(half.add(ids), fresh(ids, pictures)) < 5e-3, name + ": caches in f16 cost little");

  refused(name + ": a text without a place for its picture is refused", "pictur",
          [&] { session.begin(plain, pictures); });
  auto few = pictures;
  few.pop_back();
  refused(name + ": a place without a picture is refused", "pictur", [&] { session.begin(ids, few); });
  std::stop_source stopped;
  stopped.request_stop();
  bool is_cancelled = false;
  try {
    session.begin(ids, pictures);
    session.add(std::vector<std::int32_t>(40, 3), stopped.get_token());
  } catch (const graph::GraphError& error) {
    is_cancelled = error.code() == "cancelled";
  }
  check(is_cancelled, name + ": reading that was told to stop stops");
  is_cancelled = false;
  try {
    const core::NpyArray& array = inputs.at("pixel_values");
    const size_t skipped = array.shape.size() == 6 ? 2 : 1;
    vision::Pixels pixels;
    pixels.shape.assign(array.shape.begin() + static_cast<std::ptrdiff_t>(skipped), array.shape.end());
    size_t size = 1;
    for (const std::int64_t length : pixels.shape) size *= static_cast<size_t>(length);
    pixels.values.assign(size, 0.5F);
    pixels.tiles.assign(static_cast<size_t>(pixels.shape.front()), true);
    static_cast<void>(model->look(pixels, core::Progress(stopped.get_token())));
  } catch (const graph::GraphError& error) {
    is_cancelled = error.code() == "cancelled";
  }
  check(is_cancelled, name + ": looking that was told to stop stops");
}

/// The store keeps what was asked for last, within its limit.
void forget_the_oldest() {
  const text::CacheShape shape{text::CacheType::f32, 1, 16};
  const auto keys = [&] {
    return std::make_shared<const vision::Seen>(
        vision::Seen{{std::make_shared<const vision::PictureKeys>(shape, 1, 8)}, 0, 0});
  };
  const size_t one = keys()->size_bytes();
  vision::PictureStore store(3 * one);
  for (const char* name : {"a", "b", "c"}) store.put(name, keys());
  static_cast<void>(store.find("a"));
  store.put("d", keys());
  check(store.find("a") && !store.find("b") && store.find("c") && store.find("d") && store.size_bytes() == 3 * one,
        "of pictures that take too much, the one not asked for the longest is forgotten");
  store.put("a", keys());
  store.forget("c");
  check(store.size_bytes() == 2 * one && !store.find("c"), "a picture can be forgotten, and seen anew");
}

/// 8-bit products stay close to exact ones, in the tower and after it.
void compare_fast(const fs::path& folder, const graph::Compute& compute) {
  const auto inputs = arrays(folder / "inputs.npz");
  const auto expected = arrays(folder / "expected.npz");
  const auto model = vision::Model::load(folder.string(), compute, lut::Precision::fast);
  const auto stages = vision::evaluate(*model, inputs, {});
  for (const char* stage : {"vision_features", "logits"}) {
    const auto wanted = expected.at(stage).to_floats();
    const auto actual = stages.at(stage).to_floats();
    double difference = 0;
    double power = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      difference += std::pow(static_cast<double>(actual[i]) - static_cast<double>(wanted[i]), 2);
      power += std::pow(static_cast<double>(wanted[i]), 2);
    }
    char line[160];
    std::snprintf(line, sizeof line, "%s: fast %s are off by %.1f %%", folder.filename().c_str(), stage,
                  100 * std::sqrt(difference / power));
    check(std::sqrt(difference / power) < 0.12, line);
  }
}

/// A copy of a golden folder with one text in its config replaced.
class Damaged {
 public:
  Damaged(const fs::path& golden, const std::string& from, const std::string& to) {
    path_ = fs::temp_directory_path() / ("lutra-vision-" + std::to_string(counter++) + "-" +
                                         std::to_string(std::hash<std::string>{}(golden.string() + to)));
    fs::create_directories(path_);
    fs::create_symlink(fs::absolute(golden / "model.safetensors"), path_ / "model.safetensors");
    std::ifstream input(golden / "config.json");
    std::string text((std::istreambuf_iterator<char>(input)), {});
    const size_t at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error("the config has no " + from);
    text.replace(at, from.size(), to);
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
  struct Hostile {
    const char* folder;
    const char* from;
    const char* to;
    const char* named;
  };
  for (const auto& [folder, from, to, named] : {
           Hostile{"evlm-dense", R"("model_type": "evlm")", R"("model_type": "seer")", "\"seer\""},
           Hostile{"evlm-dense", R"("model_type": "llama")", R"("model_type": "wizard")", "\"wizard\""},
           Hostile{"evlm-dense", R"("media_token_id": 5)", R"("media_token_id": 5000)", "media_token_id"},
           Hostile{"evlm-dense", R"("vision_config")", R"("vision")", "vision_config"},
           Hostile{"evlm-dense", R"("hidden_size": 24)", R"("hidden_size": 9000000000)", "vision_config.hidden_size"},
           Hostile{"evlm-dense", R"("hidden_size": 24)", R"("hidden_size": 48)", "vision_model.patch_embedding.weight"},
           Hostile{"evlm-dense", R"("num_attention_heads": 3)", R"("num_attention_heads": 5)",
                   "vision_config.num_attention_heads"},
           Hostile{"evlm-dense", R"("image_size": 28)", R"("image_size": 3)", "vision_config.image_size"},
           Hostile{"evlm-dense", R"("norm_position": "pre")", R"("norm_position": "mid")",
                   "vision_config.norm_position"},
           Hostile{"evlm-dense", R"("tapped_layers": [)", R"("tapped_layers": [9000, )", "vision_config.tapped_layers"},
           Hostile{"evlm-dense", R"("hidden_act": "gelu")", R"("hidden_act": "sine")", "vision_config.hidden_act"},
           Hostile{"evlm-dense", R"("media_tokens": 3)", R"("media_tokens": 4)", "media_embedding.weight"},
           Hostile{"evlm-dense", R"("zero_vectors": 1)", R"("zero_vectors": -1)",
                   "cross_attention_config.zero_vectors"},
           Hostile{"evlm-mixture", R"("num_experts_per_token": 2)", R"("num_experts_per_token": 7)",
                   "cross_attention_config.num_experts_per_token"},
           Hostile{"evlm-mixture", R"("num_experts": 6)", R"("num_experts": 7)",
                   "cross_attention_layers.0.router.weight"},
           Hostile{"mllama-f32", R"("image_token_index": 280)", R"("image_token_index": 288)", "image_token_index"},
           Hostile{"mllama-f32", R"("max_num_tiles": 4)", R"("max_num_tiles": 3)",
                   "vision_config.supported_aspect_ratios"},
           Hostile{"mllama-f32", R"("vision_output_dim": 72)", R"("vision_output_dim": 96)",
                   "vision_config.vision_output_dim"},
           Hostile{"mllama-f32", R"("attention_heads": 3)", R"("attention_heads": 7)", "vision_config.attention_heads"},
           Hostile{"mllama-f32", R"("cross_attention_layers": [)", R"("cross_attention_layers": [9, )",
                   "text_config.cross_attention_layers"},
           Hostile{"mllama-f32", "\"num_hidden_layers\": 4,\n  \"num_attention_heads\"",
                   "\"num_hidden_layers\": 6,\n  \"num_attention_heads\"", "language_model.model.layers.4"},
           Hostile{"mllama-f32", R"("image_size": 28)", R"("image_size": 35)", "gated_positional_embedding.embedding"},
       }) {
    refused(std::string(folder) + ": " + to + " is refused by name", named, [&] {
      const Damaged damaged(golden / folder, from, to);
      vision::Model::load(damaged.path(), compute, lut::Precision::exact);
    });
  }
  refused("describing refuses the same", "vision_config.image_size", [&] {
    const Damaged damaged(golden / "evlm-dense", R"("image_size": 28)", R"("image_size": 3)");
    vision::describe(damaged.path());
  });
  const auto model = vision::Model::load((golden / "evlm-dense").string(), compute, lut::Precision::exact);
  refused("pixels of another size are refused", "28 x 28",
          [&] { static_cast<void>(model->look({std::vector<float>(27), {3, 3, 3}, 0, {}}, {})); });
  refused("inputs that determine nothing are refused", "no stage",
          [&] { static_cast<void>(vision::evaluate(*model, {}, {})); });
  auto inputs = arrays(golden / "evlm-dense" / "inputs.npz");
  inputs.erase("pixel_values");
  refused("a text that speaks of a picture that is not there is refused", "pixel_values",
          [&] { static_cast<void>(vision::evaluate(*model, inputs, {})); });
}

/// The published weights were trained on what goes into the tapped layers; transformers since 4.55 gives what comes
/// out.
void tap_as_the_model_was_trained(const fs::path& golden, const graph::Compute& compute) {
  const auto features = [&](const std::string& version) {
    const Damaged folder(golden / "mllama-f32", "{", "{\"transformers_version\": \"" + version + "\",");
    const auto model = vision::Model::load(folder.path(), compute, lut::Precision::exact);
    return vision::evaluate(*model, arrays(golden / "mllama-f32" / "inputs.npz"), {}).at("vision_features").to_floats();
  };
  const auto before = features("4.45.0.dev0");
  const auto after = features("4.55.0");
  // Taps 0 and 3 of a width of 24: columns 24 + 2 d and 25 + 2 d.
  bool same_states = true;
  bool same_taps = true;
  for (size_t at = 0; at < before.size(); ++at) {
    if (at % 72 < 24)
      same_states = same_states && before[at] == after[at];
    else
      same_taps = same_taps && before[at] == after[at];
  }
  check(same_states && !same_taps, "models that were saved before transformers 4.55 have their taps a layer earlier");
  check(features("5.23.0") == after, "and later ones do not");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: vision-test <shipped libraries> <our libraries> <tests/golden/vision>\n", stderr);
    return 2;
  }
  const auto& ggml = graph::Ggml::load(testing::library_paths(argv[1], argv[2]));
  const graph::Compute compute(ggml, ggml.cpu_device(), 2);
  const fs::path golden = argv[3];
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(golden)) {
    const std::string name = entry.path().filename().string();
    if (!fs::exists(entry.path() / "inputs.npz")) continue;
    try {
      compare(entry.path(), compute);
      ++compared;
    } catch (const graph::GraphError& error) {
      check(false, name + ": " + error.what());
    }
  }
  check(compared == 13, "every golden model was compared");
  for (const char* name : {"evlm-mixture", "evlm-qwen2", "mllama-bf16", "mllama-nf4", "mplugowl3-joint"})
    keep_a_conversation(golden / name, compute);
  for (const char* name : {"evlm-nf4", "mllama-f32", "mplugowl3-gated-nf4"}) compare_fast(golden / name, compute);
  see_as_far_as_told(compute);
  forget_the_oldest();
  refuse_what_does_not_add_up(golden, compute);
  tap_as_the_model_was_trained(golden, compute);
  return failures == 0 ? 0 : 1;
}
