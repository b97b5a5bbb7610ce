#pragma once
#include <memory>
#include <vector>

#include "llama/kernels.h"
#include "llama/model.h"

namespace lutra::cuda {

/// A conversation on the device: keys and values, and the memory that a step works in. One stream; a step of one token
/// is one graph, captured once, whose inputs lie in pinned memory.
class Session {
 public:
  Session(Model& model, std::int32_t context_size, bool bytes_cache);

  [[nodiscard]] const Model& model() const { return *model_; }
  [[nodiscard]] std::int32_t tokens() const { return tokens_; }
  [[nodiscard]] std::int32_t positions() const { return static_cast<std::int32_t>(pages_.size()) * page_positions; }
  [[nodiscard]] std::size_t cache_bytes() const {
    return pages_.size() * static_cast<std::size_t>(layout_.page_bytes());
  }
  [[nodiscard]] std::size_t room_bytes() const { return room_bytes_; }

  void add_page(const float* cosines, const float* sines);
  void prefill(const std::int32_t* tokens, const float* residual, std::int32_t count, std::int32_t position,
               bool all_logits, float* logits, const Tap* tap);
  std::int32_t draw(const StepInput& step);
  std::int32_t step(const StepInput& step, const float* residual, float* logits);

 private:
  /// What a projection is multiplied with.
  struct Input {
    const void* x = nullptr;
    bool is_f32 = false;
    int width = 0;
    const float* norm = nullptr;
  };
  struct DestroyGraph {
    void operator()(cudaGraph_t graph) const { static_cast<void>(cudaGraphDestroy(graph)); }
    void operator()(cudaGraphExec_t graph) const { static_cast<void>(cudaGraphExecDestroy(graph)); }
  };

  DeviceMemory room(std::size_t bytes);
  void require_room(std::int32_t position, std::int32_t count) const;
  /// Throws where a residual stream is given to a model that begins with tokens, or the other way round.
  void require_kind(const float* residual) const;
  void send_input();
  void embed(const std::int32_t* ids, int tokens);
  void take_residual(const float* values, int tokens);
  void run_layers(int tokens, bool all_logits, const Tap* tap);
  void layer(int index, int tokens);
  void project(const Projection& parts, const Input& input, int tokens, void* y, Scalar y_type, int y_stride,
               const float* residual);
  void project_head(int tokens, bool all_logits);
  void look(const Tap& tap, int layer, int tokens);
  void step_work();
  void capture_step();
  void read_logits(float* target, int rows);

  Model* model_;
  CacheLayout layout_;
  std::int32_t context_size_;
  std::int32_t tokens_;  // of the largest piece
  AttendGrid attend_grid_;
  bool begins_early_;
  Stream stream_;
  std::size_t room_bytes_ = 0;

  std::vector<DeviceMemory> pages_;
  Pinned<unsigned char*> page_list_;  // (most pages)
  DeviceMemory device_pages_;

  Pinned<StepInput> input_;
  Pinned<std::int32_t> ids_;
  Pinned<std::int32_t> drawn_;
  Pinned<float> handed_on_;  // (hidden_size), of a step, where the model begins at a later layer
  DeviceMemory device_input_, device_ids_, device_drawn_;

  DeviceMemory residual_;   // f32 (tokens, hidden_size)
  DeviceMemory qkv_;        // f32 (tokens, qkv rows)
  DeviceMemory queries_;    // f16 (tokens, query rows)
  DeviceMemory attended_;   // likewise
  DeviceMemory activated_;  // f16 (tokens, intermediate_size)
  DeviceMemory both_;       // f32 (tokens, 2, intermediate_size), where a gate is not part of a product
  DeviceMemory prepared_;   // f16 (tokens, widest input), where weights are not packed
  DeviceMemory logits_;     // f32 (rows, vocab_size)
  int last_row_ = 0;        // of the logits: the one after the last token
  DeviceMemory partials_, arrived_, workspace_, sampling_;

  bool is_warm_ = false;
  std::unique_ptr<CUgraphExec_st, DestroyGraph> graph_;
};

}  // namespace lutra::cuda
