#include "dense/parameters.h"

#include <cmath>

#include "graph/need.h"
#include "lut/quantize.h"

namespace lutra::dense {

std::vector<float> floats(const core::TensorView& view, const std::string& name) {
  const auto refuse = [&](const char* what) {
    throw graph::GraphError("bad-file", "The tensor \"" + name + "\" " + what + ".", "Get the model's files again.",
                            name);
  };
  if (view.dtype != core::Dtype::f32 && view.dtype != core::Dtype::f16 && view.dtype != core::Dtype::bf16)
    refuse("is neither f32, f16 nor bf16");
  std::vector<float> values(static_cast<std::size_t>(view.elements()));
  core::to_f32(view.dtype, view.bytes, values);
  for (const float value : values) {
    if (!std::isfinite(value)) refuse("holds a value that is no finite number");
  }
  return values;
}
namespace {

std::unique_ptr<lut::PackedMatrix> quantized(const std::string& name, const core::TensorView& weight,
                                             core::ThreadPool& threads, const core::Progress& progress) {
  constexpr std::int64_t group_size = 64;
  lut::QuantizeOptions options;
  options.table = lut::QuantizeOptions::Table::nf;
  options.group_size = group_size;
  const auto values = floats(weight, name);
  const auto result = graph::need(
      lut::quantize(values, weight.shape[0], weight.shape[1], options, {}, static_cast<int>(threads.size()), progress));
  return std::make_unique<lut::PackedMatrix>(lut::pack(result.matrix, lut::Precision::fast, threads));
}

}  // namespace

Dense::Dense(std::unique_ptr<lut::PackedMatrix> packed, graph::Tensor bias)
    : bias_(bias),
      packed_(std::move(packed)),
      prepare_(std::make_unique<lut::Prepare>(*packed_, lut::Precision::fast)),
      products_(std::make_unique<lut::Products>(std::vector<const lut::PackedMatrix*>{packed_.get()},
                                                lut::Precision::fast)) {}

graph::Tensor Dense::operator()(graph::GraphBuilder& g, graph::Tensor x) {
  graph::Tensor y = nullptr;
  if (packed_ || exact_) {
    graph::Tensor flat = ggml_reshape_2d(g, x, x->ne[0], x->ne[1] * x->ne[2] * x->ne[3]);
    y = exact_ ? (*exact_)(g, flat) : (*products_)(g, (*prepare_)(g, flat, nullptr, 0));
    y = ggml_reshape_4d(g, y, y->ne[0], x->ne[1], x->ne[2], x->ne[3]);
  } else {
    y = ggml_mul_mat(g, weight_, x);
  }
  return bias_ == nullptr ? y : ggml_add(g, y, bias_);
}

Parameters::Parameters(const graph::Compute& compute, WeightType type, std::size_t max_tensors)
    : type_(type),
      is_on_cpu_(graph::is_cpu(compute.device())),
      weights_(compute, max_tensors),
      threads_(static_cast<std::size_t>(compute.n_threads())) {}

graph::Tensor Parameters::tensor(const std::string& name, const core::TensorView& view) {
  pending_.push_back({name, view, GGML_TYPE_F32});
  return weights_.declare(name, GGML_TYPE_F32, view.shape);
}

Dense Parameters::dense(const std::string& name, const core::TensorView& weight, const core::TensorView* bias,
                        const core::Progress& progress) {
  if (progress.cancelled()) throw graph::GraphError("cancelled", "Cancelled.");
  if (weight.shape.size() < 2 || (bias != nullptr && bias->elements() != weight.shape[0])) {
    throw graph::GraphError("bad-file", "The tensor \"" + name + "\" or its bias has the wrong shape.",
                            "Get the model's files again.", name);
  }
  graph::Tensor added = bias == nullptr ? nullptr : tensor(name + ".bias", *bias);
  core::TensorView matrix = weight;
  matrix.shape = {weight.shape[0], weight.elements() / weight.shape[0]};
  // 8-bit blocks want rows of some length; the few short ones stay as they are.
  constexpr std::int64_t shortest = 256;
  if (is_on_cpu_ && (type_ == WeightType::f32 || matrix.shape[1] < shortest)) {
    auto exact = std::make_unique<DenseF32>(floats(matrix, name), matrix.shape[0], matrix.shape[1]);
    packed_bytes_ += exact->size_bytes();
    core::MappedFile::let_go(matrix.bytes);
    return {std::move(exact), added};
  }
  if (type_ == WeightType::f32 || matrix.shape[1] < shortest) {
    pending_.push_back({name, matrix, GGML_TYPE_F32});
    return {weights_.declare(name, GGML_TYPE_F32, matrix.shape), added};
  }
  // The kernels for 8 bits and tables are the CPU's: elsewhere 16 bits take their place.
  if (type_ == WeightType::bf16 || !is_on_cpu_) {
    pending_.push_back({name, matrix, GGML_TYPE_BF16});
    return {weights_.declare(name, GGML_TYPE_BF16, matrix.shape), added};
  }
  auto packed = type_ == WeightType::q8 ? std::make_unique<lut::PackedMatrix>(lut::pack_q8(matrix, threads_))
                                        : quantized(name, matrix, threads_, progress);
  packed_bytes_ += packed->size_bytes();
  core::MappedFile::let_go(matrix.bytes);
  return {std::move(packed), added};
}

void Parameters::upload(const core::Progress& progress) {
  weights_.allocate();
  std::uint64_t done = 0;
  for (const auto& [name, view, type] : pending_) {
    if (progress.cancelled()) throw graph::GraphError("cancelled", "Cancelled.");
    const auto values = floats(view, name);
    if (type == GGML_TYPE_F32) {
      weights_.upload(name, std::as_bytes(std::span(values)));
    } else {
      std::vector<std::byte> narrow(values.size() * 2);
      core::from_f32(values, core::Dtype::bf16, narrow);
      weights_.upload(name, narrow);
    }
    core::MappedFile::let_go(view.bytes);
    progress.tell(++done, pending_.size());
  }
  pending_.clear();
}

}  // namespace lutra::dense
