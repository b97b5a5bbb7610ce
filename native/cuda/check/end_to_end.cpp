#include "check/end_to_end.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "core/dtype.h"
#include "lut_layout.h"

namespace lutra::cuda::check {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// SplitMix64 (Steele et al., 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  float between(float low, float high) { return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24F; }

 private:
  std::uint64_t state_;
};

void must(Code code, const Problem& problem) {
  if (code != Code::ok) throw std::runtime_error(problem.text);
}

/// NF4's values are spread like those of a normal distribution of deviation 0.4 or so; the scales make the products of
/// inputs of size 1 of size 1 again.
lut::LutMatrix random_matrix(const Shape& shape, std::int64_t rows, std::int64_t columns, std::uint64_t seed,
                             core::ThreadPool& threads) {
  lut::LutMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.bits = shape.bits;
  matrix.group_size = shape.group_size;
  const int entries = matrix.table_entries();
  for (int i = 0; i < entries; ++i)
    matrix.table.push_back(std::tanh(3.0F * (static_cast<float>(2 * i + 1) / static_cast<float>(entries) - 1.0F)));
  matrix.codes.resize(static_cast<std::size_t>(rows * matrix.row_bytes()));
  matrix.scales.resize(static_cast<std::size_t>(rows * matrix.groups_per_row()));
  const float unit = 1.3F / std::sqrt(static_cast<float>(columns));
  threads.for_each(static_cast<std::size_t>(rows), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      Random random(seed * 1'000'003 + row);
      const auto row_bytes = static_cast<std::size_t>(matrix.row_bytes());
      for (std::size_t i = 0; i < row_bytes; ++i)
        matrix.codes[row * row_bytes + i] = static_cast<std::uint8_t>(random.next() >> 56);
      const auto groups = static_cast<std::size_t>(matrix.groups_per_row());
      for (std::size_t i = 0; i < groups; ++i) {
        // As f16 rounds it, so that both sides multiply by the same.
        const float scale = unit * random.between(0.8F, 1.2F);
        matrix.scales[row * groups + i] = core::f16_to_f32(core::f32_to_f16(scale));
      }
    }
  });
  return matrix;
}

std::vector<float> random_norm(std::int64_t width, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> weight(static_cast<std::size_t>(width));
  for (float& value : weight) value = random.between(0.5F, 1.5F);
  return weight;
}

PlainLayer random_layer(const Shape& shape, std::int64_t index, core::ThreadPool& threads) {
  const auto matrix = [&](std::int64_t rows, std::int64_t columns, std::uint64_t which) {
    return random_matrix(shape, rows, columns, static_cast<std::uint64_t>(index) * 8 + which, threads);
  };
  const std::int64_t queries = shape.heads * shape.head_dim;
  const std::int64_t keys = shape.kv_heads * shape.head_dim;
  return {random_norm(shape.hidden, static_cast<std::uint64_t>(1000 + index)),
          random_norm(shape.hidden, static_cast<std::uint64_t>(2000 + index)),
          matrix(queries, shape.hidden, 0),
          matrix(keys, shape.hidden, 1),
          matrix(keys, shape.hidden, 2),
          matrix(shape.hidden, queries, 3),
          matrix(shape.inner, shape.hidden, 4),
          matrix(shape.inner, shape.hidden, 5),
          matrix(shape.hidden, shape.inner, 6)};
}

struct FreeModel {
  const Interface* functions;
  void operator()(Model* model) const { functions->free_model(model); }
};
struct FreeSession {
  const Interface* functions;
  void operator()(Session* session) const { functions->free_session(session); }
};

class Check {
 public:
  Check(const Interface& functions, const Shape& shape)
      : functions_(&functions), shape_(shape), model_(nullptr, FreeModel{&functions}) {}

  /// Both sides' weights, and the processor's logits of `tokens`.
  std::vector<float> make(std::span<const std::int32_t> tokens);
  bool compare(std::span<const std::int32_t> tokens, std::span<const float> expected);
  void measure(double bandwidth);

 private:
  using SessionPointer = std::unique_ptr<Session, FreeSession>;

  void upload(std::int32_t index, const PlainLayer& layer);
  void upload(Slot slot, std::int32_t index, const core::Result<LutImage>& image);
  SessionPointer session(std::int32_t context);
  StepInput step(std::int32_t position, std::int32_t token) const {
    StepInput input;
    input.position = position;
    input.token = token;
    return input;  // no temperature: the likeliest
  }
  void set_norm(Norm norm, std::int32_t index, std::span<const float> weight) {
    must(functions_->set_norm(model_.get(), norm, index, weight.data(), static_cast<std::int32_t>(weight.size()),
                              &problem_),
         problem_);
  }

  const Interface* functions_;
  Shape shape_;
  core::ThreadPool threads_;
  Problem problem_{};
  std::unique_ptr<Model, FreeModel> model_;
};

