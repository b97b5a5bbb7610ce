#pragma once
#include <cstdint>

#include "llama/step.h"

// What the kernels are given.

namespace lutra::cuda {

enum class Float16 : std::uint8_t { f16, bf16 };
enum class Stored : std::uint8_t { f16, bf16, f32 };

struct PrepareArguments {
  const void* x = nullptr;  ///< (n, width)
  bool is_f32 = false;      ///< else f16
  int width = 0;
  const float* norm = nullptr;  ///< (width): x / rms(x) * norm; null: x
  float eps = 0;
  std::uint16_t* target = nullptr;  ///< f16 (n, target_width), zeros behind `width`
  int target_width = 0;
};

struct StoreArguments {
  const StepInput* step = nullptr;
  Cache cache;
  int layer = 0;
  int heads = 0;
  const float* qkv = nullptr;     ///< (n, (heads + 2 kv_heads) * head_dim): queries, keys, values
  const float* q_norm = nullptr;  ///< (head_dim), over the values of a head (Qwen3), or null
  const float* k_norm = nullptr;
  float eps = 0;
  std::uint16_t* queries = nullptr;  ///< f16 (n, heads * head_dim), turned, times 1/sqrt(head_dim)
};

struct AttendArguments {
  const StepInput* step = nullptr;
  Cache cache;
  int layer = 0;
  int heads = 0;
  int window = 0;                          ///< positions that a token sees, itself included; 0: all
  int tokens = 1;                          ///< of attend_many
  const std::uint16_t* queries = nullptr;  ///< f16 (n, heads * head_dim), times 1/sqrt(head_dim)
  std::uint16_t* target = nullptr;         ///< f16, like them
  float* partials = nullptr;               ///< attend_one: AttendGrid::partial_floats()
  unsigned* arrived = nullptr;             ///< attend_one: (AttendGrid::blocks), zero; left zero
};

/// y = W x for weights of 16 bits: the head, and checkpoints that are not quantized.
struct DenseArguments {
  const std::uint16_t* weight = nullptr;  ///< (rows, columns), 16-byte aligned
  Float16 type = Float16::f16;
  int rows = 0;
  int columns = 0;  ///< a multiple of 8
  int tokens = 1;
  const std::uint16_t* x = nullptr;  ///< f16 (tokens, columns)
  float* y = nullptr;                ///< (tokens, y_stride)
  std::int64_t y_stride = 0;
  const float* bias = nullptr;      ///< (rows), or null
  const float* residual = nullptr;  ///< like y, added, or null; may be y
};

}  // namespace lutra::cuda
