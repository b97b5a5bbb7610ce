// The kernels of one instruction set. Included once, after one header of simd/, by a .cpp that is compiled for it.
#include <cstdint>
#include <cstring>

#include "lut/kernels.h"
#include "simd/exp.h"

namespace lutra::lut {
namespace {

using simd::Simd;

constexpr int lanes = 16;
constexpr int run = 32;     // inputs that are packed together
constexpr int vectors = 8;  // of 4 inputs x 16 rows
constexpr int vector_bytes = 64;

/// What `prepare` wrote for one token in fast mode.
struct FastToken {
  const std::int8_t* x;
  const float* scales;
  const std::int32_t* offsets;  // what the products of unsigned bytes are too large by, negative

  FastToken(const BlockLayout& layout, const TokenBytes* bytes)
      : x(reinterpret_cast<const std::int8_t*>(bytes)),
        scales(reinterpret_cast<const float*>(bytes + layout.padded())),
        offsets(reinterpret_cast<const std::int32_t*>(bytes + layout.padded() + 4 * layout.blocks())) {}
};

/// One block: its scale, and the sum of the rounded values. Loops of a fixed length, which become vector code.
template <int block>
inline void round_block(const float* values, std::int8_t* target, float& scale, std::int32_t& sum) {
  constexpr float largest = 127;
  // Magnitudes of floats are ordered as their bits are.
  std::int32_t most_bits = 0;
  for (int i = 0; i < block; ++i) {
    std::int32_t bits = 0;
    std::memcpy(&bits, values + i, sizeof(bits));
    bits &= 0x7FFFFFFF;
    most_bits = most_bits < bits ? bits : most_bits;
  }
  float most = 0;
  std::memcpy(&most, &most_bits, sizeof(most));
  const float inverse = most > 0 ? largest / most : 0;
  sum = 0;
  for (int i = 0; i < block; ++i) {
    // Adding 1.5 * 2^23 rounds to a whole number, ties to even, in the lowest bits.
    constexpr float magic = 12582912.0F;
    const float moved = values[i] * inverse + magic;
    std::int32_t bits = 0;
    std::memcpy(&bits, &moved, sizeof(bits));
    const std::int32_t whole = bits - 0x4B400000;
    target[i] = static_cast<std::int8_t>(whole);
    sum += whole;
  }
  scale = most / largest;
}

template <int block>
void prepare_blocks(const BlockLayout& layout, const float* x, TokenBytes* target) {
  auto* bytes = reinterpret_cast<std::int8_t*>(target);
  auto* scales = reinterpret_cast<float*>(target + layout.padded());
  auto* offsets = reinterpret_cast<std::int32_t*>(target + layout.padded() + 4 * layout.blocks());
  std::int64_t at = 0;
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const std::int64_t first = group * layout.group_size;
    std::int64_t end = first + layout.group_size;
    if (end > layout.columns) end = layout.columns;
    for (std::int64_t i = 0; i < layout.blocks_per_group; ++i, ++at) {
      const std::int64_t begin = first + i * block;
      float padded[block];
      const float* values = x + begin;
      if (begin + block > end) {
        for (int j = 0; j < block; ++j) padded[j] = begin + j < end ? x[begin + j] : 0.0F;
        values = padded;
      }
      std::int32_t sum = 0;
      round_block<block>(values, bytes + at * block, scales[at], sum);
      offsets[at] = -sum * Simd::byte_offset;
    }
  }
}

void prepare_fast(const BlockLayout& layout, const float* x, TokenBytes* target) {
  if (layout.block == 64)
    prepare_blocks<64>(layout, x, target);
  else
    prepare_blocks<32>(layout, x, target);
}

void prepare_exact(const BlockLayout& layout, const float* x, TokenBytes* target) {
  auto* values = reinterpret_cast<float*>(target);
  const std::int64_t step = layout.blocks_per_group * layout.block;
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const std::int64_t first = group * layout.group_size;
    std::int64_t count = layout.columns - first;
    if (count > layout.group_size) count = layout.group_size;
    std::memcpy(values + group * step, x + first, static_cast<std::size_t>(count) * sizeof(float));
    std::memset(values + group * step + count, 0, static_cast<std::size_t>(step - count) * sizeof(float));
  }
}

void prepare(const BlockLayout& layout, Precision precision, const float* x, TokenBytes* target) {
  if (precision == Precision::fast)
    prepare_fast(layout, x, target);
  else
    prepare_exact(layout, x, target);
}

