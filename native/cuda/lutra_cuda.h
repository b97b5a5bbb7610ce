#pragma once
#include <cstddef>
#include <cstdint>

#include "llama/step.h"
#include "lut_layout.h"

// The door of the shared library lutra-cuda: one exported function that gives a list of others. Host memory goes in and
// comes out; nothing of CUDA's is named, so that who calls it is built without.

namespace lutra::cuda {

/// Raised with every change of what stands here, in llama/step.h or in lut_layout.h.
constexpr std::int32_t interface_version = 2;
constexpr const char* interface_symbol = "lutra_cuda_interface";

enum class Code : std::int32_t { ok, no_driver, no_device, out_of_memory, bad_input, failed };

/// Why a call did not do what it was asked: a sentence for people.
struct Problem {
  char text[512];
};

struct DeviceFacts {
  char name[256];
  std::uint64_t memory_free_bytes;
  std::uint64_t memory_total_bytes;
  std::int32_t major, minor;  ///< compute capability
  std::int32_t multiprocessors;
};
/// The oldest compute capability that the kernels run on.
constexpr std::int32_t least_major = 8;

struct ModelShape {
  std::int32_t vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, head_dim;
  float norm_eps;
};

enum class Slot : std::int32_t { qkv, o, gate_up, down, head };
enum class Norm : std::int32_t { input, post_attention, q, k, last };

/// A weight's place: some rows of a projection. Parts of one projection lie one below the other.
struct Part {
  Slot slot;
  std::int32_t layer;      ///< 0 for the head
  std::int32_t row_begin;  ///< in the projection
  const float* bias;       ///< (rows as given), or null
};

struct DenseWeight {
  Part part;
  bool is_bf16;  ///< else f16
  std::int32_t rows, columns;
  const void* bytes;  ///< (rows, columns)
};

struct PackedWeight {
  Part part;
  const LutLayout* layout;
  const void* bytes;  ///< LutImage::bytes
};

enum class TableType : std::int32_t { f16, bf16, f32 };

/// Looks at the residual stream f32 (tokens, hidden_size) that a layer hands on. Returns whether it wrote to it.
struct Tap {
  bool (*look)(void* user, std::int32_t layer, float* residual, std::int32_t tokens);
  void* user;
};

class Model;
class Session;

/// Every function gives a Code and, where it is not `ok`, tells why in `problem`. A model and its sessions are for one
/// thread at a time.
struct Interface {
  std::int32_t version;  ///< first, and never moved
  const char* build;     ///< `CUDA 13.0`, or `emulation`

  Code (*count_devices)(std::int32_t* count, Problem* problem);
  Code (*describe)(std::int32_t device, DeviceFacts* facts, Problem* problem);

  /// An empty model on a device. Everything that it needs is then handed over, before its first session.
  Code (*create_model)(std::int32_t device, const ModelShape* shape, Model** model, Problem* problem);
  void (*free_model)(Model* model);
  /// Rows of the embedding (vocab_size, hidden_size). They are the head too, where that is not given.
  Code (*set_embedding)(Model* model, TableType type, const void* bytes, Problem* problem);
  Code (*set_norm)(Model* model, Norm norm, std::int32_t layer, const float* weight, std::int32_t length,
                   Problem* problem);
  /// Positions that a layer sees; 0: all.
  Code (*set_window)(Model* model, std::int32_t layer, std::int32_t positions, Problem* problem);
  Code (*add_dense)(Model* model, const DenseWeight* weight, Problem* problem);
  Code (*add_packed)(Model* model, const PackedWeight* weight, Problem* problem);
  /// The layers before `layer` are not this model's, and where there are such, neither is the embedding, unless it is
  /// the head: what was given of them is freed, and sessions take the residual stream in the place of tokens.
  Code (*begin_at)(Model* model, std::int32_t layer, Problem* problem);
  std::uint64_t (*model_bytes)(const Model* model);

  /// `bytes_cache`: keys and values in signed bytes, else in f16.
  Code (*create_session)(Model* model, std::int32_t context_size, bool bytes_cache, Session** session,
                         Problem* problem);
  void (*free_session)(Session* session);
  /// The most tokens that `prefill` takes at once.
  std::int32_t (*session_tokens)(const Session* session);
  /// Bytes of keys and values, and of everything beside them.
  std::uint64_t (*cache_bytes)(const Session* session);
  std::uint64_t (*room_bytes)(const Session* session);
  std::int32_t (*positions)(const Session* session);
  /// Room for 256 more positions, whose rotary angles are cos and sin f32 (256, head_dim / 2).
  Code (*add_page)(Session* session, const float* cosines, const float* sines, Problem* problem);
  /// Adds tokens from `position` on. Of a model that begins at a later layer: `residual` f32 (tokens, hidden_size) is
  /// what the layer before it hands on, and `tokens` may be null; else `residual` is null. `logits`: null, or
  /// (vocab_size) after the last, or of all tokens (tokens, vocab_size). `tap` may be null.
  Code (*prefill)(Session* session, const std::int32_t* tokens, const float* residual, std::int32_t count,
                  std::int32_t position, bool all_logits, float* logits, const Tap* tap, Problem* problem);
  /// Draws a token from the logits after what was added last.
  Code (*draw)(Session* session, const StepInput* step, std::int32_t* token, Problem* problem);
  /// Adds `step->token`, or the token whose `residual` (hidden_size) is given, and draws the one after it: one launch
  /// of one graph. `logits` may be null.
  Code (*step)(Session* session, const StepInput* step, const float* residual, std::int32_t* token, float* logits,
               Problem* problem);
};

}  // namespace lutra::cuda
