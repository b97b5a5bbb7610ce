#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/threads.h"
#include "cuda/device_llama.h"
#include "lut_layout.h"
#include "text/quantized.h"

namespace lutra::cuda {

/// Hands a checkpoint to the card, tensor by tensor.
class DeviceLlama::Loader {
 public:
  Loader(DeviceLlama& target, const core::Safetensors& file, const std::string& folder, const Card& card,
         const Room& room, std::size_t threads, const core::Progress& progress)
      : target_(&target),
        functions_(target.functions_),
        file_(&file),
        quantized_(file, folder, target.config_),
        card_(card),
        room_(room),
        threads_(threads),
        progress_(&progress) {
    for (const auto& [name, view] : file.tensors()) total_bytes_ += view.bytes.size();
    has_head_ = !target.config_.tie_word_embeddings && lut::storage_of(file, "lm_head") != lut::Storage::missing;
  }

  /// As much as fits, from the end on. Returns the first layer that is on the card.
  std::int64_t load();
  /// Refuses layers before `first` for which the computer has no memory.
  void require_computer_room(std::int64_t first) const;
  [[nodiscard]] std::uint64_t done_bytes() const { return done_bytes_; }

 private:
  /// A weight as it lies in the file.
  struct Source {
    std::string name;  // of the module
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::optional<lut::LutMatrix> quantized;
    core::TensorView dense;
    std::vector<float> bias;
  };

  [[nodiscard]] std::size_t free_bytes();
  [[nodiscard]] std::size_t wanted_beside(std::int64_t layers) const;
  bool layer_fits(std::int64_t index);
  void embedding();
  void head();
  void layer(std::int64_t index);
  Source source(const std::string& name, std::int64_t rows, std::int64_t columns);
  void norm(Norm kind, std::int32_t layer, const std::string& name, std::int64_t length, bool is_required = true);
  void projection(Slot slot, std::int32_t layer, std::vector<Source> sources);
  bool pack_together(Slot slot, std::int32_t layer, const std::vector<Source>& sources);
  void add_alone(Slot slot, std::int32_t layer, std::int64_t row_begin, const Source& source);
  void add_packed(const Part& part, const LutImage& image);
  void add_expanded(const Part& part, const Source& source);
  void let_go(const std::string& name);
  Model* model() const { return target_->model_.get(); }

  DeviceLlama* target_;
  const Interface* functions_;
  const core::Safetensors* file_;
  text::QuantizedReader quantized_;
  Card card_;
  Room room_;
  core::ThreadPool threads_;
  const core::Progress* progress_;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  bool has_head_ = false;
  Problem problem_{};
};

}  // namespace lutra::cuda
