// Rows, norms, gates, products of 16 bits and draws, run by the emulation, against plain code.
#include <cmath>
#include <string>

#include "device_memory.h"
#include "llama/kernels.h"
#include "testing.h"
#include "text/sampler.h"

namespace lutra::testing {
namespace {

using namespace cuda;

const Registered rows("rows of the embedding come in any of the three types", [] {
  const auto table = noise(7 * 40, 1);
  const OnDevice<std::int32_t> ids(std::vector<std::int32_t>{6, 0, 3});
  const OnDevice<float> target(3 * 40);
  const OnDevice<float> plain(table);
  const OnDevice<std::uint16_t> half(halves(table));
  const OnDevice<std::uint16_t> brain(brain_halves(table));
  const auto right = [&](const auto& widen) {
    std::vector<float> result;
    for (const int id : {6, 0, 3}) {
      for (int i = 0; i < 40; ++i) result.push_back(widen(table[static_cast<std::size_t>(id * 40 + i)]));
    }
    return result;
  };
  succeed(embed(plain.get(), Stored::f32, ids.get(), 3, 40, target.get(), nullptr));
  check(target.values() == right([](float value) { return value; }), "f32");
  succeed(embed(half.get(), Stored::f16, ids.get(), 3, 40, target.get(), nullptr));
  check(target.values() == right([](float value) { return core::f16_to_f32(core::f32_to_f16(value)); }), "f16");
  succeed(embed(brain.get(), Stored::bf16, ids.get(), 3, 40, target.get(), nullptr));
  check(target.values() == right([](float value) { return core::bf16_to_f32(core::f32_to_bf16(value)); }), "bf16");
});

const Registered inputs("inputs of products are normed and filled up", [] {
  for (const int width : {40, 300, 1000}) {
    const int tokens = 3;
    const int whole = (width + 7) / 8 * 8;
    auto x = noise(static_cast<std::size_t>(tokens * width), 2);
    const auto norm = noise(static_cast<std::size_t>(width), 3);
    std::vector<double> right;
    for (int token = 0; token < tokens; ++token) {
      const float* row = x.data() + token * width;
      double power = 0;
      for (int i = 0; i < width; ++i) power += static_cast<double>(row[i]) * static_cast<double>(row[i]);
      std::vector<float> y(static_cast<std::size_t>(whole));
      for (int i = 0; i < width; ++i)
        y[static_cast<std::size_t>(i)] = static_cast<float>(
            static_cast<double>(row[i] * norm[static_cast<std::size_t>(i)]) / std::sqrt(power / width + 1e-5));
      right.insert(right.end(), y.begin(), y.end());
    }
    const OnDevice<float> from(x);
    const OnDevice<float> weights(norm);
    const OnDevice<std::uint16_t> target(right.size());
    PrepareArguments arguments;
    arguments.x = from.get();
    arguments.is_f32 = true;
    arguments.width = width;
    arguments.norm = weights.get();
    arguments.eps = 1e-5F;
    arguments.target = target.get();
    arguments.target_width = whole;
    succeed(prepare(arguments, tokens, nullptr));
    const double share = worst_share(widened(target.values()), right);
    check(share < 6e-4, (std::to_string(width) + " wide, off by " + std::to_string(share)).c_str());
  }
  const OnDevice<float> huge(std::vector<float>(8, 1e6F));
  const OnDevice<std::uint16_t> target(8);
  PrepareArguments arguments;
  arguments.x = huge.get();
  arguments.is_f32 = true;
  arguments.width = arguments.target_width = 8;
  arguments.target = target.get();
  succeed(prepare(arguments, 1, nullptr));
  check(widened(target.values()) == std::vector<float>(8, 65504), "what f16 cannot hold is its largest number");
});

const Registered gates("a gate is silu times up", [] {
  const int width = 300;
  const auto both = noise(std::size_t{2} * 2 * width, 4);
  const OnDevice<float> from(both);
  const OnDevice<std::uint16_t> target(2 * width);
  succeed(gate(from.get(), 2, width, target.get(), nullptr));
  std::vector<double> right;
  for (int token = 0; token < 2; ++token) {
    for (int i = 0; i < width; ++i) {
      const auto g = static_cast<double>(both[static_cast<std::size_t>(token * 2 * width + i)]);
      right.push_back(g / (1 + std::exp(-g)) *
                      static_cast<double>(both[static_cast<std::size_t>((token * 2 + 1) * width + i)]));
    }
  }
  check(worst_share(widened(target.values()), right) < 1e-3, "silu(gate) * up");
});

const Registered products("products with weights of 16 bits are plain sums, for any tokens, rows and columns", [] {
  succeed(allow_kernels());
  for (const Float16 type : {Float16::f16, Float16::bf16}) {
    for (const int tokens : {1, 2, 4, 5, 31, 65, 130}) {
      for (const auto& [count, columns] : {std::pair{1, 8}, {17, 264}, {70, 72}, {129, 136}}) {
        const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
        const auto weight = noise(size(count, columns), 5);
        const auto stored = type == Float16::f16 ? halves(weight) : brain_halves(weight);
        const auto x = halves(noise(size(tokens, columns), 6));
        const auto bias = noise(static_cast<std::size_t>(count), 7);
        const int stride = count + 3;
        const auto residual = noise(size(tokens, stride), 8);
        std::vector<double> right(residual.begin(), residual.end());
        for (int token = 0; token < tokens; ++token) {
          for (int row = 0; row < count; ++row) {
            double sum = static_cast<double>(bias[static_cast<std::size_t>(row)]);
            for (int i = 0; i < columns; ++i) {
              const std::uint16_t bits = stored[size(row, columns) + static_cast<std::size_t>(i)];
              sum += static_cast<double>(type == Float16::f16 ? core::f16_to_f32(bits) : core::bf16_to_f32(bits)) *
                     static_cast<double>(core::f16_to_f32(x[size(token, columns) + static_cast<std::size_t>(i)]));
            }
            right[size(token, stride) + static_cast<std::size_t>(row)] += sum;
          }
        }
        const OnDevice<std::uint16_t> weights(stored);
        const OnDevice<std::uint16_t> from(x);
        const OnDevice<float> added(bias);
        const OnDevice<float> y(residual);
        DenseArguments arguments{weights.get(), type,    count,  columns,     tokens,
                                 from.get(),    y.get(), stride, added.get(), y.get()};
        succeed(dense(arguments, nullptr));
        const double share = worst_share(y.values(), right);
        check(share < 1e-5, (std::to_string(count) + " x " + std::to_string(columns) + " on " + std::to_string(tokens) +
                             " tokens is off by " + std::to_string(share))
                                .c_str());
      }
    }
  }
});

const Registered draws("a seed draws the same tokens as on the processor, under every filter", [] {
  succeed(allow_kernels());
  const std::vector<text::SamplerOptions> filters = {
      {0, 40, 0.95F, 0.05F, 1, 1}, {0, 0, 1, 0, 1.3F, 2},      {0.7F, 40, 0.95F, 0.05F, 1.1F, 3},
      {1.5F, 1, 1, 0, 1, 4},       {1, 0, 1, 0, 1, 5},         {0.9F, 0, 0.8F, 0.01F, 1.2F, 6},
      {2, 100000, 1, 0, 1, 7},     {0.7F, 200, 0.3F, 0, 1, 8}, {1, 5, 1, 0.4F, 1, 9},
  };
  for (const int vocab_size : {5, 160, 2048, 2049, 10000}) {
    const OnDevice<unsigned char> room(sampling_bytes(vocab_size));
    const OnDevice<std::int32_t> token(1);
    for (const auto& options : filters) {
      text::Sampler sampler(options);
      std::vector<std::int32_t> recent;
      for (unsigned draw = 0; draw < 6; ++draw) {
        auto logits = noise(static_cast<std::size_t>(vocab_size), 100 + draw);
        for (float& logit : logits) logit = std::round(logit * 64) / 8;  // many are equal
        for (int i = 0; i < 70; ++i) recent.push_back(static_cast<std::int32_t>(i * 31 + draw) % vocab_size);
        StepInput step;
        step.sampling = {options.temperature,    options.top_k, options.top_p, options.min_p,
                         options.repeat_penalty, options.seed,  draw};
        step.recent_count = penalty_tokens;
        for (int i = 0; i < penalty_tokens; ++i)
          step.recent[i] = recent[recent.size() - penalty_tokens + static_cast<std::size_t>(i)];
        const OnDevice<StepInput> input(std::vector{step});
        const OnDevice<float> from(logits);
        succeed(sample(input.get(), from.get(), vocab_size, room.get(), token.get(), nullptr));
        check_equal(token.values()[0], sampler.draw(logits, recent), "the token drawn");
      }
    }
  }
});

}  // namespace
}  // namespace lutra::testing
