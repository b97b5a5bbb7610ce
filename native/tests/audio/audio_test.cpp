// Text-to-audio models against stable-audio-tools, diffusers and transformers, on tiny checkpoints of each layout; and
// the convolution kernels of every instruction set against plain loops.
// usage: audio-test <shipped libraries> <folder of our CPU module> <tests/golden/audio>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>

#include "audio/evaluate.h"
#include "audio/t5.h"
#include "graph/need.h"
#include "testing.h"

namespace {

using namespace lutra;
namespace fs = std::filesystem;

int failures = 0;

void check(bool holds, const std::string& promise) {
  std::printf("%s %s\n", holds ? "ok    " : "FAILED", promise.c_str());
  failures += holds ? 0 : 1;
}

void refused(const std::string& promise, const std::string& part, const std::function<void()>& action) {
  std::string message = "nothing was refused";
  try {
    action();
  } catch (const graph::GraphError& error) {
    message = std::string(error.what()) + " " + error.hint();
  }
  check(message.find(part) != std::string::npos, promise + ": " + message);
}

/// ||a - b|| / ||b||
double relative(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return 1e9;
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    error += std::pow(static_cast<double>(actual[i]) - static_cast<double>(expected[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

void compare(const std::string& promise, const core::NpyArray& actual, const core::NpyArray& expected, double most) {
  const double error = relative(actual.to_floats(), expected.to_floats());
  char text[240];
  std::snprintf(text, sizeof text, "%s (off by %.1e)", promise.c_str(), error);
  check(actual.shape == expected.shape && error < most, text);
}

void compare_stages(const fs::path& folder, const graph::Compute& compute) {
  const std::string name = folder.filename().string();
  const auto inputs = graph::need(core::read_npz((folder / "inputs.npz").string()));
  const auto expected = graph::need(core::read_npz((folder / "expected.npz").string()));
  const auto pipeline = audio::Pipeline::load(folder.string(), {}, compute, audio::WeightType::f32, {});
  auto without_steps = inputs;
  without_steps.erase("sigmas");
  const auto stages = audio::evaluate(*pipeline, without_steps, {}, {});
  for (const char* stage :
       {"text_states", "cross_states", "global_states", "velocity", "decoded_audio", "encoded_mean", "encoded_std"})
    compare(name + ": " + stage + " are the original's", stages.find(stage)->second, expected.find(stage)->second,
            3e-5);
  for (const auto& [key, value] : expected) {
    constexpr std::string_view start = "denoised_";
    if (!key.starts_with(start)) continue;
    std::string sampler = key.substr(start.size());
    const bool guided = sampler.ends_with("_cfg");
    if (guided) sampler.resize(sampler.size() - std::string_view("_cfg").size());
    auto own = inputs;
    if (sampler == "v-ddim") {
      // Its levels are times, even from 1 to 0.
      std::vector<float> times;
      constexpr int steps = 6;
      for (int i = 0; i <= steps; ++i) times.push_back(1.0F - static_cast<float>(i) / steps);
      own.find("sigmas")->second = core::npy_from_floats(times, {steps + 1});
    }
    const auto result = audio::evaluate(*pipeline, own, {sampler, guided ? 5.0 : 1.0}, {});
    compare(name + ": " + key + " is the original's", result.find("denoised_latents")->second, value, 1e-4);
  }
}

/// What a network in fewer bits costs, on latents of one step.
void compare_narrow(const fs::path& folder, const graph::Compute& compute) {
  auto inputs = graph::need(core::read_npz((folder / "inputs.npz").string()));
  const auto expected = graph::need(core::read_npz((folder / "expected.npz").string()));
  inputs.erase("sigmas");
  for (const auto& [type, name, most] :
       {std::tuple{audio::WeightType::bf16, "bf16", 2e-2}, std::tuple{audio::WeightType::q8, "q8", 3e-2},
        std::tuple{audio::WeightType::lut4, "lut4", 3e-1}}) {
    const auto pipeline = audio::Pipeline::load(folder.string(), {}, compute, type, {});
    const auto stages = audio::evaluate(*pipeline, inputs, {}, {});
    compare(folder.filename().string() + ": velocity in " + name, stages.find("velocity")->second,
            expected.find("velocity")->second, most);
  }
}

/// Tiles give the very samples of the whole.
void compare_tiles(const fs::path& folder, const graph::Compute& compute) {
  const auto checkpoint = audio::Checkpoint::open(folder.string());
  audio::Oobleck decoder(checkpoint, audio::Oobleck::Half::decoder, compute, {});
  const std::int64_t frames = 150;
  const auto latents = testing::noise(static_cast<std::size_t>(frames * decoder.latent_channels()), 5);
  const auto whole = decoder.decode(latents, frames, 0, {});
  const auto tiled = decoder.decode(latents, frames, 37, {});
  check(relative(tiled, whole) < 1e-6, "decoding in tiles gives what decoding at once gives");
  audio::Oobleck encoder(checkpoint, audio::Oobleck::Half::encoder, compute, {});
  const auto samples = testing::noise(static_cast<std::size_t>(frames * encoder.hop() * encoder.audio_channels()), 6);
  const auto once = encoder.encode(samples, frames * encoder.hop(), 0, {});
  const auto parts = encoder.encode(samples, frames * encoder.hop(), 41, {});
  check(relative(parts.mean, once.mean) < 1e-6, "and so does encoding");
}

/// Takes: same seed, same sound; what is kept is kept.
void generate(const fs::path& folder, const graph::Compute& compute) {
  const auto pipeline = audio::Pipeline::load(folder.string(), {}, compute, audio::WeightType::f32, {});
  audio::Request request;
  request.prompt.ids.assign(16, 0);
  request.prompt.mask.assign(16, 0);
  for (int i = 0; i < 5; ++i) {
    request.prompt.ids[static_cast<std::size_t>(i)] = 5 + i;
    request.prompt.mask[static_cast<std::size_t>(i)] = 1;
  }
  request.frames = 32;
  request.schedule.steps = 4;
  request.guidance = 3;
  request.seed = 7;
  int steps = 0;
  request.watch = [&](std::span<const float>) { ++steps; };
  const auto one = pipeline->generate(request, {});
  const auto again = pipeline->generate(request, {});
  check(one == again && steps == 8, "the same seed gives the same latents, and each step is told");
  request.seed = 8;
  check(relative(pipeline->generate(request, {}), one) > 0.1, "another seed gives others");
  request.negative = request.prompt;
  check(relative(pipeline->generate(request, {}), one) > 0.1, "a negative prompt is heard");
  request.negative.reset();

  const std::size_t hop = static_cast<std::size_t>(pipeline->config().vae.hop());
  request.init = testing::noise(2 * 32 * hop, 9);
  const auto known = pipeline->encode(request.init, static_cast<std::int64_t>(32 * hop), {}).mean;
  request.change.assign(32, 0.0F);
  std::fill_n(request.change.begin() + 8, 12, 1.0F);
  const auto filled = pipeline->generate(request, {});
  double kept = 0;
  double changed = 0;
  for (std::size_t i = 0; i < filled.size(); ++i) {
    const double difference = std::abs(static_cast<double>(filled[i]) - static_cast<double>(known[i]));
    (request.change[i % 32] == 0 ? kept : changed) += difference;
  }
  check(kept == 0 && changed > 1, "a region is made anew and the rest stays as it is");
  request.change.clear();
  request.schedule.strength = 0.02;
  const double near = relative(pipeline->generate(request, {}), known);
  request.schedule.strength = 1;
  check(near < relative(pipeline->generate(request, {}), known), "a weak start from a sound stays near it");

  std::stop_source stopped;
  stopped.request_stop();
  refused("work that was told to stop stops", "Cancelled",
          [&] { static_cast<void>(pipeline->generate(request, core::Progress(stopped.get_token()))); });
  request.frames = 65;
  refused("what is longer than the window is refused", "window",
          [&] { static_cast<void>(pipeline->generate(request, {})); });
  request.frames = 8;
  request.sampler = "wizard";
  refused("an unknown sampler is named", "wizard", [&] { static_cast<void>(pipeline->generate(request, {})); });
  request.sampler.clear();
  request.schedule.steps = 0;
  refused("no steps are refused", "steps", [&] { static_cast<void>(pipeline->generate(request, {})); });
  request.schedule.steps = 1;
  request.prompt.ids[0] = 1'000'000;
  refused("a token that T5 does not know is named", "1000000",
          [&] { static_cast<void>(pipeline->generate(request, {})); });
}

/// Plain loops with the same padding.
std::vector<float> plain_conv(const audio::ConvWeights& w, audio::SnakeConv::Kind kind, std::int64_t stride,
                              const audio::Snake& snake, const std::vector<float>& x, std::int64_t frames,
                              std::int64_t out_frames) {
  using Kind = audio::SnakeConv::Kind;
  std::vector<double> y(static_cast<std::size_t>(w.n_out * out_frames));
  for (std::int64_t o = 0; o < w.n_out; ++o) {
    for (std::int64_t f = 0; f < out_frames; ++f)
      y[static_cast<std::size_t>(o * out_frames + f)] = static_cast<double>(w.bias[static_cast<std::size_t>(o)]);
  }
  const std::int64_t padding = kind == Kind::same ? (w.kernel - 1) / 2 : (stride + 1) / 2;
  for (std::int64_t i = 0; i < w.n_in; ++i) {
    for (std::int64_t f = 0; f < frames; ++f) {
      const double value = static_cast<double>(x[static_cast<std::size_t>(i * frames + f)]);
      const auto channel = static_cast<std::size_t>(i);
      const double wave = std::sin(value * static_cast<double>(snake.alpha[channel]));
      const double input = value + wave * wave * static_cast<double>(snake.inverse_beta[channel]);
      for (std::int64_t tap = 0; tap < w.kernel; ++tap) {
        // y[at * stride + tap - padding] of a transposed one, x[at * stride + tap - padding] of the others
        const std::int64_t spread = kind == Kind::transposed ? f * stride + tap - padding : f - tap + padding;
        if (kind != Kind::transposed && spread % stride != 0) continue;
        const std::int64_t at = kind == Kind::transposed ? spread : spread / stride;
        if (spread < 0 || at >= out_frames) continue;
        for (std::int64_t o = 0; o < w.n_out; ++o) {
          const std::int64_t row = kind == Kind::transposed ? i * w.n_out + o : o * w.n_in + i;
          y[static_cast<std::size_t>(o * out_frames + at)] +=
              input * static_cast<double>(w.values[static_cast<std::size_t>(row * w.kernel + tap)]);
        }
      }
    }
  }
  return {y.begin(), y.end()};
}

void compare_convolutions(const graph::Compute& compute) {
  using Kind = audio::SnakeConv::Kind;
  for (const char* set : {"scalar", "avx2", "avx512", "neon"}) {
    const dense::TileKernels* kernels = dense::tile_kernels_named(set);
    if (kernels == nullptr) continue;
    double worst = 0;
    int cases = 0;
    for (const auto& [kind, kernel, stride] :
         {std::tuple{Kind::same, 7, 1}, std::tuple{Kind::same, 3, 1}, std::tuple{Kind::strided, 4, 2},
          std::tuple{Kind::strided, 6, 3}, std::tuple{Kind::transposed, 4, 2}, std::tuple{Kind::transposed, 16, 8},
          std::tuple{Kind::transposed, 6, 3}}) {
      for (const auto& [n_in, n_out, frames] :
           {std::tuple{1, 1, 20}, std::tuple{5, 9, 47}, std::tuple{17, 13, 131}, std::tuple{300, 8, 500}}) {
        audio::ConvWeights weights{n_in, n_out, kernel,
                                   testing::noise(static_cast<std::size_t>(n_in * n_out * kernel), 1),
                                   testing::noise(static_cast<std::size_t>(n_out), 2)};
        audio::Snake snake{testing::noise(static_cast<std::size_t>(n_in), 3),
                           testing::noise(static_cast<std::size_t>(n_in), 4)};
        for (float& alpha : snake.alpha) alpha *= 9;
        const audio::SnakeConv conv(weights, snake, kind, stride, *kernels);
        const auto x = testing::noise(static_cast<std::size_t>(n_in * frames), 5);
        graph::Runner runner(compute);
        std::int64_t out_frames = 0;
        runner.build([&](graph::GraphBuilder& g) {
          graph::Tensor y = conv(g, g.input("x", GGML_TYPE_F32, {frames, n_in}));
          out_frames = y->ne[0];
          g.output("y", y);
        });
        runner.set("x", x);
        runner.compute();
        worst =
            std::max(worst, relative(runner.get("y"), plain_conv(weights, kind, stride, snake, x, frames, out_frames)));
        ++cases;
      }
    }
    char text[160];
    std::snprintf(text, sizeof text, "%s: %d convolutions of every kind are those of plain loops (worst %.1e)", set,
                  cases, worst);
    check(worst < 2e-6, text);
  }
}

/// Attention and products laid out for the convolution kernels, against plain loops.
void compare_products(const graph::Compute& compute) {
  for (const char* set : {"scalar", "avx2", "avx512", "neon"}) {
    const dense::TileKernels* kernels = dense::tile_kernels_named(set);
    if (kernels == nullptr) continue;
    double worst = 0;
    const dense::Attend attend(*kernels);
    for (const auto& [dim, heads, kv_heads, n, n_keys, batch] :
         {std::tuple{64, 2, 1, 130, 18, 2}, std::tuple{16, 3, 3, 1, 1, 1}, std::tuple{128, 8, 8, 49, 49, 1},
          std::tuple{20, 4, 2, 100, 7, 1}, std::tuple{128, 2, 1, 140, 500, 1}}) {
      const auto q = testing::noise(static_cast<std::size_t>(dim * heads * n * batch), 1);
      const auto k = testing::noise(static_cast<std::size_t>(dim * kv_heads * n_keys * batch), 2);
      const auto v = testing::noise(static_cast<std::size_t>(dim * kv_heads * n_keys * batch), 3);
      graph::Runner runner(compute);
      runner.build([&, dim = dim, heads = heads, kv_heads = kv_heads, n = n, n_keys = n_keys,
                    batch = batch](graph::GraphBuilder& g) {
        graph::Tensor keys = g.input("k", GGML_TYPE_F32, {dim, kv_heads, n_keys, batch});
        graph::Tensor values = g.input("v", GGML_TYPE_F32, {dim, kv_heads, n_keys, batch});
        g.output("y", attend(g, g.input("q", GGML_TYPE_F32, {dim, heads, n, batch}), keys, values));
      });
      runner.set("q", q);
      runner.set("k", k);
      runner.set("v", v);
      runner.compute();
      std::vector<float> expected;
      for (int b = 0; b < batch; ++b) {
        for (int i = 0; i < n; ++i) {
          for (int h = 0; h < heads; ++h) {
            const int kv = h / (heads / kv_heads);
            std::vector<double> weight(static_cast<std::size_t>(n_keys));
            double sum = 0;
            for (int j = 0; j < n_keys; ++j) {
              double score = 0;
              for (int d = 0; d < dim; ++d) {
                score += static_cast<double>(q[static_cast<std::size_t>(((b * n + i) * heads + h) * dim + d)]) *
                         static_cast<double>(k[static_cast<std::size_t>(((b * n_keys + j) * kv_heads + kv) * dim + d)]);
              }
              sum += weight[static_cast<std::size_t>(j)] = std::exp(score / std::sqrt(static_cast<double>(dim)));
            }
            for (int d = 0; d < dim; ++d) {
              double value = 0;
              for (int j = 0; j < n_keys; ++j) {
                value += weight[static_cast<std::size_t>(j)] / sum *
                         static_cast<double>(v[static_cast<std::size_t>(((b * n_keys + j) * kv_heads + kv) * dim + d)]);
              }
              expected.push_back(static_cast<float>(value));
            }
          }
        }
      }
      worst = std::max(worst, relative(runner.get("y"), expected));
    }
    for (const auto& [rows, columns, n] : {std::tuple{1, 1, 1}, std::tuple{37, 300, 130}, std::tuple{16, 5000, 200}}) {
      const auto w = testing::noise(static_cast<std::size_t>(rows * columns), 4);
      const auto x = testing::noise(static_cast<std::size_t>(columns * n), 5);
      const dense::DenseF32 dense(w, rows, columns, *kernels);
      graph::Runner runner(compute);
      runner.build([&, columns = columns, n = n](graph::GraphBuilder& g) {
        g.output("y", dense(g, g.input("x", GGML_TYPE_F32, {columns, n})));
      });
      runner.set("x", x);
      runner.compute();
      std::vector<float> expected;
      for (int i = 0; i < n; ++i) {
        for (int r = 0; r < rows; ++r) {
          double sum = 0;
          for (int c = 0; c < columns; ++c) {
            sum += static_cast<double>(w[static_cast<std::size_t>(r * columns + c)]) *
                   static_cast<double>(x[static_cast<std::size_t>(i * columns + c)]);
          }
          expected.push_back(static_cast<float>(sum));
        }
      }
      worst = std::max(worst, relative(runner.get("y"), expected));
    }
    char text[160];
    std::snprintf(text, sizeof text, "%s: attention and products are those of plain loops (worst %.1e)", set, worst);
    check(worst < 5e-6, text);
  }
}

void refuse_what_does_not_add_up(const fs::path& golden, const graph::Compute& compute) {
  const fs::path copy = fs::temp_directory_path() / "lutra-audio-test";
  const auto with = [&](const std::string& from, const std::string& to) {
    return [&, from, to] {
      fs::remove_all(copy);
      fs::copy(golden, copy, fs::copy_options::recursive);
      std::ifstream in(copy / "model_config.json");
      std::string text((std::istreambuf_iterator<char>(in)), {});
      const auto at = text.rfind(from);
      check(at != std::string::npos, "the configuration has " + from);
      if (at != std::string::npos) text.replace(at, from.size(), to);
      std::ofstream(copy / "model_config.json") << text;
      static_cast<void>(audio::Pipeline::load(copy.string(), {}, compute, audio::WeightType::f32, {})->decoder({}));
    };
  };
  refused("an unknown objective is named", "\"magic\"", with("\"rf_denoiser\"", "\"magic\""));
  refused("heads that do not divide are refused", "num_heads", with("\"num_heads\": 2", "\"num_heads\": 3"));
  refused("absurd numbers are refused", "num_heads", with("\"num_heads\": 2", "\"num_heads\": 99999999999"));
  refused("a conditioner that is not there is named", "seconds_end",
          with("\"global_cond_ids\": [", "\"global_cond_ids\": [\"seconds_end\","));
  refused("more strides than the file has name what is missing", "layers", with("\"strides\": [", "\"strides\": [2,"));
  refused("a folder that holds no model says so", "model_config.json",
          [&] { static_cast<void>(audio::Checkpoint::open(golden.parent_path().string())); });
  fs::remove_all(copy);
  fs::copy(golden, copy, fs::copy_options::recursive);
  const auto reader = audio::Pipeline::load(copy.string(), {}, compute, audio::WeightType::f32, {});
  const auto states = reader->text_states({{1}, {1}}, {});
  fs::remove_all(copy / "t5-base");
  check(reader->text_states({{1}, {1}}, {}) == states, "a prompt read before needs no text encoder");
  const auto pipeline = audio::Pipeline::load(copy.string(), {}, compute, audio::WeightType::f32, {});
  refused("a missing text encoder says where to put it", "t5-base",
          [&] { static_cast<void>(pipeline->text_states({{1}, {1}}, {})); });
  fs::resize_file(copy / "model.safetensors", 100'000);
  refused("a cut file is named", "model.safetensors",
          [&] { static_cast<void>(audio::Checkpoint::open(copy.string())); });
  fs::remove_all(copy);
}

/// Digits for other digits in a text, which keeps it JSON most of the time; now and then any byte.
void damage(std::string& text, std::size_t first, std::size_t length, std::mt19937& random) {
  const int count = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < count; ++i) {
    for (int tries = 0; tries < 200; ++tries) {
      char& place = text[first + random() % length];
      if (random() % 20 == 0) {
        place = static_cast<char>(random());
        break;
      }
      if (place < '0' || place > '9') continue;
      place = static_cast<char>('0' + random() % 10);
      break;
    }
  }
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Damaged configurations and headers: each is refused in words, or gives a model that runs.
void survive_damage(const fs::path& golden, const graph::Compute& compute) {
  const fs::path copy = fs::temp_directory_path() / "lutra-audio-damage";
  fs::remove_all(copy);
  fs::copy(golden, copy, fs::copy_options::recursive);
  const std::vector<std::string> parts = {"model_config.json", "model.safetensors", "t5-base/config.json",
                                          "t5-base/model.safetensors"};
  constexpr int files = 300;
  constexpr std::size_t length_bytes = 8;
  constexpr std::int64_t frames = 4;
  int refusals = 0;
  for (int seed = 1; seed <= files; ++seed) {
    std::mt19937 random(static_cast<std::uint32_t>(seed));
    const std::string& part = parts[random() % parts.size()];
    const std::string whole = read_text(golden / part);
    std::string text = whole;
    std::size_t first = 0;
    std::size_t length = text.size();
    if (part.ends_with(".safetensors")) {
      first = length_bytes;
      length = 0;
      for (std::size_t i = length_bytes; i-- > 0;) length = length << 8U | static_cast<unsigned char>(text[i]);
    }
    damage(text, first, length, random);
    std::ofstream(copy / part, std::ios::binary) << text;
    try {
      const auto pipeline = audio::Pipeline::load(copy.string(), {}, compute, audio::WeightType::f32, {});
      audio::Request request;
      request.prompt = {{5, 9, 1}, {1, 1, 1}};
      request.frames = frames;
      request.schedule.steps = 1;
      static_cast<void>(pipeline->decode(pipeline->generate(request, {}), {}));
    } catch (const graph::GraphError& error) {
      refusals += std::string(error.what()).empty() ? 0 : 1;
    }
    std::ofstream(copy / part, std::ios::binary) << whole;
  }
  fs::remove_all(copy);
  check(refusals > files / 4, "of " + std::to_string(files) + " damaged models " + std::to_string(refusals) +
                                  " are refused, none is harmful");
}

}  // namespace

/// The transformer and T5 on another device; the devices keep some products in f16.
void compare_on_device(const fs::path& folder, const graph::Compute& compute) {
  auto inputs = graph::need(core::read_npz((folder / "inputs.npz").string()));
  const auto expected = graph::need(core::read_npz((folder / "expected.npz").string()));
  inputs.erase("sigmas");
  for (const auto& [type, name, most] :
       {std::tuple{audio::WeightType::f32, "f32", 2e-3}, std::tuple{audio::WeightType::bf16, "bf16", 2e-2}}) {
    const auto pipeline = audio::Pipeline::load(folder.string(), {}, compute, type, {});
    const auto stages = audio::evaluate(*pipeline, inputs, {}, {});
    for (const char* stage : {"text_states", "velocity", "decoded_audio"}) {
      compare(folder.filename().string() + ": " + stage + " in " + name + " on the device", stages.find(stage)->second,
              expected.find(stage)->second, most);
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fputs("usage: audio-test <shipped libraries> <our libraries> <tests/golden/audio> [device]\n", stderr);
    return 2;
  }
  const auto& ggml = graph::Ggml::load(testing::library_paths(argv[1], argv[2]));
  const fs::path golden = argv[3];
  if (argc == 5) {
    const auto& devices = ggml.devices();
    const bool is_there = std::any_of(devices.begin(), devices.end(), [&](ggml_backend_dev_t device) {
      return std::string_view(ggml_backend_dev_name(device)) == argv[4];
    });
    if (!is_there) {
      std::printf("!! SKIPPED: this machine has no %s\n", argv[4]);
      return 0;
    }
    try {
      const graph::Compute compute(ggml, graph::device_named(ggml, argv[4]), 2);
      for (const char* name : {"open-diffusers", "open-single", "small-single"})
        compare_on_device(golden / name, compute);
    } catch (const graph::GraphError& error) {
      check(false, error.what());
    }
    return failures == 0 ? 0 : 1;
  }
  const graph::Compute compute(ggml, ggml.cpu_device(), 2);
  try {
    compare_convolutions(compute);
    compare_products(compute);
    for (const char* name : {"open-diffusers", "open-single", "small-single"}) compare_stages(golden / name, compute);
    compare_narrow(golden / "open-single", compute);
    compare_tiles(golden / "open-single", compute);
    generate(golden / "open-single", compute);
    generate(golden / "small-single", compute);
    refuse_what_does_not_add_up(golden / "small-single", compute);
    survive_damage(golden / "small-single", compute);
  } catch (const graph::GraphError& error) {
    check(false, error.what());
  }
  return failures == 0 ? 0 : 1;
}
