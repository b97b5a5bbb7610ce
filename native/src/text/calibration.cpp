#include "text/calibration.h"

#include <algorithm>

#include "text/session.h"

namespace lutra::text {

std::map<std::string, std::vector<float>> input_covariance(Llama& model, std::span<const std::int32_t> tokens,
                                                           std::int64_t window, const core::Progress& progress) {
  AllStatistics all;
  model.observe(all);
  const std::int64_t step = std::min(window, model.config().max_position_embeddings);
  Session session(model, step, CacheType::f16);
  for (std::size_t first = 0; first < tokens.size(); first += static_cast<std::size_t>(step)) {
    static_cast<void>(session.keep_prefix({}));
    const std::size_t count = std::min(tokens.size() - first, static_cast<std::size_t>(step));
    static_cast<void>(session.add(tokens.subspan(first, count), progress.stop_token()));
    progress.tell(first + count, tokens.size());
  }
  std::map<std::string, std::vector<float>> covariance;
  for (auto& [name, statistics] : all) {
    auto& means = covariance[name];
    means = std::move(statistics->products);
    for (float& value : means) value /= static_cast<float>(statistics->tokens);
  }
  // Projections of one input were observed once.
  const std::map<std::string, std::vector<std::string>> siblings = {{"q_proj", {"k_proj", "v_proj"}},
                                                                    {"gate_proj", {"up_proj"}}};
  for (const auto& [first, others] : siblings) {
    for (const auto& [name, statistics] : all) {
      if (!name.ends_with(first)) continue;
      const std::string prefix = name.substr(0, name.size() - first.size());
      for (const std::string& other : others) covariance.try_emplace(prefix + other, covariance[name]);
    }
  }
  return covariance;
}

}  // namespace lutra::text