void Check::upload(Slot slot, std::int32_t index, const core::Result<LutImage>& image) {
  if (!image) throw std::runtime_error(image.error().message);
  const PackedWeight weight{{slot, index, 0, nullptr}, &image->layout, image->bytes.data()};
  must(functions_->add_packed(model_.get(), &weight, &problem_), problem_);
}

void Check::upload(std::int32_t index, const PlainLayer& layer) {
  const std::array qkv{&layer.q, &layer.k, &layer.v};
  const std::array o{&layer.o};
  const std::array down{&layer.down};
  set_norm(Norm::input, index, layer.input_norm);
  set_norm(Norm::post_attention, index, layer.post_attention_norm);
  upload(Slot::qkv, index, pack(qkv, Scalar::f16, threads_));
  upload(Slot::o, index, pack(o, Scalar::f16, threads_));
  upload(Slot::gate_up, index, pack_gated(layer.gate, layer.up, Scalar::f16, threads_));
  upload(Slot::down, index, pack(down, Scalar::f16, threads_));
}

std::vector<float> Check::make(std::span<const std::int32_t> tokens) {
  const auto narrow = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  const ModelShape shape = {narrow(shape_.vocab),    narrow(shape_.hidden), narrow(shape_.inner),
                            narrow(shape_.layers),   narrow(shape_.heads),  narrow(shape_.kv_heads),
                            narrow(shape_.head_dim), shape_.norm_eps};
  Model* model = nullptr;
  must(functions_->create_model(0, &shape, &model, &problem_), problem_);
  model_.reset(model);

  std::vector<std::uint16_t> embedding(static_cast<std::size_t>(shape_.vocab * shape_.hidden));
  const auto width = static_cast<std::size_t>(shape_.hidden);
  threads_.for_each(static_cast<std::size_t>(shape_.vocab), 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      Random random(77'000'000 + row);
      for (std::size_t i = 0; i < width; ++i)
        embedding[row * width + i] = core::f32_to_f16(random.between(-0.03F, 0.03F));
    }
  });
  must(functions_->set_embedding(model, TableType::f16, embedding.data(), &problem_), problem_);
  const auto last_norm = random_norm(shape_.hidden, 3000);
  set_norm(Norm::last, 0, last_norm);

  PlainLlama plain(shape_, embedding, tokens, threads_);
  for (std::int64_t index = 0; index < shape_.layers; ++index) {
    const PlainLayer layer = random_layer(shape_, index, threads_);
    upload(static_cast<std::int32_t>(index), layer);
    plain.run(layer);
  }
  return plain.logits(last_norm);
}

Check::SessionPointer Check::session(std::int32_t context) {
  Session* made = nullptr;
  must(functions_->create_session(model_.get(), context, false, &made, &problem_), problem_);
  SessionPointer session(made, FreeSession{functions_});
  const std::int64_t half = shape_.head_dim / 2;
  std::vector<float> cosines(static_cast<std::size_t>(page_positions * half));
  std::vector<float> sines(cosines.size());
  for (std::int32_t first = 0; first < context; first += page_positions) {
    for (std::int64_t at = 0; at < static_cast<std::int64_t>(cosines.size()); ++at) {
      const double exponent = -2.0 * static_cast<double>(at % half) / static_cast<double>(shape_.head_dim);
      const double angle = static_cast<double>(first + at / half) * std::pow(shape_.rope_theta, exponent);
      cosines[static_cast<std::size_t>(at)] = static_cast<float>(std::cos(angle));
      sines[static_cast<std::size_t>(at)] = static_cast<float>(std::sin(angle));
    }
    must(functions_->add_page(made, cosines.data(), sines.data(), &problem_), problem_);
  }
  return session;
}

/// -log p of each next token, in nats, on average.
double surprise(std::span<const float> logits, std::span<const std::int32_t> tokens) {
  const std::size_t width = logits.size() / tokens.size();
  double total = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const auto row = logits.subspan(i * width, width);
    const float top = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float value : row) sum += std::exp(static_cast<double>(value - top));
    total += std::log(sum) - static_cast<double>(row[static_cast<std::size_t>(tokens[i + 1])] - top);
  }
  return total / static_cast<double>(tokens.size() - 1);
}

