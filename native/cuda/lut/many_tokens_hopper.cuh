#pragma once
#include "lut/tile.cuh"

namespace lutra::cuda::product {

/// Many tokens on compute capability 9.0. A block makes tiles of 128 rows and `tokens` tokens, 64 rows for each of its
/// two warp groups: the weight is decoded into registers, 64 columns ahead, while the tensor cores multiply the columns
/// before with inputs from a ring in shared memory. What the next tile begins with is on its way while the last one's
/// sums are written. Any number of blocks; work is (row tiles, token tiles, splits), flat.
template <int bits, Scalar type, int tokens, Tables tables>
__global__ void __launch_bounds__(HopperShape<tokens>::threads)
    many_tokens_hopper(const __grid_constant__ ManyArguments a) {
#ifdef LUTRA_HAS_GROUP_PRODUCTS
  using Shape = HopperShape<tokens>;
  constexpr int group_warps = 4;
  constexpr int row_blocks = Shape::rows / block_side;
  unsigned char* const ring = aligned<ring_alignment>(dynamic_shared());
  unsigned char* const table = aligned<table_alignment<bits, tables>>(ring + Shape::ring_bytes + Shape::staging_bytes);
  __shared__ unsigned flag;

  const int lane = own_lane();
  const int warp = own_warp();
  const int tile = warp % group_warps;
  auto* const staging = reinterpret_cast<float*>(ring + Shape::ring_bytes) + warp * (16 * Shape::staging_tokens);
  const unsigned char* const tile_table =
      table +
      (tables == Tables::rows ? warp / group_warps * table_bytes<bits, tables> + tile * (copy_stride << bits) : 0);
  const std::uint32_t own = own_words<tables>(table, lane);
  const bool has_halves = a.weight.scale_shift == 0;

  // Codes are on their way for two blocks, decoded for one; which registers hold what is known when this is compiled.
  TileCodes<bits> codes[2] = {};
  const auto row_of = [&](const TilePlace& place) {
    return TileRow<bits>(a.weight, place.row_tile * row_blocks + warp / group_warps, tile, lane);
  };
  const auto fetch = [&](const TilePlace& place, const TileRow<bits>& row, int block, TileCodes<bits>& target) {
    if (block < place.blocks) target.load(row, place.first_block + block, tile);
  };
  // The stage that is filled is the one whose products every warp group has awaited: two before the present one.
  constexpr int ahead = Shape::stages - 2;
  const auto fill = [&](const TilePlace& place, const StageCopy<tokens>& copy, int block) {
    if (block < place.blocks) copy.begin(block, ring + block % Shape::stages * stage_bytes(tokens));
    close_copies();
  };

  const int all_work = a.row_tiles * a.token_tiles * a.splits;
  auto work = static_cast<int>(blockIdx.x);
  TilePlace place(a, work);
  TileRow<bits> row = row_of(place);
  const PairTable<bits, Shape::threads> pairs(tables == Tables::pairs ? a.weight.tables : nullptr);
  fetch(place, row, 0, codes[0]);
  fetch(place, row, 1, codes[1]);
  let_next_begin();
  if constexpr (tables == Tables::pairs) pairs.write(table);
  await_earlier_kernels();
  StageCopy<tokens> copy(a.in, a.weight.columns, place.token_tile * tokens, place.first_block);
#pragma unroll
  for (int i = 0; i < ahead; ++i) fill(place, copy, i);

  for (;;) {
    if constexpr (tables == Tables::rows)
      spread_row_tables<bits>(table, a.weight.tables, place.row_tile * row_blocks, row_blocks, a.weight.row_blocks);
    __syncthreads();
    std::uint32_t fragments[2][block_tiles][4];
    const auto weigh = [&](std::uint32_t(&target)[block_tiles][4], const TileCodes<bits>& source) {
#pragma unroll
      for (int k = 0; k < block_tiles; ++k)
        source.template weigh<type, tables>(target[k], k, tile_table, own, has_halves);
    };
    float sums[tokens / 8][4] = {};
    weigh(fragments[0], codes[0]);
    fetch(place, row, 2, codes[0]);
    for (int first = 0; first < place.blocks; first += 2) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int block = first + j;
        if (block < place.blocks) {
          await_copies<ahead - 1>();
          show_to_products();
          __syncthreads();
          const std::uint64_t descriptor = describe(ring + block % Shape::stages * stage_bytes(tokens));
          settle_registers();
#pragma unroll
          for (int k = 0; k < block_tiles; ++k) {
            constexpr int sixteen_columns = 32 / 16;  // in the descriptor's units
            begin_product<type, tokens>(sums, fragments[j][k],
                                        descriptor + static_cast<std::uint64_t>(k * sixteen_columns));
          }
          close_products();
          fill(place, copy, block + ahead);
          await_products<1>();
          if (block + 1 < place.blocks) {
            weigh(fragments[1 - j], codes[1 - j]);
            fetch(place, row, block + 3, codes[1 - j]);
          }
        }
      }
    }
    await_products<0>();
    await_copies<0>();
    __syncthreads();

    const TilePlace last = place;
    work += static_cast<int>(gridDim.x);
    const bool has_more = work < all_work;
    if (has_more) {
      place = TilePlace(a, work);
      row = row_of(place);
      fetch(place, row, 0, codes[0]);
      fetch(place, row, 1, codes[1]);
      copy = StageCopy<tokens>(a.in, a.weight.columns, place.token_tile * tokens, place.first_block);
#pragma unroll
      for (int i = 0; i < ahead; ++i) fill(place, copy, i);
    }
    if (gather_splits<tokens / 8>(sums, a, last, &flag)) {
      constexpr int tiles = Shape::staging_tokens / 8;
      const int first_row = (last.row_tile * row_blocks + warp / group_warps) * block_side + tile * 16;
#pragma unroll
      for (int t = 0; t < tokens / 8; t += tiles) {
        store_tile<tiles>(staging, reinterpret_cast<const float(&)[tiles][4]>(sums[t]), a.out,
                          last.token_tile * tokens + t * 8, a.in.tokens, first_row);
      }
    }
    if (!has_more) return;
  }
#endif
}

}  // namespace lutra::cuda::product
