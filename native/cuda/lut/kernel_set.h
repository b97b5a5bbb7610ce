#pragma once
#include "lut/few_tokens.cuh"
#include "lut/many_tokens.cuh"
#include "lut/many_tokens_hopper.cuh"

namespace lutra::cuda::product {

/// The kernels of one number of bits, by [type: f16, bf16][tables][size]. For many tokens, tables of rows come in one
/// size.
struct FewKernels {
  void (*of[2][2][3])(FewArguments);  ///< size: 1, 2, 4 tiles of tokens
};
struct ManyKernels {
  void (*of[2][3])(ManyArguments);  ///< pairs: 64, 128 tokens; rows: 64
};
struct HopperKernels {
  void (*of[2][4])(ManyArguments);  ///< pairs: 64, 128, 256 tokens; rows: 128
};

// Each in a file of its own, so that they are compiled side by side.
extern const FewKernels few_2_bits, few_3_bits, few_4_bits;
extern const ManyKernels many_2_bits, many_3_bits, many_4_bits;
extern const HopperKernels hopper_2_bits, hopper_3_bits, hopper_4_bits;

template <int bits>
constexpr FewKernels make_few() {
  constexpr Scalar f16 = Scalar::f16;
  constexpr Scalar bf16 = Scalar::bf16;
  constexpr Tables pairs = Tables::pairs;
  constexpr Tables rows = Tables::rows;
  return {{{{few_tokens<bits, f16, 1, pairs>, few_tokens<bits, f16, 2, pairs>, few_tokens<bits, f16, 4, pairs>},
            {few_tokens<bits, f16, 1, rows>, few_tokens<bits, f16, 2, rows>, few_tokens<bits, f16, 4, rows>}},
           {{few_tokens<bits, bf16, 1, pairs>, few_tokens<bits, bf16, 2, pairs>, few_tokens<bits, bf16, 4, pairs>},
            {few_tokens<bits, bf16, 1, rows>, few_tokens<bits, bf16, 2, rows>, few_tokens<bits, bf16, 4, rows>}}}};
}

template <int bits>
constexpr ManyKernels make_many() {
  constexpr Scalar f16 = Scalar::f16;
  constexpr Scalar bf16 = Scalar::bf16;
  constexpr Tables pairs = Tables::pairs;
  constexpr Tables rows = Tables::rows;
  return {
      {{many_tokens<bits, f16, 64, pairs>, many_tokens<bits, f16, 128, pairs>, many_tokens<bits, f16, 64, rows>},
       {many_tokens<bits, bf16, 64, pairs>, many_tokens<bits, bf16, 128, pairs>, many_tokens<bits, bf16, 64, rows>}}};
}

template <int bits>
constexpr HopperKernels make_hopper() {
  constexpr Scalar f16 = Scalar::f16;
  constexpr Scalar bf16 = Scalar::bf16;
  constexpr Tables pairs = Tables::pairs;
  constexpr Tables rows = Tables::rows;
  return {{{many_tokens_hopper<bits, f16, 64, pairs>, many_tokens_hopper<bits, f16, 128, pairs>,
            many_tokens_hopper<bits, f16, 256, pairs>, many_tokens_hopper<bits, f16, 128, rows>},
           {many_tokens_hopper<bits, bf16, 64, pairs>, many_tokens_hopper<bits, bf16, 128, pairs>,
            many_tokens_hopper<bits, bf16, 256, pairs>, many_tokens_hopper<bits, bf16, 128, rows>}}};
}

}  // namespace lutra::cuda::product
