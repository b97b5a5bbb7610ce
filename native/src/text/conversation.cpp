#include "text/conversation.h"

#include <algorithm>
#include <string>

#include "graph/error.h"

namespace lutra::text {

using graph::GraphError;

std::int64_t Conversation::keep_prefix(std::span<const std::int32_t> tokens) {
  const auto [here, there] = std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end());
  auto same = static_cast<std::int64_t>(here - tokens_.begin());
  same = std::min(same, std::max<std::int64_t>(0, static_cast<std::int64_t>(tokens.size()) - 1));
  tokens_.resize(static_cast<std::size_t>(same));
  return same;
}

void Conversation::check(std::span<const std::int32_t> tokens) const {
  const auto whole = static_cast<std::int64_t>(tokens_.size() + tokens.size());
  if (tokens.empty() || whole > context_size_) {
    throw GraphError(
        "bad-input",
        "The context holds 1 to " + std::to_string(context_size_) + " tokens, not " + std::to_string(whole) + ".",
        "Shorten the text, or raise the context size.", "tokens");
  }
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= vocab_size_) {
      throw GraphError(
          "bad-input",
          "Token " + std::to_string(token) + " is not in the vocabulary of " + std::to_string(vocab_size_) + ".", "",
          "tokens");
    }
  }
}

}  // namespace lutra::text
