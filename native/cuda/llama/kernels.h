#pragma once
#include "launch.h"
#include "llama/arguments.h"

// Launches of everything in a Llama-class model but the products with packed weights. All may be captured. Those that
// are told to begin early wait for their predecessors by themselves (`waits_by_itself` says where that is so).

namespace lutra::cuda {

/// target (n, width) f32 = rows `ids` of `table` (vocab, width).
cudaError_t embed(const void* table, Stored type, const std::int32_t* ids, int tokens, int width, float* target,
                  cudaStream_t stream);
cudaError_t prepare(const PrepareArguments& arguments, int tokens, cudaStream_t stream, bool begins_early = false);
/// target f16 (n, width) = silu(gate) * up, of gate_up f32 (n, 2, width).
cudaError_t gate(const float* gate_up, int tokens, int width, std::uint16_t* target, cudaStream_t stream);
cudaError_t store_keys(const StoreArguments& arguments, int tokens, cudaStream_t stream, bool begins_early = false);

/// The largest head that attention takes.
constexpr int most_head_dim = 256;
/// How attention of one token is cut up on a device.
struct AttendGrid {
  int pieces = 1;
  int blocks = 1;  ///< key/value heads times chunks of their query heads
  int group = 1;   ///< query heads of a block
  int dim = 64;    ///< head_dim rounded up to what there is
  [[nodiscard]] std::size_t partial_floats() const {
    return static_cast<std::size_t>(pieces) * static_cast<std::size_t>(blocks) * static_cast<std::size_t>(group) *
           static_cast<std::size_t>(dim + 2);
  }
};
AttendGrid attend_grid(int heads, const CacheLayout& layout, int multiprocessors);
/// One token over the cache.
cudaError_t attend_one(const AttendArguments& arguments, const AttendGrid& grid, cudaStream_t stream,
                       bool begins_early = false);
/// `arguments.tokens` tokens over the cache, each over those before it.
cudaError_t attend_many(const AttendArguments& arguments, cudaStream_t stream);

cudaError_t dense(const DenseArguments& arguments, cudaStream_t stream);

/// Room for the keys of all slices, for any sampling.
std::size_t sampling_bytes(int vocab_size);
/// Draws a token from `logits` (vocab_size) as `step->sampling` says. `room` is sampling_bytes(vocab_size).
cudaError_t sample(const StepInput* step, const float* logits, int vocab_size, void* room, std::int32_t* token,
                   cudaStream_t stream);

/// Lets the kernels take the shared memory that they need. Once per process and device, outside of capture.
cudaError_t allow_kernels();

}  // namespace lutra::cuda
