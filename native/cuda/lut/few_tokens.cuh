#pragma once
#include "lut/arguments.cuh"
#include "lut/decode.cuh"
#include "lut/inputs.cuh"
#include "lut/share.h"

namespace lutra::cuda::product {

struct FewArguments {
  Weight weight;
  Inputs in;
  Outputs out;
  Exchange exchange;
  std::int32_t row_warps = 1;
  std::int32_t groups = 1;         // of row blocks that a block takes side by side
  std::int32_t slices = 1;         // of the columns
  std::int32_t slice_blocks = 0;   // column blocks of a slice; the last may have fewer
  Share share;                     // of the steps of a slice
  Share last_share;                // of those of the last slice
  std::int32_t most_partials = 0;  // sums of one group of rows that come together
};

/// The scales of a lane in one block of the weight: of rows g and g + 8 of each tile, for either half of the columns.
struct LaneScales {
  uint4 halves[2];

  __device__ float at(int half, int tile, int row) const {
    const uint4& all = halves[half];
    const std::uint32_t pair = tile == 0 ? all.x : tile == 1 ? all.y : tile == 2 ? all.z : all.w;
    return widen_f16(static_cast<std::uint16_t>(row == 0 ? pair & 0xFFFFU : pair >> 16));
  }
};

/// Adds the product of a block of the weight with inputs `b` (tiles of 8 tokens, steps of 16 columns) to `sums`. With
/// `has_halves`, the scale changes after 32 columns.
template <Scalar type, Tables tables, bool has_halves, int bits, int token_tiles>
__device__ inline void multiply_block(float (&sums)[block_tiles][token_tiles][4], const uint4 (&codes)[bits],
                                      const LaneScales& scales, const std::uint32_t (&b)[token_tiles][block_tiles][2],
                                      const unsigned char* table, std::uint32_t own) {
  std::uint32_t words[block_tiles * bits];
#pragma unroll
  for (int i = 0; i < bits; ++i) {
    words[4 * i] = codes[i].x;
    words[4 * i + 1] = codes[i].y;
    words[4 * i + 2] = codes[i].z;
    words[4 * i + 3] = codes[i].w;
  }
#pragma unroll
  for (int tile = 0; tile < block_tiles; ++tile) {
    std::uint32_t tile_words[bits];
#pragma unroll
    for (int i = 0; i < bits; ++i) tile_words[i] = words[tile * bits + i];
    float group_sums[token_tiles][4] = {};
#pragma unroll
    for (int k = 0; k < block_tiles; ++k) {
      std::uint32_t fragment[4];
      decode<bits, tables>(fragment, tile_words, k, table + (tables == Tables::rows ? tile * (copy_stride << bits) : 0),
                           own);
#pragma unroll
      for (int t = 0; t < token_tiles; ++t) multiply<type>(group_sums[t], fragment, b[t][k]);
      const bool is_half = has_halves && k == block_tiles / 2 - 1;
      if (!is_half && k != block_tiles - 1) continue;
      const float scale[2] = {scales.at(has_halves && !is_half ? 1 : 0, tile, 0),
                              scales.at(has_halves && !is_half ? 1 : 0, tile, 1)};
#pragma unroll
      for (int t = 0; t < token_tiles; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[tile][t][i] = fmaf(scale[i / 2], group_sums[t][i], sums[tile][t][i]);
          group_sums[t][i] = 0;
        }
      }
    }
  }
}

/// A warp's way through the steps of its block. A step is one block of the weight for every warp.
struct Walk {
  int group = 0;          // of rows
  int step = 0, end = 0;  // within the group
  int column = 0;         // block of the columns, within the slice
  bool has_rows = false;
  const uint4* codes = nullptr;
};

