#pragma once
#include "llama/primitives.cuh"

// text/sampler.cpp on the device, with the same order of filters, the same sums in f64 in the same order, and the same
// draw, so that a seed means the same tokens.

namespace lutra::cuda::kernels {

using Key = unsigned long long;

constexpr int select_threads = 256;
constexpr int slice_logits = 2048;     // of one block in the first round
constexpr int most_candidates = 4096;  // as in text/sampler.cpp

/// Orders like (logit, then the lower token): larger keys come first. No two tokens have the same.
__device__ inline Key key_of(float logit, int token) {
  const std::uint32_t bits = __float_as_uint(logit == 0 ? 0.0F : logit);
  const std::uint32_t ordered = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return static_cast<Key>(ordered) << 32 | static_cast<std::uint32_t>(~token);
}
__device__ inline float logit_of(Key key) {
  const auto ordered = static_cast<std::uint32_t>(key >> 32);
  return __uint_as_float((ordered & 0x80000000U) != 0 ? ordered & 0x7FFFFFFFU : ~ordered);
}
__device__ inline int token_of(Key key) { return static_cast<int>(~static_cast<std::uint32_t>(key)); }

/// How many tokens are looked at.
__device__ inline int candidates_of(const Sampling& sampling, int vocab_size) {
  if (sampling.temperature <= 0) return 1;
  const int wanted = sampling.top_k > 0 ? sampling.top_k : most_candidates;
  return min(min(wanted, most_candidates), vocab_size);
}

/// Where `slice` keeps what it selects, and how much at most.
__device__ inline int kept_of_slice(int wanted) { return min(wanted, slice_logits); }

/// What the repeat penalty makes of a token's logit.
__device__ inline float penalised(const StepInput& step, const int* seen, int seen_count, float logit, int token) {
  for (int i = 0; i < seen_count; ++i) {
    if (seen[i] == token)
      return logit > 0 ? logit / step.sampling.repeat_penalty : logit * step.sampling.repeat_penalty;
  }
  return logit;
}

/// The largest `wanted` of `count` keys, in any order, into `target`. The keys are given by `key(i)`.
/// `wanted` is at most `count`. Bit by bit from the top: eight at a time are counted, and the bin in which the last
/// wanted key lies is cut further.
template <typename KeyOf>
__device__ inline void select(int count, int wanted, KeyOf key, Key* target) {
  __shared__ int bins[256];
  __shared__ int taken;
  __shared__ Key floor_key;
  __shared__ int missing;
  const int thread = static_cast<int>(threadIdx.x);
  Key prefix = 0;
  int still = wanted;
  int shift = 56;
  for (;; shift -= 8) {
    bins[thread] = 0;
    __syncthreads();
    const Key mask = shift == 56 ? 0 : ~Key{0} << (shift + 8);
    for (int i = thread; i < count; i += select_threads) {
      const Key value = key(i);
      if ((value & mask) == prefix) atomicAdd(&bins[value >> shift & 255], 1);
    }
    __syncthreads();
    if (thread == 0) {
      int above = 0;
      int bin = 255;
      while (above + bins[bin] < still) above += bins[bin--];
      missing = still - above;
      floor_key = prefix | static_cast<Key>(bin) << shift;
      taken = bins[bin];
    }
    __syncthreads();
    prefix = floor_key;
    still = missing;
    const bool is_whole = taken == still || shift == 0;
    __syncthreads();
    if (is_whole) break;
  }
  if (thread == 0) taken = 0;
  __syncthreads();
  for (int i = thread; i < count; i += select_threads) {
    const Key value = key(i);
    if (value >= prefix) target[atomicAdd(&taken, 1)] = value;
  }
  __syncthreads();
}

/// First round: the best of each slice of the logits. Blocks (vocab_size / slice_logits).
/// target (blocks, candidates): a slice with fewer logits than candidates leaves zeros, which no key is.
__global__ void __launch_bounds__(select_threads)
    select_slices(const StepInput* step, const float* logits, int vocab_size, Key* target) {
  __shared__ Key keys[slice_logits];
  __shared__ int seen[penalty_tokens];
  const int thread = static_cast<int>(threadIdx.x);
  const int first = static_cast<int>(blockIdx.x) * slice_logits;
  const int count = min(slice_logits, vocab_size - first);
  const int kept = kept_of_slice(candidates_of(step->sampling, vocab_size));
  const int seen_count = step->sampling.repeat_penalty == 1 ? 0 : step->recent_count;
  if (thread < seen_count) seen[thread] = step->recent[thread];
  __syncthreads();
  for (int i = thread; i < count; i += select_threads)
    keys[i] = key_of(penalised(*step, seen, seen_count, logits[first + i], first + i), first + i);
  __syncthreads();
  Key* own = target + std::int64_t{blockIdx.x} * kept;
  select(count, min(kept, count), [&](int i) { return keys[i]; }, own);
  for (int i = count + thread; i < kept; i += select_threads) own[i] = 0;
}

/// Largest first, in place; `size` is a power of two.
__device__ inline void sort(Key* keys, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int i = static_cast<int>(threadIdx.x); i < size / 2; i += select_threads) {
        const int low = i / distance * 2 * distance + i % distance;
        const Key a = keys[low];
        const Key b = keys[low + distance];
        const bool is_falling = (low & run) == 0;
        if ((a < b) == is_falling) {
          keys[low] = b;
          keys[low + distance] = a;
        }
      }
      __syncthreads();
    }
  }
}

