#pragma once
#include <memory>
#include <string>

#include "core/progress.h"
#include "cuda/library.h"
#include "text/config.h"

namespace lutra::cuda {

/// A Llama-class language model whose weights lie on one graphics card: what text::Llama is to the processor, from the
/// same folders. Products take f16 activations and add up in f32; weights of f32 are rounded to f16.
class DeviceLlama {
 public:
  /// Throws `graph::GraphError`: as text::Llama::load, and `out-of-memory` or `not-supported` where the card cannot
  /// take the model; the message has the numbers. `progress` counts bytes of weights.
  static std::unique_ptr<DeviceLlama> load(const Library& library, const Card& card, const std::string& folder,
                                           int threads, const core::Progress& progress = {});

  [[nodiscard]] const text::Config& config() const { return config_; }
  [[nodiscard]] const Interface& functions() const { return *functions_; }
  [[nodiscard]] Model* model() const { return model_.get(); }
  [[nodiscard]] std::size_t weight_bytes() const { return functions_->model_bytes(model_.get()); }
  /// `4-bit CUDA sm_90`, for people.
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
};

}  // namespace lutra::cuda
