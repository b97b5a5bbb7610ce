#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/safetensors.h"
#include "core/threads.h"
#include "graph/need.h"
#include "text/config.h"
#include "text/projections.h"
#include "text/quantized.h"

namespace lutra::text {

/// Reads a checkpoint's weights as products want them, whatever format each lies in, and lets go of the file's pages
/// as it goes. Throws GraphError that names the tensor.
class WeightReader {
 public:
  /// All must outlive this. `progress` counts bytes of the file.
  WeightReader(const core::Safetensors& file, std::string folder, const Config& config, lut::Precision precision,
               std::size_t threads, const core::Progress& progress);

  [[nodiscard]] const core::Safetensors& file() const { return *file_; }
  [[nodiscard]] lut::Precision precision() const { return precision_; }
  /// Whether there is a matrix of that name, in any format.
  [[nodiscard]] bool has_matrix(const std::string& prefix) const;

  /// The matrix (rows, columns) called `<prefix>.weight`; `bias` f32 (rows) or null.
  [[nodiscard]] Projections::Part part(const std::string& prefix, std::int64_t rows, std::int64_t columns,
                                       graph::Tensor bias);
  /// The same, widened to f32.
  [[nodiscard]] std::vector<float> matrix(const std::string& prefix, std::int64_t rows, std::int64_t columns);
  /// A tensor that is never quantized, widened to f32; refuses what is no finite number.
  [[nodiscard]] std::vector<float> floats(const std::string& name, std::span<const std::int64_t> shape);

  /// Counts what is used as it lies in the file, and lets go of its pages until then.
  void let_go(const std::string& prefix);

  [[nodiscard]] std::size_t weight_bytes() const { return weight_bytes_; }
  [[nodiscard]] std::uint64_t done_bytes() const { return done_bytes_; }
  /// Of the first quantized matrix; 16 where there is none.
  [[nodiscard]] int bits() const { return bits_; }

 private:
  const core::Safetensors* file_;
  QuantizedReader quantized_;
  lut::Precision precision_;
  core::ThreadPool threads_;
  const core::Progress* progress_;
  std::size_t weight_bytes_ = 0;
  int bits_ = 16;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

/// Refuses other types than f32, f16 and bf16.
void require_float(const core::TensorView& view, const std::string& name);
[[noreturn]] void refuse_length(const std::string& name);

}  // namespace lutra::text
