#pragma once

// Sizes that kernels and their plans agree on.

#ifdef __CUDACC__
#define LUTRA_BOTH_SIDES __host__ __device__
#else
#define LUTRA_BOTH_SIDES
#endif

namespace lutra::cuda::product {

constexpr int block_side = 64;    // rows and columns of a block of the weight
constexpr int block_tiles = 4;    // of 16 rows; as many steps of 16 columns
constexpr int copy_stride = 128;  // bytes between the words of one lane's table: one for each lane

/// Words of a lane's table: of pairs for all rows, or of each entry for the two rows of a lane in four tiles.
LUTRA_BOTH_SIDES constexpr int table_words(int bits, bool has_row_tables) {
  return has_row_tables ? block_tiles << bits : 1 << (2 * bits);
}

/// Up to 8 `token_tiles` tokens at a time.
template <int token_tiles>
struct FewShape {
  static constexpr int tokens = 8 * token_tiles;
  static constexpr int warps = token_tiles == 4 ? 8 : 16;
  static constexpr int threads = warps * 32;
  static constexpr int ahead = token_tiles == 4 ? 3 : 2;  // blocks of the weight on their way to a warp
  // Sums of a warp on their way to the others: of so many tiles of tokens at a time.
  static constexpr int slot_tiles = token_tiles == 4 ? 2 : 1;
  static constexpr int slot_tokens = 8 * slot_tiles;
  static constexpr int slot_stride = block_side + 4;  // the four tokens of a fragment fall into different banks
  static constexpr int slot_words = slot_tokens * slot_stride;
  static constexpr int slots_bytes = warps * slot_words * 4;
  static constexpr int notes_bytes = 256;  // small things that the whole block knows
};

/// Tiles of `tokens` tokens for many of them: a ring of inputs in shared memory, 64 columns (128 bytes) a stage.
LUTRA_BOTH_SIDES constexpr int stage_bytes(int tokens) { return tokens * 128; }

constexpr int many_threads = 256;

template <int tokens_>
struct HopperShape {
  static constexpr int tokens = tokens_;
  static constexpr int rows = 128;  // 64 for each of two warp groups
  static constexpr int threads = many_threads;
  static constexpr int stages = tokens == 64 ? 6 : 4;
  static constexpr int ring_bytes = stages * stage_bytes(tokens);
  // Sums on their way out, 16 rows and 64 tokens of a warp at a time, beside the ring: that fills for the next tile.
  static constexpr int staging_tokens = 64;
  static constexpr int staging_bytes = threads / 32 * 16 * staging_tokens * 4;
};

template <int tokens_>
struct AmpereShape {
  static constexpr int tokens = tokens_;
  static constexpr int row_warps = 4;
  static constexpr int token_warps = 2;
  static constexpr int rows = row_warps * block_side;
  static constexpr int threads = row_warps * token_warps * 32;
  static constexpr int stages = 4;
  static constexpr int ring_bytes = stages * stage_bytes(tokens);
  static constexpr int staging_bytes = 0;  // within the ring
};

/// A descriptor's tiles begin at multiples of this.
constexpr int ring_alignment = 1024;

}  // namespace lutra::cuda::product
