#include "cuda/device_session.h"

#include <algorithm>

#include "graph/error.h"

namespace lutra::cuda {

using graph::GraphError;

namespace {

void refuse_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw GraphError("cancelled", "Cancelled.");
}

/// Where every position's logits are wanted, they take memory.
constexpr std::int64_t all_logits_tokens = 64;

}  // namespace

DeviceSession::DeviceSession(DeviceLlama& model, std::int64_t context_size, text::CacheType cache_type)
    : Conversation(context_size, model.config().vocab_size),
      model_(&model),
      functions_(&model.functions()),
      session_(nullptr, Free{functions_}) {
  Session* session = nullptr;
  Problem problem{};
  require(functions_->create_session(model.model(), static_cast<std::int32_t>(context_size),
                                     cache_type == text::CacheType::q8, &session, &problem),
          problem);
  session_.reset(session);
  if (model.first_layers() != nullptr)
    first_layers_ = std::make_unique<text::Session>(*model.first_layers(), context_size, cache_type);
}

std::vector<float> DeviceSession::run_first_layers(std::span<const std::int32_t> tokens, const std::stop_token& stop) {
  if (!first_layers_) return {};
  first_layers_->keep(tokens_.size());  // what the card did not come to see is computed anew
  return first_layers_->add_residual(tokens, stop);
}

void DeviceSession::reserve(std::int64_t positions) {
  while (functions_->positions(session_.get()) < positions) {
    text::Step angles;
    angles.turn(model_->config(), functions_->positions(session_.get()), page_positions);
    Problem problem{};
    require(functions_->add_page(session_.get(), angles.cos.data(), angles.sin.data(), &problem), problem);
  }
}

void DeviceSession::add(std::span<const std::int32_t> tokens, bool all_logits, float* logits,
                        const std::stop_token& stop) {
  refuse_if_stopped(stop);
  const auto first = static_cast<std::int64_t>(tokens_.size());
  const auto count = static_cast<std::int64_t>(tokens.size());
  reserve(first + count);
  const std::vector<float> residual = run_first_layers(tokens, stop);
  struct Looking {
    const ResidualLook* look;
    std::size_t width;
  };
  Looking looking{&look_, static_cast<std::size_t>(model_->config().hidden_size)};
  const Tap tap{[](void* user, std::int32_t layer, float* residual, std::int32_t n) {
                  const auto& [look, width] = *static_cast<Looking*>(user);
                  return (*look)(layer, {residual, static_cast<std::size_t>(n) * width});
                },
                &looking};
  Problem problem{};
  require(functions_->prefill(session_.get(), tokens.data(), residual.empty() ? nullptr : residual.data(),
                              static_cast<std::int32_t>(count), static_cast<std::int32_t>(first), all_logits, logits,
                              look_ ? &tap : nullptr, &problem),
          problem);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

void DeviceSession::read(std::span<const std::int32_t> tokens, const std::stop_token& stop,
                         const std::function<void(std::int64_t)>& tell) {
  check(tokens);
  const auto most = static_cast<std::size_t>(functions_->session_tokens(session_.get()));
  for (std::size_t done = 0; done < tokens.size();) {
    const std::size_t n = std::min(most, tokens.size() - done);
    add(tokens.subspan(done, n), false, nullptr, stop);
    done += n;
    if (tell) tell(static_cast<std::int64_t>(done));
  }
}

std::vector<float> DeviceSession::add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop) {
  check(tokens);
  const auto width = static_cast<std::size_t>(model_->config().vocab_size);
  const std::size_t most = std::min(static_cast<std::size_t>(all_logits_tokens),
                                    static_cast<std::size_t>(functions_->session_tokens(session_.get())));
  std::vector<float> all(tokens.size() * width);
  for (std::size_t done = 0; done < tokens.size();) {
    const std::size_t n = std::min(most, tokens.size() - done);
    add(tokens.subspan(done, n), true, all.data() + done * width, stop);
    done += n;
  }
  return all;
}

StepInput DeviceSession::step_input(text::Sampler& sampler) const {
  const text::SamplerOptions& options = sampler.options();
  StepInput step;
  step.sampling = {options.temperature,    options.top_k, options.top_p,      options.min_p,
                   options.repeat_penalty, options.seed,  sampler.take_draw()};
  return step;
}

namespace {

/// What the repeat penalty looks at: the end of `tokens`, with `next` behind it if that is there.
void set_recent(StepInput& step, std::span<const std::int32_t> tokens, const std::int32_t* next) {
  const std::size_t room = penalty_tokens - (next == nullptr ? 0U : 1U);
  const auto recent = tokens.last(std::min(room, tokens.size()));
  std::copy(recent.begin(), recent.end(), step.recent);
  step.recent_count = static_cast<std::int32_t>(recent.size());
  if (next != nullptr) step.recent[step.recent_count++] = *next;
}

}  // namespace

std::int32_t DeviceSession::draw(text::Sampler& sampler) {
  StepInput step = step_input(sampler);
  set_recent(step, tokens_, nullptr);
  std::int32_t token = 0;
  Problem problem{};
  require(functions_->draw(session_.get(), &step, &token, &problem), problem);
  return token;
}

std::int32_t DeviceSession::follow(std::int32_t token, text::Sampler& sampler, const std::stop_token& stop) {
  refuse_if_stopped(stop);
  return follow(token, sampler, std::span<float>(), stop);
}

std::int32_t DeviceSession::follow(std::int32_t token, text::Sampler& sampler, std::span<float> logits,
                                   const std::stop_token& stop) {
  check(std::span(&token, 1));
  reserve(static_cast<std::int64_t>(tokens_.size()) + 1);
  const std::vector<float> residual = run_first_layers(std::span(&token, 1), stop);
  StepInput step = step_input(sampler);
  step.position = static_cast<std::int32_t>(tokens_.size());
  step.token = token;
  set_recent(step, tokens_, &token);
  std::int32_t next = 0;
  Problem problem{};
  require(functions_->step(session_.get(), &step, residual.empty() ? nullptr : residual.data(), &next,
                           logits.empty() ? nullptr : logits.data(), &problem),
          problem);
  tokens_.push_back(token);
  return next;
}

}  // namespace lutra::cuda
