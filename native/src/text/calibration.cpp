#include "text/calibration.h"

#include <algorithm>

#include "text/session.h"

namespace lutra::text {

std::map<std::string, std::vector<float>> input_importance(Llama& model, std::span<const std::int32_t> tokens,
                                                           std::int64_t window, const core::Progress& progress) {
  InputPowers powers;
  model.observe(powers);
  const std::int64_t step = std::min(window, model.config().max_position_embeddings);
  Session session(model, step, CacheType::f16);
  for (std::size_t first = 0; first < tokens.size(); first += static_cast<std::size_t>(step)) {
    static_cast<void>(session.keep_prefix({}));
    const std::size_t count = std::min(tokens.size() - first, static_cast<std::size_t>(step));
    static_cast<void>(session.add(tokens.subspan(first, count), progress.stop_token()));
    progress.tell(first + count, tokens.size());
  }
  std::map<std::string, std::vector<float>> importance;
  const auto means = [](const lut::InputPower& power) {
    std::vector<float> result;
    for (const double sum : power.sums) result.push_back(static_cast<float>(sum / static_cast<double>(power.tokens)));
    return result;
  };
  for (const auto& [name, power] : powers) importance[name] = means(*power);
  // Projections of one input were observed once.
  for (const auto& [first, others] :
       std::map<std::string, std::vector<std::string>>{{"q_proj", {"k_proj", "v_proj"}}, {"gate_proj", {"up_proj"}}}) {
    for (const auto& [name, power] : powers) {
      if (!name.ends_with(first)) continue;
      const std::string prefix = name.substr(0, name.size() - first.size());
      for (const std::string& other : others) importance.try_emplace(prefix + other, importance[name]);
    }
  }
  return importance;
}

}  // namespace lutra::text
