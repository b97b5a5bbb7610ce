#pragma once
#include <mutex>
#include <span>
#include <vector>

#include "graph/custom.h"
#include "lut/kernels.h"
#include "lut/packed_matrix.h"

namespace lutra::lut {

/// How the inputs of a projection go together: what a quantizer makes up its errors with.
struct InputStatistics {
  std::mutex mutex;
  std::vector<float> products;  ///< (ceil(columns / feedback_block), feedback_block, feedback_block), sums
  std::int64_t tokens = 0;

  void add(std::span<const float> x);  ///< x (columns)
};

/// Activations as the kernels take them, with the norm before them: y = layout(x / rms(x) * norm). A node of its own,
/// because several products share it.
class Prepare {
 public:
  Prepare(const PackedMatrix& matrix, Precision precision, const Kernels& kernels = best_kernels())
      : layout_(matrix.layout), hadamard_size_(matrix.hadamard_size), precision_(precision), kernels_(&kernels) {}

  /// x f32 (columns, n), norm f32 (columns) or null -> i8 (token bytes, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor x, graph::Tensor norm, float eps);
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

  /// Adds up every input from now on; `statistics` must outlive this.
  void observe(InputStatistics* statistics) { statistics_ = statistics; }

 private:
  BlockLayout layout_;
  std::int64_t hadamard_size_;
  Precision precision_;
  const Kernels* kernels_;
  float eps_ = 0;
  InputStatistics* statistics_ = nullptr;
};

/// lut_mul_mat: the products of one or more packed weights with the same prepared activations, as one node.
class Products {
 public:
  enum class Form {
    apart,  ///< one below the other
    gated,  ///< of two: silu(first) * second
  };

  Products(std::vector<const PackedMatrix*> matrices, Precision precision, Form form = Form::apart,
           const Kernels& kernels = best_kernels());

  /// prepared i8 (token bytes, n), residual f32 (rows, n) or null, which is added -> f32 (rows, n)
  graph::Tensor operator()(graph::GraphBuilder& g, graph::Tensor prepared, graph::Tensor residual = nullptr) const;
  void run(ggml_tensor* dst, int ith, int nth) const noexcept;

  [[nodiscard]] std::int64_t rows() const { return rows_; }

 private:
  struct Target;
  void few(const ggml_tensor* x, const Target& target, std::int64_t first, std::int64_t last) const;
  void many(const ggml_tensor* x, const Target& target, std::int64_t first, std::int64_t last) const;

  std::vector<const PackedMatrix*> matrices_;
  Precision precision_;
  Form form_;
  const Kernels* kernels_;
  std::int64_t rows_ = 0;
};

/// True where both can share one `Prepare`.
[[nodiscard]] bool share_activations(const PackedMatrix& a, const PackedMatrix& b);

}  // namespace lutra::lut
