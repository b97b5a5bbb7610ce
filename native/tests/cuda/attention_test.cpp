// The kernels of attention, run by the emulation, against sums in f64 over the same stored numbers.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "device_memory.h"
#include "llama/kernels.h"
#include "testing.h"

namespace lutra::testing {
namespace {

using namespace cuda;

struct Shape {
  int heads, kv_heads, head_dim, window;
  bool is_bytes;
};

/// A cache of one layer on the emulated device, filled through `store_keys`, and what stands in it.
class Filled {
 public:
  Filled(const Shape& shape, int positions, int layers = 1) : shape_(shape), positions_(positions) {
    layout_ = {layers, shape.kv_heads, shape.head_dim, shape.is_bytes};
    const int page_count = (positions + page_positions - 1) / page_positions;
    std::vector<unsigned char*> list;
    for (int i = 0; i < page_count; ++i) {
      pages_.emplace_back(std::vector<unsigned char>(static_cast<std::size_t>(layout_.page_bytes())));
      auto* angles = reinterpret_cast<float*>(pages_.back().get());
      const int half = shape.head_dim / 2;
      for (int position = 0; position < page_positions; ++position) {
        for (int pair = 0; pair < half; ++pair) {
          const double angle = (i * page_positions + position) * std::pow(100.0, -2.0 * pair / shape.head_dim);
          angles[position * half + pair] = static_cast<float>(std::cos(angle));
          angles[(page_positions + position) * half + pair] = static_cast<float>(std::sin(angle));
        }
      }
      list.push_back(pages_.back().get());
    }
    list_ = std::make_unique<OnDevice<unsigned char*>>(list);
  }

  [[nodiscard]] Cache cache() const { return {layout_, list_->get()}; }

  /// What attention reads: key (0) or value (1) of a position, (head_dim).
  [[nodiscard]] std::vector<double> stored(int layer, int kind, int kv_head, int position) const {
    const unsigned char* page = pages_[static_cast<std::size_t>(position / page_positions)].get();
    const int within = position % page_positions;
    const unsigned char* values = page + layout_.values_at(layer, kind, kv_head);
    std::vector<double> result;
    for (int i = 0; i < shape_.head_dim; ++i) {
      const int at = within * layout_.dim() + i;
      if (layout_.is_bytes) {
        const float scale = reinterpret_cast<const float*>(page + layout_.scales_at(layer, kind, kv_head))[within];
        result.push_back(static_cast<double>(scale) * reinterpret_cast<const std::int8_t*>(values)[at]);
      } else {
        result.push_back(static_cast<double>(core::f16_to_f32(reinterpret_cast<const std::uint16_t*>(values)[at])));
      }
    }
    return result;
  }