/// Up to 8 `token_tiles` tokens at a time. The weight streams from memory into registers and is read once; the inputs
/// of a slice of columns stay in shared memory. Of a block's warps, `row_warps` take row blocks side by side, and the
/// others share the columns of each. Blocks (parts, slices, token groups), flat.
template <int bits, Scalar type, int token_tiles, Tables tables>
__global__ void __launch_bounds__(FewShape<token_tiles>::threads) few_tokens(const __grid_constant__ FewArguments a) {
  using Shape = FewShape<token_tiles>;
  const int row_warps = a.row_warps;
  unsigned char* const table = aligned<table_alignment<bits, tables>>(dynamic_shared());
  const int all_tables = table_bytes<bits, tables> * (tables == Tables::pairs ? 1 : row_warps);
  auto* const slots = reinterpret_cast<float*>(table + all_tables);
  unsigned char* const notes = table + all_tables + Shape::slots_bytes;
  unsigned char* const inputs = notes + Shape::notes_bytes;
  auto* const flag = reinterpret_cast<unsigned*>(notes);
  auto* const scratch = reinterpret_cast<float*>(notes + 64);

  const int lane = own_lane();
  const int warp = own_warp();
  const int column_warps = Shape::warps / row_warps;
  const int warp_row = warp / column_warps;
  const int warp_column = warp % column_warps;
  const int parts = a.share.parts;
  const int part = static_cast<int>(blockIdx.x) % parts;
  const int slice = static_cast<int>(blockIdx.x) / parts % a.slices;
  const int token_group = static_cast<int>(blockIdx.x) / parts / a.slices;
  const int first_token = token_group * Shape::tokens;
  const int tokens = min(Shape::tokens, a.in.tokens - first_token);
  const int first_block = slice * a.slice_blocks;
  const int blocks = min(a.slice_blocks, a.weight.column_blocks - first_block);
  const Share& share = slice + 1 == a.slices ? a.last_share : a.share;
  const int group_steps = share.steps_of_group;
  const int first_step = share.first_step(part);
  const int last_step = share.first_step(part + 1);

  const auto enter = [&](int step) {
    Walk walk;
    walk.group = step / group_steps;
    walk.step = step - walk.group * group_steps;
    walk.end = min(group_steps, last_step - walk.group * group_steps);
    walk.column = walk.step * column_warps + warp_column;
    const int row_block = walk.group * row_warps + warp_row;
    walk.has_rows = row_block < a.weight.row_blocks;
    walk.codes = a.weight.codes +
                 (std::int64_t{row_block} * a.weight.column_blocks + first_block + walk.column) * (bits * 32) + lane;
    return walk;
  };

  // The weight runs ahead of the sums by `ahead` blocks. A run of steps in one group of rows is filled up to a multiple
  // of that, so that each block's registers are known when this is compiled.
  const bool has_halves = a.weight.scale_shift == 0;
  bool is_here[Shape::ahead];
  uint4 codes[Shape::ahead][bits];
  LaneScales scales[Shape::ahead];
  const auto fetch = [&](Walk& walk, int j) {
    is_here[j] = walk.step < walk.end && walk.column < blocks && walk.has_rows;
    if (is_here[j]) {
#pragma unroll
      for (int i = 0; i < bits; ++i) codes[j][i] = load_stream(walk.codes + i * 32);
      const int column_block = first_block + walk.column;
      const std::int64_t scale_row = std::int64_t{walk.group * row_warps + warp_row} * a.weight.scale_groups;
      if (has_halves) {
#pragma unroll
        for (int half = 0; half < 2; ++half)
          scales[j].halves[half] = a.weight.scales[(scale_row + 2 * column_block + half) * 8 + lane / 4];
      } else {
        scales[j].halves[0] =
            a.weight.scales[(scale_row + (column_block >> (a.weight.scale_shift - 1))) * 8 + lane / 4];
      }
    }
    ++walk.step;
    walk.column += column_warps;
    walk.codes += column_warps * (bits * 32);
    if (j == Shape::ahead - 1 && walk.step >= walk.end) walk = enter(walk.group * group_steps + walk.end);
  };

  // What is asked for first comes first: the table is little, and everything waits for it.
  const PairTable<bits, Shape::threads> pairs(tables == Tables::pairs ? a.weight.tables : nullptr);
  Walk ahead = enter(first_step);
#pragma unroll
  for (int j = 0; j < Shape::ahead; ++j) fetch(ahead, j);
  let_next_begin();
  if constexpr (tables == Tables::pairs) pairs.write(table);
  if (a.in.norm != nullptr) {
    constexpr int line = 128 / sizeof(float);
    for (int column = static_cast<int>(threadIdx.x) * line; column < a.weight.columns; column += Shape::threads * line)
      prefetch(a.in.norm + column);
  }
  await_earlier_kernels();
  const int input_stride = blocks * block_side * 2 + 16;  // rows begin in different banks
  // The weight need not wait for all inputs: they come in chunks of steps.
  const int chunk_steps =
      (group_steps + input_chunks * Shape::ahead - 1) / (input_chunks * Shape::ahead) * Shape::ahead;
  const bool is_coming = stage_inputs<type>(a.in, a.weight.columns, first_token, tokens, first_block, blocks,
                                            chunk_steps * column_warps, inputs, input_stride, scratch);
  int chunks_here = is_coming ? 0 : input_chunks;
  __syncthreads();

  // Where the lane's tiles of inputs begin; columns of tokens that are not there are dropped in the end.
  const unsigned char* lane_inputs[token_tiles];
#pragma unroll
  for (int t = 0; t < token_tiles; ++t)
    lane_inputs[t] = inputs + min(t * 8 + lane % 8, tokens - 1) * input_stride + lane / 8 * 16;
  const unsigned char* const warp_table = table + (tables == Tables::rows ? warp_row * table_bytes<bits, tables> : 0);
  const std::uint32_t own = own_words<tables>(table, lane);

  for (int step = first_step; step < last_step;) {
    const Walk run = enter(step);
    if constexpr (tables == Tables::rows) {
      spread_row_tables<bits>(table, a.weight.tables, run.group * row_warps, row_warps, a.weight.row_blocks);
      __syncthreads();
    }
    float sums[block_tiles][token_tiles][4] = {};
    int input_at = run.column * (block_side * 2);
    for (int now = run.step; now < run.end; now += Shape::ahead) {
      if (chunks_here < input_chunks && now + Shape::ahead > chunks_here * chunk_steps) {
        do ++chunks_here;
        while (chunks_here < input_chunks && now + Shape::ahead > chunks_here * chunk_steps);
        await_all_but(input_chunks - chunks_here);
        __syncthreads();
      }
#pragma unroll
      for (int j = 0; j < Shape::ahead; ++j) {
        if (is_here[j]) {
          // b[t][k]: the inputs of 8 tokens and 16 columns
          std::uint32_t b[token_tiles][block_tiles][2];
#pragma unroll
          for (int t = 0; t < token_tiles; ++t) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
              std::uint32_t tiles[4];
              load_tiles(tiles, lane_inputs[t] + input_at + half * 64);
              b[t][2 * half][0] = tiles[0];
              b[t][2 * half][1] = tiles[1];
              b[t][2 * half + 1][0] = tiles[2];
              b[t][2 * half + 1][1] = tiles[3];
            }
          }
          if (has_halves) {
            multiply_block<type, tables, true>(sums, codes[j], scales[j], b, warp_table, own);
          } else {
            multiply_block<type, tables, false>(sums, codes[j], scales[j], b, warp_table, own);
          }
        }
        fetch(ahead, j);
        input_at += column_warps * (block_side * 2);
      }
    }
    step = run.group * group_steps + run.end;

    // The warps' sums come together, and those of other blocks where they hold parts of this group.
    const bool is_whole = a.slices == 1 && run.step == 0 && run.end == group_steps;
    int partial = 0;
    int partials = 1;
    if (!is_whole) {
      partial = part - share.first_part(run.group);
      partials = share.parts_of(run.group);
      if (a.slices > 1) {
        const int full = a.share.parts_of(run.group);
        partial += slice * full;
        partials = (a.slices - 1) * full + a.last_share.parts_of(run.group);
      }
    }
    const std::int64_t group_at = std::int64_t{token_group} * a.groups + run.group;
    const int partial_words = row_warps * Shape::tokens * block_side;
    float* const all_partials = a.exchange.partials + group_at * a.most_partials * partial_words;
