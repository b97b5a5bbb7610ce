// What this machine can do at most, with as many threads as asked for: bytes read from memory per second, and
// multiplications and additions per second in 8 bits and in f32. Prints JSON. usage: machine <threads>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif
#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace {

double seconds_of(int threads, const std::function<void(int)>& work) {
  const auto begun = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (auto& thread : others) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Memory as the kernels' weights have it; it lives as long as the process.
std::uint64_t* large_pages(std::size_t words) {
  constexpr std::size_t page = std::size_t{2} << 20;
  auto* memory = static_cast<std::uint64_t*>(std::aligned_alloc(page, words * 8));
#ifdef __linux__
  static_cast<void>(madvise(memory, words * 8, MADV_HUGEPAGE));
#endif
  std::fill(memory, memory + words, 1);
  return memory;
}

double read_bytes_per_second(int threads) {
  const std::size_t words = std::size_t{1} << 26;  // 512 MiB, far more than any cache
  std::uint64_t* memory = large_pages(words);
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
  std::vector<double> rates;
  for (int round = 0; round < 9; ++round) {
    const double seconds = seconds_of(threads, [&](int thread) {
      const std::size_t part = words / static_cast<std::size_t>(threads);
      const std::uint64_t* from = memory + part * static_cast<std::size_t>(thread);
      std::uint64_t sum[4] = {};
      for (std::size_t i = 0; i + 32 <= part; i += 32) {
        // As far ahead as the kernels look.
        for (std::size_t j = 0; j < 32; j += 8) __builtin_prefetch(from + i + 512 + j);
        for (std::size_t j = 0; j < 32; j += 4) {
          for (std::size_t k = 0; k < 4; ++k) sum[k] += from[i + j + k];
        }
      }
      sums[static_cast<std::size_t>(thread)] += sum[0] + sum[1] + sum[2] + sum[3];
    });
    rates.push_back(static_cast<double>(words) * 8 / seconds);
  }
  if (sums.front() == 0) std::puts("");
  return median(rates);
}

double int8_operations_per_second(int threads) {
#if defined(__AVX512VNNI__)
  std::vector<double> rates;
  const std::int64_t rounds = 5'000'000;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double seconds = seconds_of(threads, [&](int) {
      __m512i s[12];
      for (auto& value : s) value = _mm512_set1_epi32(1);
      const __m512i a = _mm512_set1_epi8(3);
      const __m512i b = _mm512_set1_epi8(2);
      for (std::int64_t i = 0; i < rounds; ++i) {
        for (auto& value : s) value = _mm512_dpbusd_epi32(value, a, b);
        // Used, or all rounds would become one.
        asm volatile("" ::"v"(s[0]), "v"(s[1]), "v"(s[2]), "v"(s[3]), "v"(s[4]), "v"(s[5]), "v"(s[6]), "v"(s[7]),
                     "v"(s[8]), "v"(s[9]), "v"(s[10]), "v"(s[11]));
      }
    });
    rates.push_back(static_cast<double>(rounds) * 12 * 128 * threads / seconds);
  }
  return median(rates);
#else
  static_cast<void>(threads);
  return 0;
#endif
}

double f32_operations_per_second(int threads) {
#if defined(__AVX512F__)
  std::vector<double> rates;
  const std::int64_t rounds = 5'000'000;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double seconds = seconds_of(threads, [&](int) {
      __m512 s[12];
      for (auto& value : s) value = _mm512_set1_ps(1);
      const __m512 a = _mm512_set1_ps(0.999F);
      const __m512 b = _mm512_set1_ps(0.001F);
      for (std::int64_t i = 0; i < rounds; ++i) {
        for (auto& value : s) value = _mm512_fmadd_ps(value, a, b);
        asm volatile("" ::"v"(s[0]), "v"(s[1]), "v"(s[2]), "v"(s[3]), "v"(s[4]), "v"(s[5]), "v"(s[6]), "v"(s[7]),
                     "v"(s[8]), "v"(s[9]), "v"(s[10]), "v"(s[11]));
      }
    });
    rates.push_back(static_cast<double>(rounds) * 12 * 32 * threads / seconds);
  }
  return median(rates);
#else
  static_cast<void>(threads);
  return 0;
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  std::printf("{\"readBytesPerSecond\": %.0f, \"int8OperationsPerSecond\": %.0f, \"f32OperationsPerSecond\": %.0f}\n",
              read_bytes_per_second(threads), int8_operations_per_second(threads), f32_operations_per_second(threads));
  return 0;
}