bool Check::compare(std::span<const std::int32_t> tokens, std::span<const float> expected) {
  const auto chat = session(static_cast<std::int32_t>(tokens.size()));
  const auto width = static_cast<std::size_t>(shape_.vocab);
  std::vector<float> actual(expected.size());
  const std::size_t steps = 3;  // the last few one by one: the first of them plainly, the others through the graph
  const std::size_t read = tokens.size() - steps;
  const auto piece = static_cast<std::size_t>(functions_->session_tokens(chat.get()));
  for (std::size_t done = 0; done < read; done += piece) {
    must(functions_->prefill(chat.get(), tokens.data() + done, nullptr,
                             static_cast<std::int32_t>(std::min(piece, read - done)), static_cast<std::int32_t>(done),
                             true, actual.data() + done * width, nullptr, &problem_),
         problem_);
  }
  for (std::size_t i = read; i < tokens.size(); ++i) {
    const StepInput input = step(static_cast<std::int32_t>(i), tokens[i]);
    std::int32_t drawn = 0;
    must(functions_->step(chat.get(), &input, nullptr, &drawn, actual.data() + i * width, &problem_), problem_);
  }
  double worst_read = 0;
  double worst_step = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto right = expected.subspan(i * width, width);
    const auto [least, most] = std::minmax_element(right.begin(), right.end());
    double worst = 0;
    for (std::size_t j = 0; j < width; ++j) {
      const double difference = std::abs(static_cast<double>(actual[i * width + j]) - static_cast<double>(right[j]));
      worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
    }
    double& group = i < read ? worst_read : worst_step;
    group = std::max(group, worst / static_cast<double>(*most - *least));
  }
  // Random weights amplify each rounding of the activations to f16 from layer to layer.
  constexpr double allowed = 2e-2;
  constexpr double allowed_nats = 5e-3;
  const double own = surprise(expected, tokens);
  const double other = surprise(actual, tokens);
  const bool reads = worst_read < allowed;
  const bool follows = worst_step < allowed;
  const bool thinks = std::abs(own - other) < allowed_nats;
  const auto mark = [](bool holds) { return holds ? "ok    " : "FAILED"; };
  std::printf("%s %zu tokens read together: worst error %.2e of a token's range of logits\n", mark(reads), read,
              worst_read);
  std::printf("%s %zu steps: worst error %.2e\n", mark(follows), steps, worst_step);
  std::printf("%s perplexity of the text: %.4f on the processor, %.4f on the card\n", mark(thinks), std::exp(own),
              std::exp(other));
  return reads && follows && thinks;
}

void Check::measure(double bandwidth) {
  constexpr std::int32_t prefill_tokens = 512;
  constexpr std::int32_t decode_tokens = 136;
  const auto chat = session(prefill_tokens + decode_tokens + page_positions);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(prefill_tokens));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(shape_.vocab));
  const std::int32_t piece = functions_->session_tokens(chat.get());
  const auto read = [&] {
    for (std::int32_t done = 0; done < prefill_tokens; done += piece) {
      must(functions_->prefill(chat.get(), tokens.data() + done, nullptr, std::min(piece, prefill_tokens - done), done,
                               false, nullptr, nullptr, &problem_),
           problem_);
    }
  };
  read();
  auto begin = Clock::now();
  constexpr int repeats = 3;
  for (int i = 0; i < repeats; ++i) read();
  const double prefill_seconds = seconds_since(begin) / repeats;

  StepInput input = step(prefill_tokens, tokens.back());
  std::int32_t position = prefill_tokens;
  const auto follow = [&] {
    input.position = position++;
    must(functions_->step(chat.get(), &input, nullptr, &input.token, nullptr, &problem_), problem_);
  };
  constexpr int warm = 8;
  for (int i = 0; i < warm; ++i) follow();
  begin = Clock::now();
  for (std::int32_t i = warm; i < decode_tokens; ++i) follow();
  const double step_seconds = seconds_since(begin) / (decode_tokens - warm);
  // Every weight once, and the keys and values so far.
  const double bytes = static_cast<double>(functions_->model_bytes(model_.get())) +
                       4.0 * static_cast<double>(shape_.layers * shape_.kv_heads * shape_.head_dim) *
                           static_cast<double>(prefill_tokens + decode_tokens / 2);
  std::printf("\n| what | time | tokens/s | of the copy bandwidth |\n|---|---|---|---|\n");
  std::printf("| prefill of %d | %.1f ms | %.0f | |\n", prefill_tokens, prefill_seconds * 1e3,
              prefill_tokens / prefill_seconds);
  std::printf(
      "| decode, batch 1, from %d on, greedy, the token read back after each | %.3f ms | %.1f | %.0f %% of %.0f GB/s "
      "|\n",
      prefill_tokens, step_seconds * 1e3, 1 / step_seconds, 100 * bytes / step_seconds / bandwidth, bandwidth / 1e9);
}

}  // namespace

bool check_whole_model(const Interface& functions, const Shape& shape, std::int32_t text_tokens, double bandwidth) {
  try {
    Check check(functions, shape);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(text_tokens));
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<std::int32_t>((i * 7919 + 13) % static_cast<std::size_t>(shape.vocab));
    const auto begin = Clock::now();
    const auto expected = check.make(tokens);
    if (bandwidth > 0)
      std::printf("Made, packed, uploaded and computed on the processor in %.0f s.\n", seconds_since(begin));
    const bool is_right = check.compare(tokens, expected);
    if (bandwidth > 0) check.measure(bandwidth);
    return is_right;
  } catch (const std::exception& error) {
    std::printf("FAILED %s\n", error.what());
    return false;
  }
}

}  // namespace lutra::cuda::check
