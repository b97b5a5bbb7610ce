#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/progress.h"
#include "core/safetensors.h"
#include "core/threads.h"
#include "dense/dense_f32.h"
#include "graph/modules.h"
#include "lut/projection.h"

namespace lutra::dense {

/// Widened to f32. Throws GraphError `bad-file` for other types, infinities and what is no number.
std::vector<float> floats(const core::TensorView& view, const std::string& name);

/// How a network's matrices are held. `q8`: 8-bit integers with a scale per 32, activations too; `lut4`: a NormalFloat
/// table of 16 entries and a scale per 64. Both multiply in 8 bits, on the CPU; other devices hold bf16 instead.
enum class WeightType { f32, bf16, q8, lut4 };

/// y = W x + b, with W in whatever type was asked for.
class Dense {
 public:
  Dense(graph::Tensor weight, graph::Tensor bias) : weight_(weight), bias_(bias) {}
  Dense(std::unique_ptr<DenseF32> exact, graph::Tensor bias) : bias_(bias), exact_(std::move(exact)) {}
  Dense(std::unique_ptr<lut::PackedMatrix> packed, graph::Tensor bias);

  /// x (n_in, n, batch) -> (n_out, n, batch)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x);

 private:
  graph::Tensor weight_ = nullptr;
  graph::Tensor bias_ = nullptr;
  std::unique_ptr<DenseF32> exact_;
  std::unique_ptr<lut::PackedMatrix> packed_;
  std::unique_ptr<lut::Prepare> prepare_;
  std::unique_ptr<lut::Products> products_;
};

/// Takes a network's tensors one by one and brings them to its device.
class Parameters {
 public:
  Parameters(const graph::Compute& compute, WeightType type, std::size_t max_tensors);

  /// Any shape, in f32.
  graph::Tensor tensor(const std::string& name, const core::TensorView& view);
  /// A matrix (n_out, n_in) in this network's type; `bias` may be null.
  Dense dense(const std::string& name, const core::TensorView& weight, const core::TensorView* bias,
              const core::Progress& progress);
  /// Fills all tensors; nothing is declared after it.
  void upload(const core::Progress& progress);

  [[nodiscard]] std::size_t size_bytes() const { return weights_.size_bytes() + packed_bytes_; }

 private:
  struct Pending {
    std::string name;
    core::TensorView view;
    ggml_type type;
  };

  WeightType type_;
  bool is_on_cpu_;
  graph::Weights weights_;
  core::ThreadPool threads_;
  std::vector<Pending> pending_;
  std::size_t packed_bytes_ = 0;
};

}  // namespace lutra::dense
