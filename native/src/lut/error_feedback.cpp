#include "lut/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lutra::lut {
namespace {

constexpr std::int64_t block = feedback_block;
using Square = std::vector<double>;  // (block, block)

/// The upper triangle U with inverse(H) = U^T U, of the damped covariance of `count` inputs.
Square feedback_of(const float* covariance, std::int64_t count) {
  const auto at = [](std::int64_t row, std::int64_t column) { return static_cast<std::size_t>(row * block + column); };
  Square h(static_cast<std::size_t>(block * block));
  double mean = 0;
  for (std::int64_t i = 0; i < count; ++i) mean += static_cast<double>(covariance[at(i, i)]);
  mean /= static_cast<double>(count);
  constexpr double damping = 0.01;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < count; ++j) h[at(i, j)] = static_cast<double>(covariance[at(i, j)]);
    h[at(i, i)] += damping * mean + 1e-12;
  }
  // inverse(H) from its Cholesky factor L: the columns of inverse(L) first.
  const auto cholesky = [&](Square& a) {
    for (std::int64_t j = 0; j < count; ++j) {
      for (std::int64_t i = j; i < count; ++i) {
        double sum = a[at(i, j)];
        for (std::int64_t k = 0; k < j; ++k) sum -= a[at(i, k)] * a[at(j, k)];
        a[at(i, j)] = i == j ? std::sqrt(std::max(sum, 1e-20)) : sum / a[at(j, j)];
      }
    }
  };
  cholesky(h);
  Square lower(h.size());  // inverse(L)
  for (std::int64_t j = 0; j < count; ++j) {
    lower[at(j, j)] = 1 / h[at(j, j)];
    for (std::int64_t i = j + 1; i < count; ++i) {
      double sum = 0;
      for (std::int64_t k = j; k < i; ++k) sum -= h[at(i, k)] * lower[at(k, j)];
      lower[at(i, j)] = sum / h[at(i, i)];
    }
  }
  Square inverse(h.size());
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (std::int64_t k = i; k < count; ++k) sum += lower[at(k, i)] * lower[at(k, j)];
      inverse[at(i, j)] = inverse[at(j, i)] = sum;
    }
  }
  cholesky(inverse);  // inverse(H) = L' L'^T; U = L'^T
  Square upper(h.size());
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = i; j < count; ++j) upper[at(i, j)] = inverse[at(j, i)];
  }
  return upper;
}

int nearest(const float* table, int entries, float value) {
  int best = 0;
  for (int i = 1; i < entries; ++i) {
    if (std::abs(table[i] - value) < std::abs(table[best] - value)) best = i;
  }
  return best;
}

void put_code(std::uint8_t* row, std::int64_t column, int bits, unsigned code) {
  for (int i = 0; i < bits; ++i) {
    const std::int64_t bit = column * bits + i;
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    row[bit / 8] = static_cast<std::uint8_t>((code >> i & 1U) != 0 ? row[bit / 8] | mask : row[bit / 8] & ~mask);
  }
}

}  // namespace

void feed_errors_forward(std::span<const float> weight, std::span<const float> covariance, LutMatrix& matrix,
                         core::ThreadPool& threads) {
  for (std::int64_t first = 0; first < matrix.columns; first += block) {
    const std::int64_t count = std::min(block, matrix.columns - first);
    const Square upper = feedback_of(covariance.data() + first * block, count);
    threads.for_each(static_cast<std::size_t>(matrix.rows), 8, [&](std::size_t begin, std::size_t end) {
      double wanted[block];
      for (auto row = static_cast<std::int64_t>(begin); row < static_cast<std::int64_t>(end); ++row) {
        const float* from = weight.data() + row * matrix.columns + first;
        std::copy(from, from + count, wanted);
        for (std::int64_t i = 0; i < count; ++i) {
          std::int64_t ignored = 0;
          const float scale = matrix.scale_at(row, first + i, ignored);
          const float* table = matrix.table_of(row);
          const auto value = static_cast<float>(scale == 0 ? 0 : wanted[i] / static_cast<double>(scale));
          const int code = nearest(table, matrix.table_entries(), value);
          put_code(matrix.codes.data() + row * matrix.row_bytes(), first + i, matrix.bits, static_cast<unsigned>(code));
          const double* u = upper.data() + i * block;
          const double error = (wanted[i] - static_cast<double>(table[code]) * static_cast<double>(scale)) / u[i];
          for (std::int64_t j = i + 1; j < count; ++j) wanted[j] -= error * u[j];
        }
      }
    });
  }
}

}  // namespace lutra::lut
