#include "graph/weights.h"

#include <algorithm>

#include "graph/error.h"

namespace lutra::graph {

Context make_context(size_t n_tensors) {
  ggml_init_params parameters{};
  parameters.mem_size = (n_tensors + 1) * ggml_tensor_overhead();
  parameters.no_alloc = true;
  Context context(ggml_init(parameters));
  if (!context) throw GraphError("out-of-memory", "There is no memory for the description of a model.");
  return context;
}

Weights::Weights(const Compute& compute, size_t max_tensors)
    : max_tensors_(max_tensors),
      buffer_type_(ggml_backend_get_default_buffer_type(compute.device_backend())),
      context_(make_context(max_tensors)) {}

ggml_tensor* Weights::declare(const std::string& name, ggml_type type, std::span<const int64_t> shape) {
  if (buffer_) throw GraphError("internal", "Weights are allocated already.", {}, name);
  if (tensors_.contains(name)) throw GraphError("bad-file", "The model has two tensors called " + name + ".", {}, name);
  if (tensors_.size() == max_tensors_) throw GraphError("internal", "More tensors than announced.", {}, name);
  const bool has_sane_shape =
      shape.size() <= GGML_MAX_DIMS && std::ranges::all_of(shape, [](int64_t n) { return n > 0; });
  const bool fills_blocks = shape.empty() ? ggml_blck_size(type) == 1 : shape.back() % ggml_blck_size(type) == 0;
  if (!has_sane_shape || !fills_blocks) {
    throw GraphError("bad-file", "The tensor " + name + " has a shape that no model here can use.",
                     "The file may be damaged. Download it again.", name);
  }
  std::vector<int64_t> ne(shape.rbegin(), shape.rend());
  if (ne.empty()) ne.push_back(1);
  ggml_tensor* tensor = ggml_new_tensor(context_.get(), type, static_cast<int>(ne.size()), ne.data());
  tensors_.emplace(name, tensor);
  return tensor;
}

void Weights::allocate() {
  if (tensors_.empty()) return;
  buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), buffer_type_));
  if (!buffer_) {
    const size_t bytes = ggml_backend_alloc_ctx_tensors_from_buft_size(context_.get(), buffer_type_);
    throw GraphError("out-of-memory",
                     "The model needs " + std::to_string(bytes >> 20U) + " MB on " +
                         ggml_backend_buft_name(buffer_type_) + ", and that much is not free.",
                     "Close other programs, or choose a smaller model or another device.");
  }
  ggml_backend_buffer_set_usage(buffer_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
}

void Weights::upload(const std::string& name, std::span<const std::byte> bytes) {
  ggml_tensor* tensor = at(name);
  if (!buffer_) throw GraphError("internal", "Weights are not allocated yet.", {}, name);
  if (bytes.size() != ggml_nbytes(tensor)) {
    throw GraphError("bad-file",
                     "The tensor " + name + " has " + std::to_string(bytes.size()) + " bytes; its shape needs " +
                         std::to_string(ggml_nbytes(tensor)) + ".",
                     "The file may be damaged. Download it again.", name);
  }
  ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
}

ggml_tensor* Weights::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

ggml_tensor* Weights::at(const std::string& name) const {
  if (ggml_tensor* tensor = find(name)) return tensor;
  throw GraphError("bad-file", "The model has no tensor called " + name + ".",
                   "A file of the model may be missing. Download it again.", name);
}

size_t Weights::size_bytes() const { return buffer_ ? ggml_backend_buffer_get_size(buffer_.get()) : 0; }

}  // namespace lutra::graph
