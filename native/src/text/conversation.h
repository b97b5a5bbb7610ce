#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "text/sampler.h"

namespace lutra::text {

/// A chat with a model, wherever the model runs. Not for two threads at once.
class Conversation {
 public:
  /// `context_size`: the most tokens that it will hold.
  Conversation(std::int64_t context_size, std::int64_t vocab_size)
      : context_size_(context_size), vocab_size_(vocab_size) {}
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  virtual ~Conversation() = default;

  [[nodiscard]] std::int64_t context_size() const { return context_size_; }
  /// Tokens whose keys and values are in the cache.
  [[nodiscard]] std::span<const std::int32_t> tokens() const { return tokens_; }
  [[nodiscard]] virtual std::size_t cache_bytes() const = 0;

  /// Forgets what is not a beginning of `tokens`, and keeps at least one token to be computed.
  /// Returns how many stay.
  std::int64_t keep_prefix(std::span<const std::int32_t> tokens);
  /// Forgets all but the first `count` tokens.
  void keep(std::size_t count) { tokens_.resize(std::min(count, tokens_.size())); }

  /// Adds tokens, in pieces. `tell(done)` counts tokens of this call.
  /// Throws `graph::GraphError`: `bad-input` for tokens outside the vocabulary or beyond the context, `cancelled`
  /// (what was added stays), `out-of-memory`.
  virtual void read(std::span<const std::int32_t> tokens, const std::stop_token& stop,
                    const std::function<void(std::int64_t)>& tell) = 0;
  /// Draws the token after those that were added last.
  virtual std::int32_t draw(Sampler& sampler) = 0;
  /// Adds a token and draws the one after it.
  virtual std::int32_t follow(std::int32_t token, Sampler& sampler, const std::stop_token& stop) = 0;

 protected:
  void check(std::span<const std::int32_t> tokens) const;

  std::vector<std::int32_t> tokens_;

 private:
  std::int64_t context_size_;
  std::int64_t vocab_size_;
};

}  // namespace lutra::text
