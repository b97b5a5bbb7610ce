#pragma once
#include <memory>
#include <string>

#include "core/progress.h"
#include "cuda/library.h"
#include "text/cache.h"
#include "text/llama.h"

namespace lutra::cuda {

/// What the memory beside the weights must hold.
struct Room {
  std::int64_t context_size = 0;  ///< tokens of a chat
  text::CacheType cache_type = text::CacheType::f16;
  /// What the computer has for the layers that the card does not take; 0: unknown.
  std::size_t computer_bytes = 0;
};

/// A Llama-class language model on one graphics card: what text::Llama is to the processor, from the same folders.
/// Where not all of it fits, the card has the last layers and the head, and the processor the layers before them.
/// Products on the card take f16 activations and add up in f32; weights of f32 are rounded to f16.
class DeviceLlama {
 public:
  /// Throws `graph::GraphError`: as text::Llama::load, and `out-of-memory` or `not-supported` where the card cannot
  /// take even one layer, or the computer not the others; the message has the numbers. `compute` and `precision` are
  /// those of the layers on the processor; `compute` must outlive the model. `progress` counts bytes of weights.
  static std::unique_ptr<DeviceLlama> load(const Library& library, const Card& card, const std::string& folder,
                                           const Room& room, const graph::Compute& compute, lut::Precision precision,
                                           const core::Progress& progress = {});

  [[nodiscard]] const text::Config& config() const { return config_; }
  [[nodiscard]] const Interface& functions() const { return *functions_; }
  [[nodiscard]] Model* model() const { return model_.get(); }
  /// The layers before the card's; null where it has all.
  [[nodiscard]] text::Llama* first_layers() const { return first_layers_.get(); }
  [[nodiscard]] std::int64_t layers_on_card() const {
    return config_.num_hidden_layers - (first_layers_ ? first_layers_->config().num_hidden_layers : 0);
  }
  /// On the card and in the computer's memory.
  [[nodiscard]] std::size_t weight_bytes() const {
    return functions_->model_bytes(model_.get()) + (first_layers_ ? first_layers_->weight_bytes() : 0);
  }
  /// `4-bit CUDA sm_90`, for people; with the processor's kernel where that has layers.
  [[nodiscard]] std::string kernel() const;
  [[nodiscard]] const std::string& card_name() const { return card_name_; }

 private:
  class Loader;
  struct Free {
    const Interface* functions;
    void operator()(Model* model) const { functions->free_model(model); }
  };

  DeviceLlama(const Library& library, const Card& card, text::Config config);

  const Interface* functions_;
  text::Config config_;
  std::string card_name_;
  std::string architecture_;
  int bits_ = 16;     // of the first quantized projection
  int expanded_ = 0;  // quantized weights that the kernels do not know, kept in 16 bits
  std::unique_ptr<Model, Free> model_;
  std::unique_ptr<text::Llama> first_layers_;
};

}  // namespace lutra::cuda
