#include "lut/kernels.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>
#define LUTRA_X86 1
#endif

namespace lutra::lut {
namespace {

unsigned code_at(const std::uint8_t* row, std::int64_t row_bytes, std::int64_t column, int bits) {
  const std::int64_t bit = column * bits;
  unsigned word = row[bit / 8];
  if (bit / 8 + 1 < row_bytes) word |= static_cast<unsigned>(row[bit / 8 + 1]) << 8;
  return (word >> (bit % 8)) & ((1U << bits) - 1U);
}

float dot_row_scalar(const LutMatrix& matrix, std::int64_t row, const float* x) {
  const std::uint8_t* codes = matrix.codes.data() + row * matrix.row_bytes();
  const float* table = matrix.table_of(row);
  float total = 0;
  for (std::int64_t column = 0; column < matrix.columns;) {
    std::int64_t end = 0;
    const float scale = matrix.scale_at(row, column, end);
    float sum = 0;
    for (; column < end; ++column) sum += table[code_at(codes, matrix.row_bytes(), column, matrix.bits)] * x[column];
    total += sum * scale;
  }
  return total;
}

void expand_row_scalar(const LutMatrix& matrix, std::int64_t row, float* target) {
  matrix.dequantize_row(row, {target, static_cast<std::size_t>(matrix.columns)});
}

float dot_scalar(const float* a, const float* b, std::int64_t count) {
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

constexpr Kernels scalar = {"scalar", dot_row_scalar, expand_row_scalar, dot_scalar};

#ifdef LUTRA_X86

/// Eight codes lie in `bits` bytes; each goes to a byte of its own.
constexpr std::int64_t run = 8;

constexpr std::uint64_t spread_mask(int bits) { return ((1ULL << bits) - 1ULL) * 0x0101010101010101ULL; }

/// The eight codes from `column` on, a multiple of eight, one per byte. Reads `bits` bytes.
__attribute__((target("bmi2"))) inline std::uint64_t eight_codes(const std::uint8_t* row, std::int64_t column,
                                                                 int bits) {
  std::uint64_t word = 0;
  std::memcpy(&word, row + column / run * bits, static_cast<std::size_t>(bits));
  return _pdep_u64(word, spread_mask(bits));
}

// ---- AVX-512: sixteen weights at once, looked up in one register.

__attribute__((target("avx512f"))) inline __m512 load_table(const float* table, int bits) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << (1 << bits)) - 1U), table);
}

__attribute__((target("avx512f,avx512vl,bmi2"))) inline __m512 sixteen_weights(__m512 table, const std::uint8_t* row,
                                                                               std::int64_t column, int bits) {
  const auto low = static_cast<long long>(eight_codes(row, column, bits));
  const auto high = static_cast<long long>(eight_codes(row, column + run, bits));
  return _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(_mm_set_epi64x(high, low)), table);
}

__attribute__((target("avx512f,avx512vl,bmi2"))) float dot_row_avx512(const LutMatrix& matrix, std::int64_t row,
                                                                      const float* x) {
  const std::int64_t row_bytes = matrix.row_bytes();
  const std::uint8_t* codes = matrix.codes.data() + row * row_bytes;
  const float* values = matrix.table_of(row);
  const __m512 table = load_table(values, matrix.bits);
  __m512 total = _mm512_setzero_ps();
  float rest = 0;
  for (std::int64_t column = 0; column < matrix.columns;) {
    std::int64_t end = 0;
    const float scale = matrix.scale_at(row, column, end);
    float edge = 0;
    // A group that straddles rows may begin anywhere; runs of codes begin at multiples of eight.
    for (; column < end && column % run != 0; ++column)
      edge += values[code_at(codes, row_bytes, column, matrix.bits)] * x[column];
    __m512 even = _mm512_setzero_ps();
    __m512 odd = _mm512_setzero_ps();
    for (; column + 32 <= end; column += 32) {
      even = _mm512_fmadd_ps(sixteen_weights(table, codes, column, matrix.bits), _mm512_loadu_ps(x + column), even);
      odd = _mm512_fmadd_ps(sixteen_weights(table, codes, column + 16, matrix.bits), _mm512_loadu_ps(x + column + 16),
                            odd);
    }
    for (; column + 16 <= end; column += 16) {
      even = _mm512_fmadd_ps(sixteen_weights(table, codes, column, matrix.bits), _mm512_loadu_ps(x + column), even);
    }
    total = _mm512_fmadd_ps(_mm512_add_ps(even, odd), _mm512_set1_ps(scale), total);
    for (; column < end; ++column) edge += values[code_at(codes, row_bytes, column, matrix.bits)] * x[column];
    rest += edge * scale;
  }
  return _mm512_reduce_add_ps(total) + rest;
}

__attribute__((target("avx512f,avx512vl,bmi2"))) void expand_row_avx512(const LutMatrix& matrix, std::int64_t row,
                                                                        float* target) {
  const std::int64_t row_bytes = matrix.row_bytes();
  const std::uint8_t* codes = matrix.codes.data() + row * row_bytes;
  const float* values = matrix.table_of(row);
  const __m512 table = load_table(values, matrix.bits);
  for (std::int64_t column = 0; column < matrix.columns;) {
    std::int64_t end = 0;
    const float scale = matrix.scale_at(row, column, end);
    const auto one = [&] { target[column] = values[code_at(codes, row_bytes, column, matrix.bits)] * scale; };
    for (; column < end && column % run != 0; ++column) one();
    for (; column + 16 <= end; column += 16) {
      _mm512_storeu_ps(target + column,
                       _mm512_mul_ps(sixteen_weights(table, codes, column, matrix.bits), _mm512_set1_ps(scale)));
    }
    for (; column < end; ++column) one();
  }
}

