#pragma once
#include "lut/arguments.cuh"
#include "lut/decode.cuh"

namespace lutra::cuda::product {

/// Eight inputs from `column` on, widened.
template <Scalar type>
__device__ inline void load_wide(float (&values)[8], const Inputs& in, int token, int column) {
  const std::int64_t at = token * in.stride + column;
  if (in.is_f32) {
    const auto* source = reinterpret_cast<const float4*>(static_cast<const float*>(in.x) + at);
    const float4 low = source[0];
    const float4 high = source[1];
    const float all[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) values[i] = all[i];
  } else {
    const uint4 bits = *reinterpret_cast<const uint4*>(static_cast<const std::uint16_t*>(in.x) + at);
    const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      values[2 * i] = widen<type>(static_cast<std::uint16_t>(words[i] & 0xFFFFU));
      values[2 * i + 1] = widen<type>(static_cast<std::uint16_t>(words[i] >> 16));
    }
  }
}

/// Eight inputs from `column` on as pairs of `type`, normed.
template <Scalar type>
__device__ inline uint4 load_inputs(const Inputs& in, int token, int column, float factor) {
  float values[8];
  load_wide<type>(values, in, token, column);
  if (in.norm != nullptr) {
#pragma unroll
    for (int i = 0; i < 8; ++i) values[i] = values[i] * factor * in.norm[column + i];
  }
  return {narrow_pair<type>(values[0], values[1]), narrow_pair<type>(values[2], values[3]),
          narrow_pair<type>(values[4], values[5]), narrow_pair<type>(values[6], values[7])};
}

/// 1 / rms of a token's inputs, in every thread of the block. `scratch` has a word for each warp.
template <Scalar type>
__device__ inline float inverse_rms(const Inputs& in, int columns, int token, float* scratch) {
  float sum = 0;
  for (int column = static_cast<int>(threadIdx.x) * 8; column < columns; column += static_cast<int>(blockDim.x) * 8) {
    float values[8];
    load_wide<type>(values, in, token, column);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum = fmaf(values[i], values[i], sum);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0;
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) total += scratch[warp];
  __syncthreads();
  return inverse_root(total / static_cast<float>(columns) + in.norm_eps);
}

/// Pieces of the columns whose inputs are waited for one after the other.
constexpr int input_chunks = 4;

/// Inputs of `tokens` tokens from `first_token` on, columns of `blocks` blocks from `first_block` on, to shared memory:
/// (tokens, stride bytes). True where they are on their way as `input_chunks` groups of copies, of `chunk_blocks`
/// blocks each; false where this thread has stored its own already.
template <Scalar type>
__device__ inline bool stage_inputs(const Inputs& in, int columns, int first_token, int tokens, int first_block,
                                    int blocks, int chunk_blocks, unsigned char* target, int stride, float* scratch) {
  constexpr int block_pieces = block_side / 8;
  const int pieces = blocks * block_pieces;
  if (!in.is_f32 && in.norm == nullptr) {
    // One token's pieces go to all threads; of several tokens, a stretch of pieces to some and a token to each of
    // those.
    constexpr int stretch = 64;
    const auto own = static_cast<int>(threadIdx.x);
    const auto threads = static_cast<int>(blockDim.x);
    const int piece_step = tokens == 1 ? threads : stretch;
    const int first_piece = tokens == 1 ? own : own % stretch;
    const int token_step = tokens == 1 ? 1 : threads / stretch;
    const int own_token = tokens == 1 ? 0 : own / stretch;
    const auto* const source = static_cast<const std::uint16_t*>(in.x) + first_block * block_side;
    for (int chunk = 0; chunk < input_chunks; ++chunk) {
      const int begin = min(chunk * chunk_blocks * block_pieces, pieces);
      const int end = min(begin + chunk_blocks * block_pieces, pieces);
      for (int piece = begin + first_piece; piece < end; piece += piece_step) {
        const bool is_there = first_block * block_side + piece * 8 < columns;
        const std::uint16_t* const column = source + (is_there ? piece * 8 : 0);
        for (int token = own_token; token < tokens; token += token_step)
          copy_later(target + token * stride + piece * 16, column + (first_token + token) * in.stride, is_there);
      }
      close_copies();
    }
    return true;
  }
  for (int token = 0; token < tokens; ++token) {
    const float factor = in.norm != nullptr ? inverse_rms<type>(in, columns, first_token + token, scratch) : 1.0F;
    for (int piece = static_cast<int>(threadIdx.x); piece < pieces; piece += static_cast<int>(blockDim.x)) {
      const int column = first_block * block_side + piece * 8;
      uint4 value = {0, 0, 0, 0};
      if (column < columns) value = load_inputs<type>(in, first_token + token, column, factor);
      *reinterpret_cast<uint4*>(target + token * stride + piece * 16) = value;
    }
  }
  return false;
}

}  // namespace lutra::cuda::product