/// core::RandomRow(seed, 0): value `index` of its row.
__device__ inline float uniform(std::uint64_t seed, std::uint64_t index) {
  constexpr std::uint32_t multiplier0 = 0xD2511F53U;
  constexpr std::uint32_t multiplier1 = 0xCD9E8D57U;
  constexpr std::uint32_t weyl0 = 0x9E3779B9U;
  constexpr std::uint32_t weyl1 = 0xBB67AE85U;
  const std::uint64_t block = index / 4;
  std::uint32_t counter[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0};
  std::uint32_t key0 = static_cast<std::uint32_t>(seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{multiplier0} * counter[0];
    const std::uint64_t product1 = std::uint64_t{multiplier1} * counter[2];
    counter[0] = static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0;
    counter[1] = static_cast<std::uint32_t>(product1);
    counter[2] = static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1;
    counter[3] = static_cast<std::uint32_t>(product0);
    key0 += weyl0;
    key1 += weyl1;
  }
  return static_cast<float>(counter[index % 4] >> 8) * 0x1p-24F;
}

constexpr int draw_bytes = most_candidates * (sizeof(Key) + sizeof(double));

/// Second round: the best of all, then the draw. One block; `found` (count) are the keys of the slices.
__global__ void __launch_bounds__(select_threads)
    draw(const StepInput* step, const Key* found, int slices, int vocab_size, std::int32_t* token) {
  auto* keys = reinterpret_cast<Key*>(dynamic_shared());
  auto* shares = reinterpret_cast<double*>(keys + most_candidates);
  const int thread = static_cast<int>(threadIdx.x);
  const Sampling& sampling = step->sampling;
  const int wanted = candidates_of(sampling, vocab_size);
  const int count = slices * kept_of_slice(wanted);
  select(count, wanted, [&](int i) { return found[i]; }, keys);
  if (wanted == 1) {
    if (thread == 0) *token = token_of(keys[0]);
    return;
  }
  int size = 1;
  while (size < wanted) size *= 2;
  for (int i = wanted + thread; i < size; i += select_threads) keys[i] = 0;
  __syncthreads();
  sort(keys, size);

  const float top = logit_of(keys[0]);
  __shared__ int kept;
  for (int i = thread; i < wanted; i += select_threads) shares[i] = exp(static_cast<double>(logit_of(keys[i]) - top));
  __syncthreads();
  if (thread == 0) {
    double whole = 0;
    for (int i = 0; i < wanted; ++i) whole += shares[i];
    double sum = 0;
    kept = 0;
    while (kept < wanted) {
      if (kept > 0 && shares[kept] < static_cast<double>(sampling.min_p)) break;
      sum += shares[kept++];
      if (sum >= static_cast<double>(sampling.top_p) * whole) break;
    }
  }
  __syncthreads();
  for (int i = thread; i < kept; i += select_threads)
    shares[i] = exp(static_cast<double>(logit_of(keys[i]) - top) / static_cast<double>(sampling.temperature));
  __syncthreads();
  if (thread != 0) return;
  double total = 0;
  for (int i = 0; i < kept; ++i) total += shares[i];
  double rest = static_cast<double>(uniform(sampling.seed, sampling.draw)) * total;
  int chosen = kept - 1;
  for (int i = 0; i + 1 < kept; ++i) {
    rest -= shares[i];
    if (rest < 0) {
      chosen = i;
      break;
    }
  }
  *token = token_of(keys[chosen]);
}

}  // namespace lutra::cuda::kernels
