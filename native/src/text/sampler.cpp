#include "text/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/philox.h"

namespace lutra::text {

std::int32_t Sampler::draw(std::span<const float> logits, std::span<const std::int32_t> recent) {
  constexpr size_t penalty_tokens = 64;
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) candidates_[i] = {logits[i], static_cast<std::int32_t>(i)};
  if (options_.repeat_penalty != 1.0F) {
    std::vector<std::int32_t> seen(recent.end() - static_cast<std::ptrdiff_t>(std::min(recent.size(), penalty_tokens)),
                                   recent.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const std::int32_t token : seen) {
      if (static_cast<size_t>(token) >= candidates_.size()) continue;  // read, and never written
      float& logit = candidates_[static_cast<size_t>(token)].logit;
      logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    }
  }
  // Equal logits: the lower token first, so that the order is the same on every machine.
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  if (options_.temperature <= 0) return std::min_element(candidates_.begin(), candidates_.end(), before)->token;

  constexpr size_t most_candidates = 4096;  // beyond these nothing is ever drawn
  size_t count = options_.top_k > 0 ? static_cast<size_t>(options_.top_k) : most_candidates;
  count = std::min({count, most_candidates, candidates_.size()});
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count), candidates_.end(),
                    before);
  const float top = candidates_.front().logit;
  double whole = 0;
  for (size_t i = 0; i < count; ++i) whole += std::exp(static_cast<double>(candidates_[i].logit - top));
  double sum = 0;
  size_t kept = 0;
  while (kept < count) {
    const double share = std::exp(static_cast<double>(candidates_[kept].logit - top));
    if (kept > 0 && share < static_cast<double>(options_.min_p)) break;
    sum += share;
    ++kept;
    if (sum >= static_cast<double>(options_.top_p) * whole) break;
  }
  const auto weight = [&](size_t i) {
    return std::exp(static_cast<double>(candidates_[i].logit - top) / static_cast<double>(options_.temperature));
  };
  double total = 0;
  for (size_t i = 0; i < kept; ++i) total += weight(i);
  float drawn = 0;
  core::RandomRow(options_.seed, 0).uniform(draws_++, {&drawn, 1});
  double rest = static_cast<double>(drawn) * total;
  for (size_t i = 0; i + 1 < kept; ++i) {
    rest -= weight(i);
    if (rest < 0) return candidates_[i].token;
  }
  return candidates_[kept - 1].token;
}

}  // namespace lutra::text
