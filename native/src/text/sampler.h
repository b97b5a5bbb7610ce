#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace lutra::text {

/// How the next token is drawn. Filters work in this order, each on what the one before left: repeat penalty, top-k,
/// top-p, min-p, temperature.
struct SamplerOptions {
  float temperature = 0.7F;  ///< 0: the likeliest
  std::int32_t top_k = 40;   ///< 0: off
  float top_p = 0.95F;       ///< 1: off
  float min_p = 0.05F;       ///< relative to the likeliest; 0: off
  float repeat_penalty = 1.1F;
  std::uint32_t seed = 0;
};

/// Draw `i` depends on the seed and `i` alone, and so is the same on every device.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options) {}

  /// `recent`: the tokens that the penalty looks at, the last 64.
  std::int32_t draw(std::span<const float> logits, std::span<const std::int32_t> recent);

  /// For who draws elsewhere: the options, and the number of the next draw.
  [[nodiscard]] const SamplerOptions& options() const { return options_; }
  std::uint64_t take_draw() { return draws_++; }

 private:
  struct Candidate {
    float logit;
    std::int32_t token;
  };

  SamplerOptions options_;
  std::uint64_t draws_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace lutra::text
