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
  unsigned char* const unaligned = dynamic_shared();
  unsigned char* const ring =
      unaligned + (ring_alignment - address_in_shared(unaligned) % ring_alignment) % ring_alignment;
  unsigned char* const table = ring + Shape::ring_bytes + Shape::staging_bytes;
  __shared__ unsigned flag;

  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = own_warp();
  const int tile = warp % group_warps;
  auto* const staging = reinterpret_cast<float*>(ring + Shape::ring_bytes) + warp * (16 * Shape::staging_tokens);
  const unsigned char* const tile_table =
      table +
      (tables == Tables::rows ? warp / group_warps * table_bytes<bits, tables> + tile * (copy_stride << bits) : 0);

  // Codes are on their way for two blocks, decoded for one; which registers hold what is known when this is compiled.
  TileCodes<bits> codes[2] = {};
  const auto fetch = [&](const TilePlace& place, int block, TileCodes<bits>& target) {
    const int row_block = place.row_tile * row_blocks + warp / group_warps;
    if (block < place.blocks) target.load(a.weight, row_block, place.first_block + block, tile, lane);
  };
  // The stage that is filled is the one whose products every warp group has awaited: two before the present one.
  constexpr int ahead = Shape::stages - 2;
  const auto fill = [&](const TilePlace& place, const StageCopy<tokens>& copy, int block) {
    if (block < place.blocks) copy.begin(a.weight.columns, block, ring + block % Shape::stages * stage_bytes(tokens));
    close_copies();
  };

  const int all_work = a.row_tiles * a.token_tiles * a.splits;
  auto work = static_cast<int>(blockIdx.x);
  TilePlace place(a, work);
  fetch(place, 0, codes[0]);
  fetch(place, 1, codes[1]);
  let_next_begin();
  if constexpr (tables == Tables::pairs)
    spread_tables<bits, tables>(table, a.weight.tables, 0, row_blocks, a.weight.row_blocks);
  await_earlier_kernels();
  StageCopy<tokens> copy(a.in, place.token_tile * tokens, place.first_block);
#pragma unroll
  for (int i = 0; i < ahead; ++i) fill(place, copy, i);

  for (;;) {
    if constexpr (tables == Tables::rows)
      spread_tables<bits, tables>(table, a.weight.tables, place.row_tile * row_blocks, row_blocks, a.weight.row_blocks);
    __syncthreads();
    std::uint32_t fragments[2][block_tiles][4];
    const auto weigh = [&](std::uint32_t (&target)[block_tiles][4], const TileCodes<bits>& source) {
#pragma unroll
      for (int k = 0; k < block_tiles; ++k)
        source.template weigh<type, tables>(target[k], k, tile_table, static_cast<std::uint32_t>(lane) * 4);
    };
    float sums[tokens / 8][4] = {};
    weigh(fragments[0], codes[0]);
    fetch(place, 2, codes[0]);
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
            fetch(place, block + 3, codes[1 - j]);
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
      fetch(place, 0, codes[0]);
      fetch(place, 1, codes[1]);
      copy = StageCopy<tokens>(a.in, place.token_tile * tokens, place.first_block);
#pragma unroll
      for (int i = 0; i < ahead; ++i) fill(place, copy, i);
    }
    if (gather_splits<tokens / 8>(sums, a, last, &flag)) {
      constexpr int tiles = Shape::staging_tokens / 8;
      const int row = (last.row_tile * row_blocks + warp / group_warps) * block_side + tile * 16;
#pragma unroll
      for (int t = 0; t < tokens / 8; t += tiles) {
        store_tile<tiles>(staging, reinterpret_cast<const float (&)[tiles][4]>(sums[t]), a.out,
                          last.token_tile * tokens + t * 8, a.in.tokens, row);
      }
    }
    if (!has_more) return;
  }
#endif
}

}  // namespace lutra::cuda::product