__attribute__((target("avx512f"))) float dot_avx512(const float* a, const float* b, std::int64_t count) {
  __m512 even = _mm512_setzero_ps();
  __m512 odd = _mm512_setzero_ps();
  std::int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    even = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), even);
    odd = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), odd);
  }
  for (; i < count; i += 16) {
    const auto mask = static_cast<__mmask16>(count - i >= 16 ? 0xFFFFU : (1U << (count - i)) - 1U);
    even = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), even);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(even, odd));
}

constexpr Kernels avx512 = {"avx512", dot_row_avx512, expand_row_avx512, dot_avx512};

// ---- AVX2: eight weights at once; a table of sixteen is two registers.

struct TwoTables {
  __m256 low;
  __m256 high;
};

__attribute__((target("avx2"))) inline TwoTables load_tables(const float* table, int bits) {
  float padded[16] = {};
  std::copy(table, table + (1 << bits), padded);
  return {_mm256_loadu_ps(padded), _mm256_loadu_ps(padded + 8)};
}

__attribute__((target("avx2,fma,bmi2"))) inline __m256 eight_weights(const TwoTables& tables, const std::uint8_t* row,
                                                                     std::int64_t column, int bits) {
  const auto bytes = static_cast<long long>(eight_codes(row, column, bits));
  const __m256i index = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
  const __m256 low = _mm256_permutevar8x32_ps(tables.low, index);
  const __m256 high = _mm256_permutevar8x32_ps(tables.high, index);
  // Bit 3 of the code chooses; blendv looks at the sign.
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

__attribute__((target("avx2"))) inline float sum_of(__m256 v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

__attribute__((target("avx2,fma,bmi2"))) float dot_row_avx2(const LutMatrix& matrix, std::int64_t row, const float* x) {
  const std::int64_t row_bytes = matrix.row_bytes();
  const std::uint8_t* codes = matrix.codes.data() + row * row_bytes;
  const float* values = matrix.table_of(row);
  const TwoTables tables = load_tables(values, matrix.bits);
  __m256 total = _mm256_setzero_ps();
  float rest = 0;
  for (std::int64_t column = 0; column < matrix.columns;) {
    std::int64_t end = 0;
    const float scale = matrix.scale_at(row, column, end);
    float edge = 0;
    for (; column < end && column % run != 0; ++column)
      edge += values[code_at(codes, row_bytes, column, matrix.bits)] * x[column];
    __m256 sum = _mm256_setzero_ps();
    for (; column + run <= end; column += run) {
      sum = _mm256_fmadd_ps(eight_weights(tables, codes, column, matrix.bits), _mm256_loadu_ps(x + column), sum);
    }
    total = _mm256_fmadd_ps(sum, _mm256_set1_ps(scale), total);
    for (; column < end; ++column) edge += values[code_at(codes, row_bytes, column, matrix.bits)] * x[column];
    rest += edge * scale;
  }
  return sum_of(total) + rest;
}

__attribute__((target("avx2,fma,bmi2"))) void expand_row_avx2(const LutMatrix& matrix, std::int64_t row,
                                                              float* target) {
  const std::int64_t row_bytes = matrix.row_bytes();
  const std::uint8_t* codes = matrix.codes.data() + row * row_bytes;
  const float* values = matrix.table_of(row);
  const TwoTables tables = load_tables(values, matrix.bits);
  for (std::int64_t column = 0; column < matrix.columns;) {
    std::int64_t end = 0;
    const float scale = matrix.scale_at(row, column, end);
    const auto one = [&] { target[column] = values[code_at(codes, row_bytes, column, matrix.bits)] * scale; };
    for (; column < end && column % run != 0; ++column) one();
    for (; column + run <= end; column += run) {
      _mm256_storeu_ps(target + column,
                       _mm256_mul_ps(eight_weights(tables, codes, column, matrix.bits), _mm256_set1_ps(scale)));
    }
    for (; column < end; ++column) one();
  }
}

__attribute__((target("avx2,fma"))) float dot_avx2(const float* a, const float* b, std::int64_t count) {
  __m256 sum = _mm256_setzero_ps();
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) sum = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sum);
  float rest = 0;
  for (; i < count; ++i) rest += a[i] * b[i];
  return sum_of(sum) + rest;
}

constexpr Kernels avx2 = {"avx2", dot_row_avx2, expand_row_avx2, dot_avx2};

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("bmi2") != 0;
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("bmi2") != 0;
}
#endif

}  // namespace

const Kernels* kernels_named(std::string_view name) {
  if (name == "scalar") return &scalar;
#ifdef LUTRA_X86
  if (name == "avx2" && has_avx2()) return &avx2;
  if (name == "avx512" && has_avx512()) return &avx512;
#endif
  return nullptr;
}

const Kernels& best_kernels() {
  static const Kernels& best = []() -> const Kernels& {
    for (const char* name : {"avx512", "avx2"}) {
      if (const Kernels* found = kernels_named(name)) return *found;
    }
    return scalar;
  }();
  return best;
}

}  // namespace lutra::lut