/// Codes that will be wanted in a while: measured to be worth 8 % over what the processor foresees by itself.
template <int bits>
inline void prefetch(const std::uint8_t* codes) {
  constexpr int distance = 4096;
  for (int line = 0; line < bits; ++line) __builtin_prefetch(codes + distance + line * vector_bytes);
}

// ---- Codes: 32 inputs of 16 rows at once, one code per byte.

/// Calls `use(i, codes)` for the eight vectors; bits above the code's are anything, except at 8 bits.
template <int i, int bits, typename Use>
inline void code_vector(const std::uint8_t* p, const Use& use) {
  using S = Simd;
  if constexpr (bits == 4) {
    use(i, S::shift_right<4 * (i % 2)>(S::load_bytes(p + vector_bytes * (i / 2))));
  } else if constexpr (bits == 2) {
    use(i, S::shift_right<2 * (i % 4)>(S::load_bytes(p + vector_bytes * (i / 4))));
  } else {
    const auto low = S::shift_right<2 * (i % 4)>(S::load_bytes(p + vector_bytes * (i / 4)));
    const auto high = S::load_bytes(p + vector_bytes * 2);
    if constexpr (i < 2)
      use(i, S::merge<3>(low, S::shift_left<2 - i>(high)));
    else
      use(i, S::merge<3>(low, S::shift_right<i - 2>(high)));
  }
}

template <int bits, typename Use>
inline void code_vectors(const std::uint8_t* p, const Use& use) {
  code_vector<0, bits>(p, use);
  code_vector<1, bits>(p, use);
  code_vector<2, bits>(p, use);
  code_vector<3, bits>(p, use);
  code_vector<4, bits>(p, use);
  code_vector<5, bits>(p, use);
  code_vector<6, bits>(p, use);
  code_vector<7, bits>(p, use);
}

/// Pairs of codes are looked up together: (2^bits, 2^bits, 2).
template <int bits>
struct PairByteTable {
  const std::int8_t* entries;
  explicit PairByteTable(const std::int8_t* table) : entries(table) {}
  [[nodiscard]] Simd::Bytes operator()(Simd::Bytes codes) const {
    constexpr unsigned mask = (1U << bits) - 1U;
    std::uint8_t all[vector_bytes];
    Simd::store_bytes(all, codes);
    for (int i = 0; i < vector_bytes; i += 2) {
      const std::int8_t* pair = entries + 2 * ((all[i] & mask) << bits | (all[i + 1] & mask));
      all[i] = static_cast<std::uint8_t>(pair[0] + Simd::byte_offset);
      all[i + 1] = static_cast<std::uint8_t>(pair[1] + Simd::byte_offset);
    }
    return Simd::load_bytes(all);
  }
};

template <int bits>
struct PairFloatTable {
  const float* entries;
  explicit PairFloatTable(const float* table) : entries(table) {}
  template <int j>
  [[nodiscard]] Simd::Floats at(Simd::Bytes codes) const {
    constexpr unsigned mask = (1U << bits) - 1U;
    std::uint8_t all[vector_bytes];
    Simd::store_bytes(all, codes);
    float values[lanes];
    for (int i = 0; i < lanes; ++i) {
      const std::uint8_t* pair = all + 4 * i + j / 2 * 2;
      values[i] = entries[2 * ((pair[0] & mask) << bits | (pair[1] & mask)) + j % 2];
    }
    return Simd::load(values);
  }
};

inline Simd::Floats scales_at(const PackedMatrix& matrix, std::int64_t row_block, std::int64_t group) {
  const std::int64_t at = (row_block * matrix.layout.groups + group) * lanes;
  return matrix.half_scales.empty() ? Simd::load(matrix.scales.data() + at)
                                    : Simd::load_half(matrix.half_scales.data() + at);
}

inline Simd::Floats table_scales(const PackedMatrix& matrix, std::int64_t row_block) {
  return Simd::load(matrix.byte_scales.data() + (matrix.has_row_tables ? row_block * lanes : 0));
}

// ---- Fast: bytes times bytes.

/// Eight weights vectors of 32 inputs, as `dot` takes them.
template <int bits, typename Table>
inline void weight_vectors(const std::uint8_t* p, const Table& table, Simd::Bytes (&weights)[vectors]) {
  if constexpr (bits == 8) {
    for (int i = 0; i < vectors; ++i) weights[i] = Simd::signed_bytes(p + vector_bytes * i);
  } else {
    code_vectors<bits>(p, [&](int i, Simd::Bytes codes) { weights[i] = table(codes); });
  }
}

