#pragma once
#include "lut/tile.cuh"

namespace lutra::cuda::product {

/// Many tokens with mma.sync. A block makes a tile of 256 rows and `tokens` tokens; a warp 64 rows of half of the
/// tokens: each decoded fragment serves 4 or 8 products. Blocks (row tiles, token tiles, splits), flat.
template <int bits, Scalar type, int tokens, Tables tables>
__global__ void __launch_bounds__(AmpereShape<tokens>::threads) many_tokens(const __grid_constant__ ManyArguments a) {
  using Shape = AmpereShape<tokens>;
  constexpr int warp_tokens = tokens / Shape::token_warps;
  constexpr int token_tiles = warp_tokens / 8;
  unsigned char* const ring = dynamic_shared();
  unsigned char* const table = aligned<table_alignment<bits, tables>>(ring + Shape::ring_bytes);
  __shared__ unsigned flag;

  const int lane = own_lane();
  const int warp = own_warp();
  const int warp_row = warp / Shape::token_warps;
  const int warp_token = warp % Shape::token_warps * warp_tokens;
  const TilePlace place(a, static_cast<int>(blockIdx.x));
  const int row_block = place.row_tile * Shape::row_warps + warp_row;
  const int first_token = place.token_tile * tokens;

  TileCodes<bits> codes[block_tiles];
  TileCodes<bits> next_codes[block_tiles];
  TileRow<bits> rows[block_tiles];
#pragma unroll
  for (int tile = 0; tile < block_tiles; ++tile) rows[tile] = TileRow<bits>(a.weight, row_block, tile, lane);
  const auto fetch = [&](int block) {
    if (block >= place.blocks) return;
#pragma unroll
    for (int tile = 0; tile < block_tiles; ++tile) next_codes[tile].load(rows[tile], place.first_block + block, tile);
  };
  const PairTable<bits, Shape::threads> pairs(tables == Tables::pairs ? a.weight.tables : nullptr);
  fetch(0);
  let_next_begin();
  if constexpr (tables == Tables::pairs) {
    pairs.write(table);
  } else {
    spread_row_tables<bits>(table, a.weight.tables, place.row_tile * Shape::row_warps, Shape::row_warps,
                            a.weight.row_blocks);
  }
  await_earlier_kernels();
  constexpr int ahead = Shape::stages - 1;
  const StageCopy<tokens> copy(a.in, a.weight.columns, first_token, place.first_block);
  const auto fill = [&](int block) {
    if (block < place.blocks) copy.begin(block, ring + block % Shape::stages * stage_bytes(tokens));
    close_copies();
  };
#pragma unroll
  for (int i = 0; i < ahead; ++i) fill(i);

  const unsigned char* const warp_table = table + (tables == Tables::rows ? warp_row * table_bytes<bits, tables> : 0);
  const std::uint32_t own = own_words<tables>(table, lane);
  const bool has_halves = a.weight.scale_shift == 0;
  float sums[block_tiles][token_tiles][4] = {};
  for (int block = 0; block < place.blocks; ++block) {
    await_copies<ahead - 1>();
    __syncthreads();
    fill(block + ahead);
#pragma unroll
    for (int tile = 0; tile < block_tiles; ++tile) codes[tile] = next_codes[tile];
    fetch(block + 1);
    const unsigned char* const stage = ring + block % Shape::stages * stage_bytes(tokens);
#pragma unroll
    for (int k = 0; k < block_tiles; ++k) {
      std::uint32_t b[token_tiles][2];
#pragma unroll
      for (int t = 0; t < token_tiles; t += 2) {
        // Tiles of 8 tokens and 8 columns: both columns of the first tokens, then of the next.
        const int token = warp_token + t * 8 + lane / 16 * 8 + lane % 8;
        std::uint32_t tiles[4];
        load_tiles(tiles, stage + swizzled(token, k * 2 + lane / 8 % 2));
        b[t][0] = tiles[0];
        b[t][1] = tiles[1];
        b[t + 1][0] = tiles[2];
        b[t + 1][1] = tiles[3];
      }
#pragma unroll
      for (int tile = 0; tile < block_tiles; ++tile) {
        std::uint32_t fragment[4];
        codes[tile].template weigh<type, tables>(
            fragment, k, warp_table + (tables == Tables::rows ? tile * (copy_stride << bits) : 0), own, has_halves);
#pragma unroll
        for (int t = 0; t < token_tiles; ++t) multiply<type>(sums[tile][t], fragment, b[t]);
      }
    }
  }
  await_copies<0>();
  __syncthreads();
  auto& flat = reinterpret_cast<float(&)[block_tiles * token_tiles][4]>(sums);
  if (!gather_splits<block_tiles * token_tiles>(flat, a, place, &flag)) return;
  auto* const staging = reinterpret_cast<float*>(ring) + warp * (16 * warp_tokens);
#pragma unroll
  for (int tile = 0; tile < block_tiles; ++tile) {
    store_tile<token_tiles>(staging, sums[tile], a.out, first_token + warp_token, a.in.tokens,
                            row_block * block_side + tile * 16);
  }
}

}  // namespace lutra::cuda::product
