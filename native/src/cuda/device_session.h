#pragma once
#include <functional>
#include <memory>

#include "cuda/device_llama.h"
#include "text/attention.h"
#include "text/session.h"

namespace lutra::cuda {

/// Looks at the residual stream f32 (n, hidden_size) that a layer hands on; returns whether it wrote to it.
using ResidualLook = std::function<bool(std::int64_t layer, std::span<float> residual)>;

/// A conversation on a graphics card. Tokens are drawn there too, so that of a step only the token comes back; where
/// the processor has the first layers, the residual stream goes there once.
class DeviceSession : public text::Conversation {
 public:
  /// `cache_type` is f16 or q8. `model` must outlive it.
  DeviceSession(DeviceLlama& model, std::int64_t context_size, text::CacheType cache_type);

  [[nodiscard]] std::size_t cache_bytes() const override {
    return functions_->cache_bytes(session_.get()) + (first_layers_ ? first_layers_->cache_bytes() : 0);
  }
  void read(std::span<const std::int32_t> tokens, const std::stop_token& stop,
            const std::function<void(std::int64_t)>& tell) override;
  std::int32_t draw(text::Sampler& sampler) override;
  std::int32_t follow(std::int32_t token, text::Sampler& sampler, const std::stop_token& stop) override;

  /// Adds tokens and returns the logits after each, row-major (n, vocab_size).
  std::vector<float> add_all_logits(std::span<const std::int32_t> tokens, const std::stop_token& stop = {});
  /// `follow`, with the logits (vocab_size) after the token, too.
  std::int32_t follow(std::int32_t token, text::Sampler& sampler, std::span<float> logits,
                      const std::stop_token& stop = {});
  /// Looks at, or replaces, the residual stream of what is read from now on, between layers of the card. Empty: no
  /// longer.
  void set_look(ResidualLook look) { look_ = std::move(look); }

 private:
  struct Free {
    const Interface* functions;
    void operator()(Session* session) const { functions->free_session(session); }
  };

  void reserve(std::int64_t positions);
  /// What the processor's layers hand on for tokens that come next; empty where the card has all.
  std::vector<float> run_first_layers(std::span<const std::int32_t> tokens, const std::stop_token& stop);
  void add(std::span<const std::int32_t> tokens, bool all_logits, float* logits, const std::stop_token& stop);
  [[nodiscard]] StepInput step_input(text::Sampler& sampler) const;

  DeviceLlama* model_;
  const Interface* functions_;
  ResidualLook look_;
  std::unique_ptr<Session, Free> session_;
  std::unique_ptr<text::Session> first_layers_;
};

}  // namespace lutra::cuda