template <int bits, int n_tokens, typename Table>
void multiply_fast(const PackedMatrix& matrix, const Table& table, std::int64_t row_block, const TokenBytes* x,
                   std::int64_t stride, float* out) {
  using S = Simd;
  const BlockLayout& layout = matrix.layout;
  const std::uint8_t* codes = matrix.codes_of(row_block);
  S::Floats total[n_tokens];
  for (auto& sum : total) sum = S::floats(0);
  std::int64_t block = 0;
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const S::Floats scale = scales_at(matrix, row_block, group);
    for (std::int64_t i = 0; i < layout.blocks_per_group; ++i, ++block) {
      S::Ints sum[n_tokens];
      for (int t = 0; t < n_tokens; ++t) sum[t] = S::ints(FastToken(layout, x + t * stride).offsets[block]);
      for (std::int64_t first = block * layout.block; first < (block + 1) * layout.block; first += run) {
        S::Bytes weights[vectors];
        prefetch<bits>(codes);
        weight_vectors<bits>(codes, table, weights);
        codes += vector_bytes * bits;
        for (int v = 0; v < vectors; ++v) {
          for (int t = 0; t < n_tokens; ++t)
            sum[t] = S::dot(sum[t], weights[v], reinterpret_cast<const std::int8_t*>(x + t * stride) + first + 4 * v);
        }
      }
      for (int t = 0; t < n_tokens; ++t) {
        const S::Floats both = S::multiply(scale, S::floats(FastToken(layout, x + t * stride).scales[block]));
        total[t] = S::fma(both, S::to_floats(sum[t]), total[t]);
      }
    }
  }
  const S::Floats last = table_scales(matrix, row_block);
  for (int t = 0; t < n_tokens; ++t) S::store(out + t * lanes, S::multiply(total[t], last));
}

template <int bits, typename Table>
void expand_fast(const PackedMatrix& matrix, const Table& table, std::int64_t row_block, std::uint8_t* panel) {
  const std::uint8_t* codes = matrix.codes_of(row_block);
  for (std::int64_t first = 0; first < matrix.layout.padded(); first += run) {
    Simd::Bytes weights[vectors];
    weight_vectors<bits>(codes, table, weights);
    codes += vector_bytes * bits;
    for (const auto& weight : weights) {
      Simd::store_bytes(panel, weight);
      panel += vector_bytes;
    }
  }
}

template <int n_tokens>
void panels_fast(const PackedMatrix& matrix, std::int64_t row_block, const std::uint8_t* panels, const TokenBytes* x,
                 std::int64_t stride, float* out) {
  using S = Simd;
  const BlockLayout& layout = matrix.layout;
  const std::int64_t panel = layout.padded() * lanes;
  S::Floats total[n_tokens][2];
  for (auto& token : total) token[0] = token[1] = S::floats(0);
  const bool has_second = row_block + 1 < matrix.row_blocks();
  std::int64_t block = 0;
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const S::Floats scale[2] = {scales_at(matrix, row_block, group),
                                scales_at(matrix, has_second ? row_block + 1 : row_block, group)};
    for (std::int64_t i = 0; i < layout.blocks_per_group; ++i, ++block) {
      S::Ints sum[n_tokens][2];
      for (int t = 0; t < n_tokens; ++t)
        sum[t][0] = sum[t][1] = S::ints(FastToken(layout, x + t * stride).offsets[block]);
      const auto* weights = panels + block * layout.block * lanes;
      const auto* inputs = reinterpret_cast<const std::int8_t*>(x) + block * layout.block;
      for (std::int64_t v = 0; v < layout.block / 4; ++v) {
        const S::Bytes first = S::load_bytes(weights + v * vector_bytes);
        const S::Bytes second = S::load_bytes(weights + panel + v * vector_bytes);
        for (int t = 0; t < n_tokens; ++t) {
          sum[t][0] = S::dot(sum[t][0], first, inputs + t * stride + 4 * v);
          sum[t][1] = S::dot(sum[t][1], second, inputs + t * stride + 4 * v);
        }
      }
      for (int t = 0; t < n_tokens; ++t) {
        const S::Floats input = S::floats(FastToken(layout, x + t * stride).scales[block]);
        for (int r = 0; r < 2; ++r)
          total[t][r] = S::fma(S::multiply(scale[r], input), S::to_floats(sum[t][r]), total[t][r]);
      }
    }
  }
  for (int r = 0; r < 2; ++r) {
    const S::Floats last = table_scales(matrix, r == 1 && has_second ? row_block + 1 : row_block);
    for (int t = 0; t < n_tokens; ++t) S::store(out + (2 * t + r) * lanes, S::multiply(total[t][r], last));
  }
}