#pragma unroll
    for (int first = 0; first < token_tiles; first += Shape::slot_tiles) {
      float* const own_slot = slots + warp * Shape::slot_words;
#pragma unroll
      for (int t = 0; t < Shape::slot_tiles; ++t) {
#pragma unroll
        for (int tile = 0; tile < block_tiles; ++tile) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int token = t * 8 + lane % 4 * 2 + i % 2;
            own_slot[token * Shape::slot_stride + tile * 16 + lane / 4 + i / 2 * 8] = sums[tile][first + t][i];
          }
        }
      }
      __syncthreads();
      for (int item = static_cast<int>(threadIdx.x); item < row_warps * Shape::slot_tokens * 32;
           item += Shape::threads) {
        const int row = item % 32 / 8 * 16 + item % 8;
        const int token = item / 32 % Shape::slot_tokens;
        const int token_of_group = first * 8 + token;
        if (token_of_group >= tokens) continue;
        const int row_warp = item / 32 / Shape::slot_tokens;
        const float* from = slots + row_warp * column_warps * Shape::slot_words + token * Shape::slot_stride + row;
        float upper = 0;
        float lower = 0;
#pragma unroll 4
        for (int w = 0; w < column_warps; ++w) {
          upper += from[w * Shape::slot_words];
          lower += from[w * Shape::slot_words + 8];
        }
        if (partials == 1) {
          finish(a.out, first_token + token_of_group, (run.group * row_warps + row_warp) * block_side + row, upper,
                 lower);
        } else {
          float* const to = all_partials + std::int64_t{partial} * partial_words +
                            (row_warp * Shape::tokens + token_of_group) * block_side + row;
          to[0] = upper;
          to[8] = lower;
        }
      }
      __syncthreads();
    }
    if (partials == 1 || !is_last(a.exchange.counters + group_at, partials, flag)) continue;
    for (int row_warp = 0; row_warp < row_warps; ++row_warp) {
      for (int item = static_cast<int>(threadIdx.x); item < tokens * 32; item += Shape::threads) {
        const int row = item % 32 / 8 * 16 + item % 8;
        const int token = item / 32;
        const float* const from = all_partials + (row_warp * Shape::tokens + token) * block_side + row;
        float upper = 0;
        float lower = 0;
#pragma unroll 8
        for (int p = 0; p < partials; ++p) {
          upper += load_fresh(from + std::int64_t{p} * partial_words);
          lower += load_fresh(from + std::int64_t{p} * partial_words + 8);
        }
        finish(a.out, first_token + token, (run.group * row_warps + row_warp) * block_side + row, upper, lower);
      }
    }
  }
  await_copies<0>();
}

}  // namespace lutra::cuda::product
