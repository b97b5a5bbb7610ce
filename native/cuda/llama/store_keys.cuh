#pragma once
#include "llama/arguments.h"
#include "llama/primitives.cuh"

namespace lutra::cuda::kernels {

constexpr int store_warps = 8;

/// Norms and turns queries and keys (RoFormer; pairs half a head apart), and keeps keys and values. A warp per head,
/// blocks (tokens, heads / warps); text/attention.cpp says the same for the processor.
__global__ void __launch_bounds__(store_warps * 32) store_keys(StoreArguments a) {
  let_next_begin();
  await_earlier_kernels();
  const CacheLayout& layout = a.cache.layout;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int head = static_cast<int>(blockIdx.y * store_warps + threadIdx.x / 32);
  const int kv_heads = layout.kv_heads;
  if (head >= a.heads + 2 * kv_heads) return;
  const int head_dim = layout.head_dim;
  const int half = head_dim / 2;
  const int token = static_cast<int>(blockIdx.x);
  const int position = a.step->position + token;
  unsigned char* page = a.cache.pages[position / page_positions];
  const int within = position % page_positions;
  const float* x = a.qkv + (std::int64_t{token} * (a.heads + 2 * kv_heads) + head) * head_dim;
  const bool is_query = head < a.heads;
  const bool is_value = head >= a.heads + kv_heads;

  const float* norm = is_query ? a.q_norm : is_value ? nullptr : a.k_norm;
  float scale = 1;
  if (norm != nullptr) {
    float power = 0;
    for (int i = lane; i < head_dim; i += 32) power += x[i] * x[i];
    scale = 1.0F / sqrtf(warp_sum(power) / static_cast<float>(head_dim) + a.eps);
  }
  const float* cosines = reinterpret_cast<const float*>(page) + within * half;
  const float* sines = cosines + page_positions * half;
  const auto normed = [&](int i) { return norm == nullptr ? x[i] : x[i] * scale * norm[i]; };
  /// The two values of pair i as they go on.
  const auto pair = [&](int i, float& low, float& high) {
    low = normed(i);
    high = normed(half + i);
    if (is_value) return;
    const float a0 = low;
    low = a0 * cosines[i] - high * sines[i];
    high = high * cosines[i] + a0 * sines[i];
  };

  if (is_query) {
    const float unit = 1.0F / sqrtf(static_cast<float>(head_dim));
    std::uint16_t* target = a.queries + (std::int64_t{token} * a.heads + head) * head_dim;
    for (int i = lane; i < half; i += 32) {
      float low = 0;
      float high = 0;
      pair(i, low, high);
      target[i] = to_f16(low * unit);
      target[half + i] = to_f16(high * unit);
    }
    return;
  }
  const int kind = is_value ? 1 : 0;
  const int kv_head = head - a.heads - kind * kv_heads;
  unsigned char* values = page + layout.values_at(a.layer, kind, kv_head);
  const int dim = layout.dim();
  if (!layout.is_bytes) {
    std::uint16_t* target = reinterpret_cast<std::uint16_t*>(values) + within * dim;
    for (int i = lane; i < half; i += 32) {
      float low = 0;
      float high = 0;
      pair(i, low, high);
      target[i] = to_f16(low);
      target[half + i] = to_f16(high);
    }
    return;
  }
  float most = 0;
  for (int i = lane; i < half; i += 32) {
    float low = 0;
    float high = 0;
    pair(i, low, high);
    most = fmaxf(most, fmaxf(fabsf(low), fabsf(high)));
  }
  most = warp_max(most);
  constexpr float largest = 127;
  const float inverse = most > 0 ? largest / most : 0;
  std::int8_t* target = reinterpret_cast<std::int8_t*>(values) + within * dim;
  for (int i = lane; i < half; i += 32) {
    float low = 0;
    float high = 0;
    pair(i, low, high);
    target[i] = static_cast<std::int8_t>(rintf(low * inverse));
    target[half + i] = static_cast<std::int8_t>(rintf(high * inverse));
  }
  if (lane == 0) reinterpret_cast<float*>(page + layout.scales_at(a.layer, kind, kv_head))[within] = most / largest;
}

}  // namespace lutra::cuda::kernels
