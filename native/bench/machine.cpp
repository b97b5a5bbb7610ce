// What this machine can do at most, with as many threads as asked for: bytes read from memory per second, and 8-bit
// multiplications and additions per second. Prints JSON. usage: machine <threads>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

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

double read_bytes_per_second(int threads) {
  const std::size_t words = std::size_t{1} << 26;  // 512 MiB, far more than any cache
  std::vector<std::uint64_t> memory(words, 1);
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
  std::vector<double> rates;
  for (int round = 0; round < 9; ++round) {
    const double seconds = seconds_of(threads, [&](int thread) {
      const std::size_t part = words / static_cast<std::size_t>(threads);
      const std::uint64_t* from = memory.data() + part * static_cast<std::size_t>(thread);
      std::uint64_t sum[32] = {};
      for (std::size_t i = 0; i + 32 <= part; i += 32) {
        // A while ahead, as the kernels do.
        for (std::size_t j = 0; j < 32; j += 8) __builtin_prefetch(from + i + 512 + j);
        for (std::size_t j = 0; j < 32; ++j) sum[j] += from[i + j];
      }
      for (const std::uint64_t value : sum) sums[static_cast<std::size_t>(thread)] += value;
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
      __m512i sum[12];
      for (auto& value : sum) value = _mm512_set1_epi32(1);
      const __m512i a = _mm512_set1_epi8(3);
      const __m512i b = _mm512_set1_epi8(2);
      for (std::int64_t i = 0; i < rounds; ++i) {
        for (auto& value : sum) {
          value = _mm512_dpbusd_epi32(value, a, b);
          asm volatile("" : "+v"(value));
        }
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

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  std::printf("{\"readBytesPerSecond\": %.0f, \"int8OperationsPerSecond\": %.0f}\n", read_bytes_per_second(threads),
              int8_operations_per_second(threads));
  return 0;
}