 private:
  Shape shape_;
  int positions_;
  CacheLayout layout_;
  std::vector<OnDevice<unsigned char>> pages_;
  std::unique_ptr<OnDevice<unsigned char*>> list_;
};

StepInput at(int position) {
  StepInput step;
  step.position = position;
  return step;
}

OnDevice<std::uint16_t> store(const Shape& shape, const Filled& filled, int first, int tokens,
                              const std::vector<float>& qkv, int layer = 0) {
  const OnDevice<StepInput> step(std::vector{at(first)});
  const OnDevice<float> numbers(qkv);
  OnDevice<std::uint16_t> queries(static_cast<std::size_t>(tokens * shape.heads * shape.head_dim));
  StoreArguments arguments;
  arguments.step = step.get();
  arguments.cache = filled.cache();
  arguments.layer = layer;
  arguments.heads = shape.heads;
  arguments.qkv = numbers.get();
  arguments.queries = queries.get();
  succeed(store_keys(arguments, tokens, nullptr));
  return queries;
}

std::vector<float> qkv_noise(const Shape& shape, int tokens, unsigned seed) {
  auto values = noise(static_cast<std::size_t>(tokens * (shape.heads + 2 * shape.kv_heads) * shape.head_dim), seed);
  for (float& value : values) value *= 3;
  return values;
}

std::vector<double> expected(const Shape& shape, const Filled& filled, int first, int tokens,
                             const std::vector<std::uint16_t>& queries) {
  const auto head_dim = static_cast<std::size_t>(shape.head_dim);
  std::vector<double> result;
  for (int token = 0; token < tokens; ++token) {
    const int length = first + token + 1;
    const int begin = shape.window > 0 ? std::max(0, length - shape.window) : 0;
    for (int head = 0; head < shape.heads; ++head) {
      const int kv_head = head / (shape.heads / shape.kv_heads);
      const std::uint16_t* query = queries.data() + static_cast<std::size_t>(token * shape.heads + head) * head_dim;
      std::vector<double> sum(head_dim);
      double whole = 0;
      std::vector<double> scores;
      for (int position = begin; position < length; ++position) {
        const auto key = filled.stored(0, 0, kv_head, position);
        double score = 0;
        for (std::size_t i = 0; i < head_dim; ++i) score += key[i] * static_cast<double>(core::f16_to_f32(query[i]));
        scores.push_back(score);
      }
      const double top = *std::max_element(scores.begin(), scores.end());
      for (int position = begin; position < length; ++position) {
        const double share = std::exp(scores[static_cast<std::size_t>(position - begin)] - top);
        const auto value = filled.stored(0, 1, kv_head, position);
        for (std::size_t i = 0; i < head_dim; ++i) sum[i] += share * value[i];
        whole += share;
      }
      for (const double value : sum) result.push_back(value / whole);
    }
  }
  return result;
}

std::string name(const Shape& shape, int first, int tokens) {
  return std::to_string(shape.heads) + "/" + std::to_string(shape.kv_heads) + " heads of " +
         std::to_string(shape.head_dim) + ", window " + std::to_string(shape.window) +
         (shape.is_bytes ? ", bytes" : ", f16") + ", " + std::to_string(tokens) + " from " + std::to_string(first);
}

const std::vector<Shape> shapes = {
    {4, 2, 16, 0, false},   {4, 1, 24, 0, true},   {7, 1, 64, 0, false},   {3, 3, 80, 0, false}, {8, 2, 128, 0, true},
    {16, 1, 128, 0, false}, {2, 1, 256, 0, false}, {4, 2, 128, 70, false}, {12, 4, 32, 5, true}, {2, 2, 96, 200, false},
};

const Registered one(
    "attention of one token is that of plain sums, over any heads, lengths, windows and kinds of cache", [] {
      for (const Shape& shape : shapes) {
        for (const int length : {1, 2, 63, 64, 65, 257, 330}) {
          const Filled filled(shape, length);
          if (length > 1) store(shape, filled, 0, length - 1, qkv_noise(shape, length - 1, 1));
          const auto queries = store(shape, filled, length - 1, 1, qkv_noise(shape, 1, 2));
          const auto right = expected(shape, filled, length - 1, 1, queries.values());
          for (const int multiprocessors : {1, 40}) {
            const AttendGrid grid = attend_grid(shape.heads, filled.cache().layout, multiprocessors);
            const OnDevice<StepInput> step(std::vector{at(length - 1)});
            const OnDevice<float> partials(grid.partial_floats());
            const OnDevice<unsigned> arrived(std::vector<unsigned>(static_cast<std::size_t>(grid.blocks)));
            const OnDevice<std::uint16_t> target(static_cast<std::size_t>(shape.heads * shape.head_dim));
            AttendArguments arguments;
            arguments.step = step.get();
            arguments.cache = filled.cache();
            arguments.heads = shape.heads;
            arguments.window = shape.window;
            arguments.queries = queries.get();
            arguments.target = target.get();
            arguments.partials = partials.get();
            arguments.arrived = arrived.get();
            succeed(attend_one(arguments, grid, nullptr));
            const auto first = target.values();
            const double share = worst_share(widened(first), right);
            check(share < 1e-3, (name(shape, length - 1, 1) + " is off by " + std::to_string(share)).c_str());
            const OnDevice<std::uint16_t> again(static_cast<std::size_t>(shape.heads * shape.head_dim));
            arguments.target = again.get();
            succeed(attend_one(arguments, grid, nullptr));
            check(again.values() == first, "the same again has the same bits");
          }
        }
      }
    });

const Registered many("attention of many tokens is that of plain sums, from any place in the cache", [] {
  succeed(allow_kernels());
  for (const Shape& shape : shapes) {
    for (const auto& [first, tokens] : {std::pair{0, 5}, {0, 64}, {0, 70}, {60, 9}, {250, 12}, {129, 66}}) {
      const Filled filled(shape, first + tokens);
      if (first > 0) store(shape, filled, 0, first, qkv_noise(shape, first, 3));
      const auto queries = store(shape, filled, first, tokens, qkv_noise(shape, tokens, 4));
      const auto right = expected(shape, filled, first, tokens, queries.values());
      const OnDevice<StepInput> step(std::vector{at(first)});
      const OnDevice<std::uint16_t> target(static_cast<std::size_t>(tokens * shape.heads * shape.head_dim));
      AttendArguments arguments;
      arguments.step = step.get();
      arguments.cache = filled.cache();
      arguments.heads = shape.heads;
      arguments.window = shape.window;
      arguments.tokens = tokens;
      arguments.queries = queries.get();
      arguments.target = target.get();
      succeed(attend_many(arguments, nullptr));
      const double share = worst_share(widened(target.values()), right);
      check(share < 3e-3, (name(shape, first, tokens) + " is off by " + std::to_string(share)).c_str());
    }
  }
});

const Registered turned("queries and keys are normed and turned, keys and values kept at their places", [] {
  for (const bool is_bytes : {false, true}) {
    const Shape shape{6, 3, 24, 0, is_bytes};
    const int first = 250;
    const int tokens = 10;  // into the second page
    const int layers = 2;
    const Filled filled(shape, first + tokens, layers);
    const auto qkv = qkv_noise(shape, tokens, 5);
    const auto norm = noise(24, 6);
    const OnDevice<StepInput> step(std::vector{at(first)});
    const OnDevice<float> numbers(qkv);
    const OnDevice<float> weights(norm);
    const OnDevice<std::uint16_t> queries(static_cast<std::size_t>(tokens * shape.heads * shape.head_dim));
    StoreArguments arguments;
    arguments.step = step.get();
    arguments.cache = filled.cache();
    arguments.layer = 1;
    arguments.heads = shape.heads;
    arguments.qkv = numbers.get();
    arguments.q_norm = weights.get();
    arguments.k_norm = weights.get();
    arguments.eps = 1e-5F;
    arguments.queries = queries.get();
    succeed(store_keys(arguments, tokens, nullptr));

    std::vector<double> right_queries;
    std::vector<double> right_stored;
    std::vector<float> stored;
    for (int token = 0; token < tokens; ++token) {
      for (int head = 0; head < 12; ++head) {
        const float* x = qkv.data() + (token * 12 + head) * 24;
        std::vector<double> y(x, x + 24);
        if (head < 9) {
          double power = 0;
          for (const double value : y) power += value * value;
          for (std::size_t i = 0; i < 24; ++i) y[i] *= static_cast<double>(norm[i]) / std::sqrt(power / 24 + 1e-5);
          for (std::size_t i = 0; i < 12; ++i) {
            const double angle = (first + token) * std::pow(100.0, -2.0 * static_cast<double>(i) / 24);
            const double low = y[i];
            y[i] = low * std::cos(angle) - y[i + 12] * std::sin(angle);
            y[i + 12] = y[i + 12] * std::cos(angle) + low * std::sin(angle);
          }
        }
        if (head < 6) {
          for (const double value : y) right_queries.push_back(value / std::sqrt(24.0));
          continue;
        }
        right_stored.insert(right_stored.end(), y.begin(), y.end());
        for (const double value : filled.stored(1, head < 9 ? 0 : 1, (head - 6) % 3, first + token))
          stored.push_back(static_cast<float>(value));
      }
    }
    check(worst_share(widened(queries.values()), right_queries) < 1e-3, "queries are normed, turned and scaled");
    check(worst_share(stored, right_stored) < (is_bytes ? 6e-3 : 1e-3), "keys and values stand at their places");
  }
});

}  // namespace
}  // namespace lutra::testing