// ---- Exact: f32 times f32.

/// Calls `use(input, weights of 16 rows)` for 32 inputs.
template <int bits, typename Table, typename Use>
inline void exact_weights(const std::uint8_t* p, const Table& table, const Use& use) {
  code_vectors<bits>(p, [&](int i, Simd::Bytes codes) {
    use(4 * i, table.template at<0>(codes));
    use(4 * i + 1, table.template at<1>(codes));
    use(4 * i + 2, table.template at<2>(codes));
    use(4 * i + 3, table.template at<3>(codes));
  });
}

template <int bits, int n_tokens, typename Table>
void multiply_exact(const PackedMatrix& matrix, const Table& table, std::int64_t row_block, const TokenBytes* x,
                    std::int64_t stride, float* out) {
  using S = Simd;
  const BlockLayout& layout = matrix.layout;
  const std::uint8_t* codes = matrix.codes_of(row_block);
  const std::int64_t step = layout.blocks_per_group * layout.block;
  S::Floats total[n_tokens];
  for (auto& sum : total) sum = S::floats(0);
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    S::Floats sum[n_tokens][2];
    for (auto& token : sum) token[0] = token[1] = S::floats(0);
    for (std::int64_t first = group * step; first < (group + 1) * step; first += run) {
      const auto* inputs = reinterpret_cast<const float*>(x) + first;
      prefetch<bits>(codes);
      exact_weights<bits>(codes, table, [&](int input, S::Floats weights) {
        for (int t = 0; t < n_tokens; ++t) {
          auto& part = sum[t][input % 2];  // two chains, because one would wait for itself
          part = S::fma(weights, S::floats(inputs[t * (stride / 4) + input]), part);
        }
      });
      codes += vector_bytes * bits;
    }
    const S::Floats scale = scales_at(matrix, row_block, group);
    for (int t = 0; t < n_tokens; ++t) total[t] = S::fma(scale, S::add(sum[t][0], sum[t][1]), total[t]);
  }
  for (int t = 0; t < n_tokens; ++t) S::store(out + t * lanes, total[t]);
}

template <int bits, typename Table>
void expand_exact(const PackedMatrix& matrix, const Table& table, std::int64_t row_block, float* panel) {
  const BlockLayout& layout = matrix.layout;
  const std::uint8_t* codes = matrix.codes_of(row_block);
  const std::int64_t step = layout.blocks_per_group * layout.block;
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const Simd::Floats scale = scales_at(matrix, row_block, group);
    for (std::int64_t first = group * step; first < (group + 1) * step; first += run) {
      exact_weights<bits>(codes, table, [&](int input, Simd::Floats weights) {
        Simd::store(panel + (first + input) * lanes, Simd::multiply(weights, scale));
      });
      codes += vector_bytes * bits;
    }
  }
}

template <int n_tokens>
void panels_exact(const PackedMatrix& matrix, const float* panels, const TokenBytes* x, std::int64_t stride,
                  float* out) {
  using S = Simd;
  const std::int64_t padded = matrix.layout.padded();
  const auto* inputs = reinterpret_cast<const float*>(x);
  S::Floats total[n_tokens][2];
  for (auto& token : total) token[0] = token[1] = S::floats(0);
  for (std::int64_t k = 0; k < padded; ++k) {
    const S::Floats first = S::load(panels + k * lanes);
    const S::Floats second = S::load(panels + (padded + k) * lanes);
    for (int t = 0; t < n_tokens; ++t) {
      const S::Floats input = S::floats(inputs[t * (stride / 4) + k]);
      total[t][0] = S::fma(first, input, total[t][0]);
      total[t][1] = S::fma(second, input, total[t][1]);
    }
  }
  for (int t = 0; t < n_tokens; ++t) {
    S::store(out + 2 * t * lanes, total[t][0]);
    S::store(out + (2 * t + 1) * lanes, total[t][1]);
  }
}

// ---- The choice of a template.

constexpr int few_tokens = 4;

