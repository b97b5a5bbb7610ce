#include <algorithm>

#include "llama/attend_many.cuh"
#include "llama/attend_one.cuh"
#include "llama/dense.cuh"
#include "llama/elementwise.cuh"
#include "llama/kernels.h"
#include "llama/sampling.cuh"
#include "llama/store_keys.cuh"

namespace lutra::cuda {
namespace {

dim3 across(int items, int of_block, int second = 1) {
  return {static_cast<unsigned>((items + of_block - 1) / of_block), static_cast<unsigned>(second)};
}

/// Calls `use(std::integral_constant<int, dim>)` with the smallest dim that holds a head.
template <typename Use>
cudaError_t with_dim(int head_dim, Use use) {
  if (head_dim <= 64) return use(std::integral_constant<int, 64>{});
  if (head_dim <= 128) return use(std::integral_constant<int, 128>{});
  if (head_dim <= most_head_dim) return use(std::integral_constant<int, most_head_dim>{});
  return cudaErrorInvalidValue;
}

template <int dim>
cudaError_t attend_one_of(const AttendArguments& arguments, const AttendGrid& grid, cudaStream_t stream,
                          bool begins_early) {
  const Launch where{dim3(static_cast<unsigned>(grid.pieces), static_cast<unsigned>(grid.blocks)),
                     dim3(kernels::attend_threads), 0, stream, begins_early};
  switch (grid.group) {
    case 1:
      return launch(where, kernels::attend_one<dim, 1>, arguments);
    case 2:
      return launch(where, kernels::attend_one<dim, 2>, arguments);
    case 4:
      return launch(where, kernels::attend_one<dim, 4>, arguments);
    default:
      return launch(where, kernels::attend_one<dim, 8>, arguments);
  }
}

template <typename Tile>
cudaError_t dense_tiles(const DenseArguments& arguments, cudaStream_t stream) {
  const dim3 grid = across(arguments.rows, Tile::rows, (arguments.tokens + Tile::tokens - 1) / Tile::tokens);
  return launch({grid, dim3(Tile::threads), Tile::shared_bytes, stream}, kernels::dense_many<Tile>, arguments);
}

}  // namespace

cudaError_t embed(const void* table, Stored type, const std::int32_t* ids, int tokens, int width, float* target,
                  cudaStream_t stream) {
  return launch({dim3(static_cast<unsigned>(tokens)), dim3(kernels::row_threads), 0, stream}, kernels::embed, table,
                type, ids, width, target);
}

cudaError_t prepare(const PrepareArguments& arguments, int tokens, cudaStream_t stream, bool begins_early) {
  return launch({dim3(static_cast<unsigned>(tokens)), dim3(kernels::row_threads), 0, stream, begins_early},
                kernels::prepare, arguments);
}

cudaError_t gate(const float* gate_up, int tokens, int width, std::uint16_t* target, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(tokens), across(width, kernels::row_threads).x);
  return launch({grid, dim3(kernels::row_threads), 0, stream}, kernels::gate, gate_up, width, target);
}

cudaError_t store_keys(const StoreArguments& arguments, int tokens, cudaStream_t stream, bool begins_early) {
  const int heads = arguments.heads + 2 * arguments.cache.layout.kv_heads;
  const dim3 grid(static_cast<unsigned>(tokens), across(heads, kernels::store_warps).x);
  return launch({grid, dim3(kernels::store_warps * 32), 0, stream, begins_early}, kernels::store_keys, arguments);
}

AttendGrid attend_grid(int heads, const CacheLayout& layout, int multiprocessors) {
  AttendGrid grid;
  const int heads_per_kv = heads / layout.kv_heads;
  constexpr int most_group = 8;
  while (grid.group < std::min(heads_per_kv, most_group)) grid.group *= 2;
  grid.blocks = layout.kv_heads * ((heads_per_kv + grid.group - 1) / grid.group);
  while (grid.dim < layout.head_dim) grid.dim *= 2;
  constexpr int blocks_per_multiprocessor = 2;
  grid.pieces = std::clamp((multiprocessors * blocks_per_multiprocessor + grid.blocks - 1) / grid.blocks, 1,
                           kernels::attend_pieces);
  return grid;
}

cudaError_t attend_one(const AttendArguments& arguments, const AttendGrid& grid, cudaStream_t stream,
                       bool begins_early) {
  return with_dim(arguments.cache.layout.head_dim, [&]<int dim>(std::integral_constant<int, dim>) {
    return attend_one_of<dim>(arguments, grid, stream, begins_early);
  });
}

cudaError_t attend_many(const AttendArguments& arguments, cudaStream_t stream) {
  return with_dim(arguments.cache.layout.head_dim, [&]<int dim>(std::integral_constant<int, dim>) {
    const dim3 grid = across(arguments.tokens, kernels::attend_tile, arguments.heads);
    return launch({grid, dim3(kernels::attend_threads), kernels::attend_many_bytes<dim>, stream},
                  kernels::attend_many<dim>, arguments);
  });
}

cudaError_t dense(const DenseArguments& arguments, cudaStream_t stream) {
  constexpr int few = 4;
  constexpr int narrow = 64;
  if (arguments.tokens <= few) {
    const dim3 grid = across(arguments.rows, kernels::dense_few_warps * kernels::dense_few_rows);
    const Launch where{grid, dim3(kernels::dense_few_warps * 32), 0, stream};
    return arguments.tokens == 1 ? launch(where, kernels::dense_few<1>, arguments)
                                 : launch(where, kernels::dense_few<few>, arguments);
  }
  return arguments.tokens <= narrow ? dense_tiles<kernels::NarrowTile>(arguments, stream)
                                    : dense_tiles<kernels::WideTile>(arguments, stream);
}

std::size_t sampling_bytes(int vocab_size) {
  return across(vocab_size, kernels::slice_logits).x * std::size_t{kernels::slice_logits} * sizeof(kernels::Key);
}

cudaError_t sample(const StepInput* step, const float* logits, int vocab_size, void* room, std::int32_t* token,
                   cudaStream_t stream) {
  const dim3 grid = across(vocab_size, kernels::slice_logits);
  auto* found = static_cast<kernels::Key*>(room);
  const cudaError_t error =
      launch({grid, dim3(kernels::select_threads), 0, stream}, kernels::select_slices, step, logits, vocab_size, found);
  if (error != cudaSuccess) return error;
  return launch({dim3(1), dim3(kernels::select_threads), kernels::draw_bytes, stream}, kernels::draw, step, found,
                static_cast<int>(grid.x), vocab_size, token);
}

cudaError_t allow_kernels() {
  const cudaError_t errors[] = {
      allow_shared(kernels::attend_many<64>, kernels::attend_many_bytes<64>),
      allow_shared(kernels::attend_many<128>, kernels::attend_many_bytes<128>),
      allow_shared(kernels::attend_many<most_head_dim>, kernels::attend_many_bytes<most_head_dim>),
      allow_shared(kernels::dense_many<kernels::NarrowTile>, kernels::NarrowTile::shared_bytes),
      allow_shared(kernels::dense_many<kernels::WideTile>, kernels::WideTile::shared_bytes),
      allow_shared(kernels::draw, kernels::draw_bytes),
  };
  for (const cudaError_t error : errors) {
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace lutra::cuda
