#pragma once
#include <vector>

#include "llama/arguments.h"
#include "llama/memory.h"
#include "lut_mul_mat.h"

namespace lutra::cuda {

/// A weight on the device.
struct DevicePart {
  bool is_packed = false;
  LutLayout layout;  // packed
  Float16 type = Float16::f16;
  int rows = 0;  // of the product
  int columns = 0;
  int row_begin = 0;
  DeviceMemory weight;
  DeviceMemory bias;
};
using Projection = std::vector<DevicePart>;

struct Layer {
  DeviceMemory input_norm, post_attention_norm, q_norm, k_norm;
  Projection qkv, o, gate_up, down;
  int window = 0;
};

/// A language model's weights on one device.
class Model {
 public:
  Model(std::int32_t device, const ModelShape& shape);

  void set_embedding(TableType type, const void* bytes);
  void set_norm(Norm norm, std::int32_t layer, const float* weight, std::int32_t length);
  void set_window(std::int32_t layer, std::int32_t positions) { this->layer(layer).window = positions; }
  void add(const DenseWeight& weight);
  void add(const PackedWeight& weight);
  void begin_at(std::int32_t layer);

  /// Makes this device the calling thread's.
  void enter() const;
  /// Throws `Failure` `bad_input` that names what was not given.
  void require_whole() const;

  [[nodiscard]] const ModelShape& shape() const { return shape_; }
  [[nodiscard]] const DeviceLimits& limits() const { return limits_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// The layers from `first_layer` on are on the device.
  [[nodiscard]] std::int32_t first_layer() const { return first_layer_; }
  [[nodiscard]] const std::vector<Layer>& layers() const { return layers_; }
  [[nodiscard]] const void* embedding() const { return embedding_.get(); }
  [[nodiscard]] Stored embedding_type() const { return embedding_type_; }
  [[nodiscard]] const float* norm() const { return norm_.as<float>(); }
  /// The given one; else empty, and the embedding is the head.
  [[nodiscard]] const Projection& head() const { return head_; }
  [[nodiscard]] int qkv_rows() const { return (shape_.heads + 2 * shape_.kv_heads) * shape_.head_dim; }
  [[nodiscard]] int query_rows() const { return shape_.heads * shape_.head_dim; }

 private:
  Layer& layer(std::int32_t index);
  Projection& projection(const Part& part);
  DeviceMemory upload(const void* bytes, std::size_t count);
  void drop(DeviceMemory& memory);

  std::int32_t device_;
  ModelShape shape_;
  DeviceLimits limits_;
  Stream stream_;
  std::size_t bytes_ = 0;
  std::int32_t first_layer_ = 0;
  DeviceMemory embedding_;
  Stored embedding_type_ = Stored::f16;
  std::vector<Layer> layers_;
  DeviceMemory norm_;
  Projection head_;
};

}  // namespace lutra::cuda
