#include "text/session.h"

#include <algorithm>

#include "graph/error.h"

namespace lutra::text {

using graph::GraphError;

namespace {

/// Tokens of one graph: enough for the products to reach their speed, few enough to stop within a second.
constexpr std::int64_t piece_tokens = 512;
/// Where every position's logits are wanted, they take memory.
constexpr std::int64_t all_logits_tokens = 64;

}  // namespace

Session::Session(Llama& model, std::int64_t context_size, CacheType cache_type)
    : Conversation(context_size, model.config().input_vocab_size()),
      model_(&model),
      cache_(model.config(), cache_type),
      layers_(model.attention_over(cache_, step_)) {}

Session::Graph& Session::graph_of(std::int64_t n, bool all_logits) {
  Graph& graph = n == 1 && !all_logits ? one_ : piece_;
  if (graph.runner && graph.n == n && graph.all_logits == all_logits) return graph;
  constexpr size_t nodes_per_layer = 96;
  graph.runner = std::make_unique<graph::Runner>(
      model_->compute(), 64 + nodes_per_layer * static_cast<size_t>(model_->config().num_hidden_layers));
  graph.runner->build(
      [&](graph::GraphBuilder& g) { model_->forward(g, n, layers_, all_logits, tap_, before_, attention_); });
  graph.n = n;
  graph.all_logits = all_logits;
  return graph;
}

std::vector<float> Session::run(std::span<const std::int32_t> tokens, bool all_logits, const std::stop_token& stop) {
  const auto n = static_cast<std::int64_t>(tokens.size());
  const auto first = static_cast<std::int64_t>(tokens_.size());
  try {
    cache_.reserve(first + n);
  } catch (const std::bad_alloc&) {
    throw GraphError("out-of-memory", "There is no memory for " + std::to_string(first + n) + " tokens of context.",
                     "Lower the context size, or close other programs.");
  }
  step_.first = first;
  step_.turn(model_->config(), first, n);
  graph::Runner& runner = *graph_of(n, all_logits).runner;
  runner.set("ids", std::as_bytes(tokens));
  runner.compute(stop);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  return runner.get(model_->has_head() ? "logits" : "residual");
}

std::span<const float> Session::add(std::span<const std::int32_t> tokens, const std::stop_token& stop,
                                    const std::function<void(std::int64_t)>& tell) {
  check(tokens);
  std::int64_t done = 0;
  while (done < static_cast<std::int64_t>(tokens.size())) {
    const std::int64_t n = std::min(piece_tokens, static_cast<std::int64_t>(tokens.size()) - done);
    logits_ = run(tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(n)), false, stop);
    done += n;
    if (tell) tell(done);
  }
  return logits_;
}

void Session::read(std::span<const std::int32_t> tokens, const std::stop_token& stop,
                   const std::function<void(std::int64_t)>& tell) {
  add(tokens, stop, tell);
}

std::int32_t Session::draw(Sampler& sampler) { return sampler.draw(logits_, tokens_); }

std::int32_t Session::follow(std::int32_t token, Sampler& sampler, const std::stop_token& stop) {
  add(std::span(&token, 1), stop);
  return draw(sampler);
}

std::vector<float> Session::add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop) {
  check(tokens);
  std::vector<float> all;
  all.reserve(tokens.size() * static_cast<size_t>(model_->config().vocab_size));
  for (size_t done = 0; done < tokens.size();) {
    const size_t n = std::min(static_cast<size_t>(all_logits_tokens), tokens.size() - done);
    const auto piece = run(tokens.subspan(done, n), true, stop);
    all.insert(all.end(), piece.begin(), piece.end());
    done += n;
  }
  return all;
}

std::vector<float> Session::add_residual(std::span<const std::int32_t> tokens, const std::stop_token& stop) {
  check(tokens);
  return run(tokens, false, stop);
}

void Session::set_tap(ResidualTap tap) {
  tap_ = std::move(tap);
  one_ = {};
  piece_ = {};
}

void Session::set_before(ResidualTap before) {
  before_ = std::move(before);
  one_ = {};
  piece_ = {};
}

void Session::set_attention(AttentionTap attention) {
  attention_ = std::move(attention);
  one_ = {};
  piece_ = {};
}

}  // namespace lutra::text
