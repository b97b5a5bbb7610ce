#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/device.h"

namespace lutra::graph {

/// Owns a ggml context.
struct ContextDeleter {
  void operator()(ggml_context* context) const { ggml_free(context); }
};
using Context = std::unique_ptr<ggml_context, ContextDeleter>;

/// Owns memory on a device.
struct BufferDeleter {
  void operator()(ggml_backend_buffer_t buffer) const { ggml_backend_buffer_free(buffer); }
};
using Buffer = std::unique_ptr<ggml_backend_buffer, BufferDeleter>;

/// A context that holds tensors' descriptions only; their data lie in device buffers.
Context make_context(size_t n_tensors);

/// A model's parameters on one device, under the checkpoint's own names.
/// declare() all, then allocate() once, then upload() each.
class Weights {
 public:
  Weights(const Compute& compute, size_t max_tensors);

  /// `shape` as the checkpoint has it, slowest dimension first. Throws GraphError `bad-file` on a second tensor of
  /// that name, on more than four dimensions, or on rows that do not fill the type's blocks.
  ggml_tensor* declare(const std::string& name, ggml_type type, std::span<const int64_t> shape);

  /// Throws GraphError `out-of-memory`.
  void allocate();

  /// Copies one tensor's bytes to the device. Throws GraphError `bad-file` on a wrong size.
  void upload(const std::string& name, std::span<const std::byte> bytes);

  /// Throws GraphError `bad-file` when the checkpoint has no such tensor.
  [[nodiscard]] ggml_tensor* at(const std::string& name) const;
  /// Null when there is none.
  [[nodiscard]] ggml_tensor* find(const std::string& name) const;

  [[nodiscard]] size_t size_bytes() const;

 private:
  size_t max_tensors_;
  ggml_backend_buffer_type_t buffer_type_;
  Context context_;
  Buffer buffer_;
  std::unordered_map<std::string, ggml_tensor*> tensors_;
};

/// Weights below a name: `Scope(weights, "model.layers.3.")("self_attn.q_proj.weight")`.
class Scope {
 public:
  explicit Scope(const Weights& weights, std::string prefix = {}) : weights_(&weights), prefix_(std::move(prefix)) {}

  [[nodiscard]] ggml_tensor* operator()(const std::string& name) const { return weights_->at(prefix_ + name); }
  [[nodiscard]] ggml_tensor* optional(const std::string& name) const { return weights_->find(prefix_ + name); }
  [[nodiscard]] Scope operator/(const std::string& part) const { return Scope(*weights_, prefix_ + part + "."); }
  [[nodiscard]] Scope operator/(int index) const { return *this / std::to_string(index); }

 private:
  const Weights* weights_;
  std::string prefix_;
};

}  // namespace lutra::graph