/// Calls `body` with the number of tokens as a constant.
template <int most, typename Body>
inline void with_tokens(int tokens, const Body& body) {
  if constexpr (most > 1) {
    if (tokens < most) return with_tokens<most - 1>(tokens, body);
  }
  body.template operator()<most>();
}

/// Calls `body` with the bits as a constant, and the table for a row block.
template <typename Body>
inline void with_byte_table(const PackedMatrix& matrix, std::int64_t row_block, const Body& body) {
  const std::int8_t* table = matrix.byte_table.data();
  const auto of = [&]<int bits>() {
    if (matrix.has_pairs) return body.template operator()<bits>(PairByteTable<bits>(table));
    if (matrix.has_row_tables)
      return body.template operator()<bits>(Simd::RowByteTable<bits>(table + (row_block * lanes << bits)));
    body.template operator()<bits>(Simd::ByteTable<bits>(table));
  };
  if (matrix.bits == 4) return of.template operator()<4>();
  if (matrix.bits == 3) return of.template operator()<3>();
  if (matrix.bits == 2) return of.template operator()<2>();
  body.template operator()<8>(0);
}

template <typename Body>
inline void with_float_table(const PackedMatrix& matrix, std::int64_t row_block, const Body& body) {
  const float* table = matrix.table.data();
  const auto of = [&]<int bits>() {
    if (matrix.has_pairs) return body.template operator()<bits>(PairFloatTable<bits>(table));
    if (matrix.has_row_tables)
      return body.template operator()<bits>(Simd::RowFloatTable<bits>(table + (row_block * lanes << bits)));
    body.template operator()<bits>(Simd::FloatTable<bits>(table));
  };
  if (matrix.bits == 4) return of.template operator()<4>();
  if (matrix.bits == 3) return of.template operator()<3>();
  of.template operator()<2>();
}

void multiply(const PackedMatrix& matrix, Precision precision, std::int64_t row_block, const TokenBytes* x,
              std::int64_t stride, int tokens, float* out) {
  if (precision == Precision::fast) {
    with_byte_table(matrix, row_block, [&]<int bits>(const auto& table) {
      with_tokens<few_tokens>(
          tokens, [&]<int n_tokens>() { multiply_fast<bits, n_tokens>(matrix, table, row_block, x, stride, out); });
    });
  } else {
    with_float_table(matrix, row_block, [&]<int bits>(const auto& table) {
      with_tokens<few_tokens>(
          tokens, [&]<int n_tokens>() { multiply_exact<bits, n_tokens>(matrix, table, row_block, x, stride, out); });
    });
  }
}

void expand(const PackedMatrix& matrix, Precision precision, std::int64_t row_block, void* panel) {
  if (precision == Precision::fast) {
    with_byte_table(matrix, row_block, [&]<int bits>(const auto& table) {
      expand_fast<bits>(matrix, table, row_block, static_cast<std::uint8_t*>(panel));
    });
  } else {
    with_float_table(matrix, row_block, [&]<int bits>(const auto& table) {
      expand_exact<bits>(matrix, table, row_block, static_cast<float*>(panel));
    });
  }
}

void multiply_panels(const PackedMatrix& matrix, Precision precision, std::int64_t row_block, const void* panels,
                     const TokenBytes* x, std::int64_t stride, int tokens, float* out) {
  with_tokens<Simd::gemm_tokens>(tokens, [&]<int n_tokens>() {
    if (precision == Precision::fast)
      panels_fast<n_tokens>(matrix, row_block, static_cast<const std::uint8_t*>(panels), x, stride, out);
    else
      panels_exact<n_tokens>(matrix, static_cast<const float*>(panels), x, stride, out);
  });
}

float dot(const float* a, const float* b, std::int64_t count) {
  Simd::Floats even = Simd::floats(0);
  Simd::Floats odd = Simd::floats(0);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    even = Simd::fma(Simd::load(a + i), Simd::load(b + i), even);
    odd = Simd::fma(Simd::load(a + i + lanes), Simd::load(b + i + lanes), odd);
  }
  float rest = 0;
  for (; i < count; ++i) rest += a[i] * b[i];
  return Simd::sum(Simd::add(even, odd)) + rest;
}

void gate(const float* gates, const float* values, float* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) target[i] = simd::silu(gates[i]) * values[i];
}

constexpr Kernels these_kernels = {
    Simd::name, few_tokens, Simd::gemm_tokens, prepare, multiply, expand, multiply_panels, gate, dot};

}  // namespace
}  // namespace lutra::lut
