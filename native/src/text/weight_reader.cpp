#include "text/weight_reader.h"

#include <array>
#include <cmath>

namespace lutra::text {

using graph::need;
using graph::refuse;

void require_float(const core::TensorView& view, const std::string& name) {
  if (view.dtype == core::Dtype::f32 || view.dtype == core::Dtype::f16 || view.dtype == core::Dtype::bf16) return;
  refuse(core::Error{"bad-file", "The tensor \"" + name + "\" is neither f32, f16 nor bf16.", "Get the file again.",
                     name});
}

void refuse_length(const std::string& name) {
  refuse(core::Error{"bad-file", "The tensor \"" + name + "\" has the wrong length.", "Get the file again.", name});
}

WeightReader::WeightReader(const core::Safetensors& file, std::string folder, const Config& config,
                           lut::Precision precision, std::size_t threads, const core::Progress& progress)
    : file_(&file),
      quantized_(file, std::move(folder), config),
      precision_(precision),
      threads_(threads),
      progress_(&progress) {
  for (const auto& [name, view] : file.tensors()) total_bytes_ += view.bytes.size();
}

bool WeightReader::has_matrix(const std::string& prefix) const {
  return lut::storage_of(*file_, prefix) != lut::Storage::missing;
}

Projections::Part WeightReader::part(const std::string& prefix, std::int64_t rows, std::int64_t columns,
                                     graph::Tensor bias) {
  if (progress_->cancelled()) throw graph::GraphError("cancelled", "Cancelled.");
  Projections::Part result;
  result.rows = rows;
  result.name = prefix;
  result.bias = bias;
  if (bias != nullptr && bias->ne[0] != rows) refuse_length(prefix + ".bias");
  const lut::Storage storage = lut::storage_of(*file_, prefix);
  if (storage == lut::Storage::dense || storage == lut::Storage::missing) {
    const std::array<int64_t, 2> shape = {rows, columns};
    const core::TensorView view = need(file_->get(prefix + ".weight", shape));
    require_float(view, prefix + ".weight");
    if (precision_ == lut::Precision::fast)
      result.packed = std::make_unique<lut::PackedMatrix>(lut::pack_q8(view, threads_));
    else
      result.dense = std::make_unique<lut::DenseMulMat>(view);
  } else {
    const lut::LutMatrix matrix = quantized_.read(storage, prefix, rows, columns);
    if (bits_ == 16) bits_ = matrix.bits;
    result.packed = std::make_unique<lut::PackedMatrix>(lut::pack(matrix, precision_, threads_));
  }
  weight_bytes_ += result.packed ? result.packed->size_bytes() : result.dense->weight().bytes.size();
  let_go(prefix);
  return result;
}

std::vector<float> WeightReader::matrix(const std::string& prefix, std::int64_t rows, std::int64_t columns) {
  const lut::Storage storage = lut::storage_of(*file_, prefix);
  if (storage == lut::Storage::dense || storage == lut::Storage::missing)
    return floats(prefix + ".weight", std::array<std::int64_t, 2>{rows, columns});
  if (progress_->cancelled()) throw graph::GraphError("cancelled", "Cancelled.");
  const lut::LutMatrix matrix = quantized_.read(storage, prefix, rows, columns);
  if (matrix.hadamard_size > 0) {
    refuse(core::Error{"not-supported", "The tensor \"" + prefix + ".weight\" is in HIGGS' format.",
                       "Only the text model may be in that format.", prefix + ".weight"});
  }
  if (bits_ == 16) bits_ = matrix.bits;
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  for (std::int64_t row = 0; row < rows; ++row) {
    matrix.dequantize_row(
        row, std::span(values).subspan(static_cast<std::size_t>(row * columns), static_cast<std::size_t>(columns)));
  }
  let_go(prefix);
  return values;
}

std::vector<float> WeightReader::floats(const std::string& name, std::span<const std::int64_t> shape) {
  if (progress_->cancelled()) throw graph::GraphError("cancelled", "Cancelled.");
  const core::TensorView view = need(file_->get(name, shape));
  require_float(view, name);
  std::vector<float> values(static_cast<std::size_t>(view.elements()));
  core::to_f32(view.dtype, view.bytes, values);
  for (const float value : values) {
    if (!std::isfinite(value)) {
      refuse(core::Error{"bad-file", "The tensor \"" + name + "\" holds a value that is no finite number.",
                         "Get the file again.", name});
    }
  }
  done_bytes_ += view.bytes.size();
  core::MappedFile::let_go(view.bytes);
  progress_->tell(done_bytes_, total_bytes_);
  return values;
}

void WeightReader::let_go(const std::string& prefix) {
  done_bytes_ += file_->let_go(prefix);
  progress_->tell(done_bytes_, total_bytes_);
}

}  // namespace lutra::text
