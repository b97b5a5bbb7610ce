#pragma once
#include "lut/group_product.cuh"
#include "lut/tile.cuh"

namespace lutra::cuda::product {

/// Many tokens on compute capability 9.0. A block makes a tile of 128 rows and `tokens` tokens, 64 rows for each of its
/// two warp groups: the weight is decoded into registers, 64 columns ahead, while the tensor cores multiply the columns
/// before with inputs from a ring in shared memory. Blocks (row tiles, token tiles, splits), flat.
template <int bits, Scalar type, int tokens, Tables tables>
__global__ void __launch_bounds__(HopperShape<tokens>::threads) many_tokens_hopper(ManyArguments a) {
#ifdef LUTRA_HAS_GROUP_PRODUCTS
  using Shape = HopperShape<tokens>;
  constexpr int group_warps = 4;
  unsigned char* const unaligned = dynamic_shared();
  unsigned char* const ring =
      unaligned + (ring_alignment - address_in_shared(unaligned) % ring_alignment) % ring_alignment;
  unsigned char* const table = ring + Shape::ring_bytes;
  __shared__ unsigned flag;

  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int tile = warp % group_warps;
  const TilePlace place(a);
  constexpr int row_blocks = Shape::rows / block_side;
  const int row_block = place.row_tile * row_blocks + warp / group_warps;
  const int first_token = place.token_tile * tokens;

  // Codes are on their way for two blocks, decoded for one; which registers hold what is known when this is compiled.
  TileCodes<bits> codes[2];
  const auto fetch = [&](int block, TileCodes<bits>& target) {
    if (block < place.blocks) target.load(a.weight, row_block, place.first_block + block, tile, lane);
  };
  fetch(0, codes[0]);
  fetch(1, codes[1]);
  let_next_begin();
  spread_tables<bits, tables>(table, a.weight.tables, place.row_tile * row_blocks, row_blocks, a.weight.row_blocks);
  await_earlier_kernels();
  // The stage that is filled is the one whose products every warp group has awaited: two before the present one.
  constexpr int ahead = Shape::stages - 2;
  const auto fill = [&](int block) {
    if (block < place.blocks) {
      copy_stage<tokens, Shape::threads>(a.in, a.weight.columns, first_token, place.first_block + block,
                                         ring + block % Shape::stages * stage_bytes(tokens));
    }
    close_copies();
  };
#pragma unroll
  for (int i = 0; i < ahead; ++i) fill(i);
  __syncthreads();

  const unsigned char* const lane_table =
      table + lane * 4 +
      (tables == Tables::rows ? warp / group_warps * table_bytes<bits, tables> + tile * (copy_stride << bits) : 0);
  std::uint32_t fragments[2][block_tiles][4];
  const auto weigh = [&](std::uint32_t (&target)[block_tiles][4], const TileCodes<bits>& source) {
#pragma unroll
    for (int k = 0; k < block_tiles; ++k) source.template weigh<type, tables>(target[k], k, lane_table);
  };
  float sums[tokens / 8][4] = {};
  weigh(fragments[0], codes[0]);
  fetch(2, codes[0]);
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
        fill(block + ahead);
        await_products<1>();
        if (block + 1 < place.blocks) {
          weigh(fragments[1 - j], codes[1 - j]);
          fetch(block + 3, codes[1 - j]);
        }
      }
    }
  }
  await_products<0>();
  await_copies<0>();
  __syncthreads();
  if (!gather_splits<tokens / 8>(sums, a, place, &flag)) return;
  auto* const staging = reinterpret_cast<float*>(ring) + warp * (16 * tokens);
  store_tile<tokens / 8>(staging, sums, a.out, first_token, a.in.tokens, row_block * block_side + tile * 16);
#endif
}

}  // namespace lutra::cuda::product
