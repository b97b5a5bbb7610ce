#include "products.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <sstream>

#include "core/dtype.h"
#include "core/philox.h"
#include "lut/hadamard.h"
#include "lut/plan.h"
#ifdef LUTRA_EMULATED
#include "emulate/runtime.h"
#else
#include <cuda_runtime.h>
#endif

namespace lutra::cuda::testing {
namespace {

std::size_t count(std::int64_t value) { return static_cast<std::size_t>(value); }

std::vector<float> random(std::size_t n, std::uint64_t seed) {
  std::vector<float> values(n);
  core::RandomRow(17, seed).normal(0, values);
  return values;
}

/// What both f16 and bf16 have, in the range of f16.
float rounded(float value) {
  const float bounded = std::copysign(std::clamp(std::abs(value), 0x1p-6F, 8.0F), value);
  return core::bf16_to_f32(core::f32_to_bf16(bounded));
}

std::uint16_t narrow(float value, Scalar type) {
  return type == Scalar::bf16 ? core::f32_to_bf16(value) : core::f32_to_f16(value);
}
float widen(std::uint16_t bits, Scalar type) {
  return type == Scalar::bf16 ? core::bf16_to_f32(bits) : core::f16_to_f32(bits);
}

std::vector<unsigned char> encode(const std::vector<float>& values, Scalar type) {
  std::vector<unsigned char> bytes(values.size() * (type == Scalar::f32 ? 4 : 2));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (type == Scalar::f32) {
      std::memcpy(bytes.data() + i * 4, &values[i], 4);
    } else {
      const std::uint16_t bits = narrow(values[i], type);
      std::memcpy(bytes.data() + i * 2, &bits, 2);
    }
  }
  return bytes;
}

std::vector<float> decode(const std::vector<unsigned char>& bytes, Scalar type) {
  std::vector<float> values(bytes.size() / (type == Scalar::f32 ? 4 : 2));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (type == Scalar::f32) {
      std::memcpy(&values[i], bytes.data() + i * 4, 4);
    } else {
      std::uint16_t bits = 0;
      std::memcpy(&bits, bytes.data() + i * 2, 2);
      values[i] = widen(bits, type);
    }
  }
  return values;
}

/// Memory of the device.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes) : bytes_(bytes) {
    if (cudaMalloc(&data_, bytes) != cudaSuccess) data_ = nullptr;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { cudaFree(data_); }
  [[nodiscard]] void* data() const { return data_; }
  bool put(const void* source, cudaStream_t stream) const {
    return data_ != nullptr && cudaMemcpyAsync(data_, source, bytes_, cudaMemcpyHostToDevice, stream) == cudaSuccess;
  }
  bool get(void* target, cudaStream_t stream) const {
    return cudaMemcpyAsync(target, data_, bytes_, cudaMemcpyDeviceToHost, stream) == cudaSuccess;
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

struct Expected {
  std::vector<double> y;
  std::vector<double> magnitudes;
};

/// The plain product: (tokens, all rows) of x (tokens, columns).
Expected plain(const std::vector<lut::LutMatrix>& weights, const std::vector<float>& x, std::int32_t tokens,
               core::ThreadPool& threads) {
  const std::size_t columns = count(weights[0].columns);
  const std::size_t of_one = count(weights[0].rows);
  const std::size_t rows = of_one * weights.size();
  Expected expected{std::vector<double>(count(tokens) * rows), std::vector<double>(count(tokens) * rows)};
  threads.for_each(rows, 1, [&](std::size_t begin, std::size_t end) {
    std::vector<float> weight(columns);
    for (std::size_t row = begin; row < end; ++row) {
      weights[row / of_one].dequantize_row(static_cast<std::int64_t>(row % of_one), weight);
      for (std::size_t token = 0; token < count(tokens); ++token) {
        double sum = 0;
        double power = 0;
        for (std::size_t i = 0; i < columns; ++i) {
          const double term = static_cast<double>(weight[i]) * x[token * columns + i];
          sum += term;
          power += term * term;
        }
        expected.y[token * rows + row] = sum;
        expected.magnitudes[token * rows + row] = std::sqrt(power);
      }
    }
  });
  return expected;
}

/// The inputs that are multiplied: normed, transformed, rounded.
std::vector<float> prepared(const Product& product, std::vector<float> x, const std::vector<float>& norm) {
  const std::size_t columns = count(product.columns);
  for (std::size_t first = 0; first < x.size(); first += columns) {
    double power = 0;
    for (std::size_t i = 0; i < columns; ++i) power += static_cast<double>(x[first + i]) * x[first + i];
    const double factor = 1 / std::sqrt(power / static_cast<double>(columns) + 1e-5);
    for (std::size_t i = 0; i < columns && product.has_norm; ++i)
      x[first + i] = static_cast<float>(x[first + i] * factor * norm[i]);
  }
  if (product.hadamard_size > 0) lut::hadamard(x, product.hadamard_size);
  for (float& value : x) value = widen(narrow(value, product.activations), product.activations);
  return x;
}

}  // namespace

std::string Product::name() const {
  std::ostringstream text;
  text << rows << 'x' << columns << ", " << tokens << " tokens, " << bits << " bits, group " << group_size
       << (kind == Kind::pairs        ? ", pairs"
           : kind == Kind::row_tables ? ", row tables"
                                      : "")
       << (activations == Scalar::bf16 ? ", bf16" : ", f16")
       << (y_type == Scalar::f32    ? " to f32"
           : y_type == Scalar::bf16 ? " to bf16"
                                    : " to f16")
       << (is_gated ? ", gated" : "") << (has_bias ? ", bias" : "") << (has_residual ? ", residual" : "")
       << (has_norm ? ", norm" : "") << (x_is_f32 ? ", x f32" : "") << (straddles ? ", groups across rows" : "");
  if (hadamard_size > 0) text << ", Hadamard " << hadamard_size;
  if (stacked > 1) text << ", " << stacked << " stacked";
  return text.str();
}

lut::LutMatrix random_weight(const Product& product, std::uint64_t seed) {
  lut::LutMatrix weight;
  weight.rows = product.rows;
  weight.columns = product.columns;
  weight.bits = product.bits;
  weight.group_size = product.group_size;
  weight.groups_straddle_rows = product.straddles;
  weight.hadamard_size = product.hadamard_size;
  const std::size_t entries = count(weight.table_entries());
  const auto codes = random((count(weight.rows * weight.row_bytes()) + 1) / 2, seed * 8 + 1);
  for (const float value : codes) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    weight.codes.push_back(static_cast<std::uint8_t>(bits));
    weight.codes.push_back(static_cast<std::uint8_t>(bits >> 8));
  }
  weight.codes.resize(count(weight.rows * weight.row_bytes()));
  const std::int64_t groups = product.straddles
                                  ? (weight.rows * weight.columns + weight.group_size - 1) / weight.group_size
                                  : weight.rows * weight.groups_per_row();
  weight.scales = random(count(groups), seed * 8 + 2);
  if (product.kind == Kind::pairs) {
    weight.pair_table = random(entries * entries * 2, 3);
  } else {
    weight.table = random((product.kind == Kind::row_tables ? count(weight.rows) : 1) * entries, seed * 8 + 4);
  }
  for (auto* values : {&weight.scales, &weight.table, &weight.pair_table})
    std::transform(values->begin(), values->end(), values->begin(), rounded);
  return weight;
}

double tolerance(const DeviceLimits& limits, const Product& product) {
  if (product.tokens <= product::most_few_tokens(limits))
    return 3e-5 + (product.has_norm || product.hadamard_size > 0 ? 2e-3 : 0);
  return product.activations == Scalar::bf16 ? 1.2e-2 : 2e-3;
}

Outcome run(const DeviceLimits& limits, const Product& product, core::ThreadPool& threads) {
  Outcome outcome;
  std::vector<lut::LutMatrix> weights;
  const std::int32_t matrices = product.is_gated ? 2 : product.stacked;
  for (std::int32_t i = 0; i < matrices; ++i) weights.push_back(random_weight(product, static_cast<std::uint64_t>(i)));
  if (product.is_gated && product.kind == Kind::one_table) weights[1].table = weights[0].table;
  std::vector<const lut::LutMatrix*> pointers;
  for (const auto& weight : weights) pointers.push_back(&weight);
  const auto image = product.is_gated ? pack_gated(weights[0], weights[1], product.activations, threads)
                                      : pack(pointers, product.activations, threads);
  if (!image) {
    outcome.why = image.error().message;
    return outcome;
  }

  const std::size_t columns = count(product.columns);
  const std::size_t tokens = count(product.tokens);
  const std::size_t rows = count(image->layout.rows);
  const std::size_t x_stride = columns + 8;
  const std::size_t y_stride = rows + 3;
  const Scalar x_type = product.x_is_f32 ? Scalar::f32 : product.activations;
  std::vector<float> x = random(tokens * columns, 100);
  for (float& value : x) value = product.x_is_f32 ? value : widen(narrow(value, x_type), x_type);
  std::vector<float> spread(tokens * x_stride, NAN);
  for (std::size_t i = 0; i < x.size(); ++i) spread[i / columns * x_stride + i % columns] = x[i];
  const std::vector<float> norm = random(columns, 101);
  const std::vector<float> bias = random(rows * (product.is_gated ? 2 : 1), 102);
  std::vector<float> residual = random(tokens * y_stride, 103);
  for (float& value : residual)
    value = product.y_type == Scalar::f32 ? value : widen(narrow(value, product.y_type), product.y_type);

  Expected expected = plain(weights, prepared(product, x, norm), product.tokens, threads);
  std::vector<double> y(tokens * rows);
  std::vector<double> magnitudes(tokens * rows);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t row = i % rows;
    const std::size_t at = i / rows * rows * (product.is_gated ? 2 : 1) + row;
    double value = expected.y[at] + (product.has_bias ? static_cast<double>(bias[row]) : 0.0);
    magnitudes[i] = expected.magnitudes[at];
    if (product.is_gated) {
      const double up = expected.y[at + rows] + (product.has_bias ? static_cast<double>(bias[rows + row]) : 0.0);
      // How far an error of either factor carries.
      magnitudes[i] = magnitudes[i] * (1.1 * std::abs(up)) + expected.magnitudes[at + rows] * (std::abs(value) + 1);
      value = value / (1 + std::exp(-value)) * up;
    }
    y[i] = value + (product.has_residual ? static_cast<double>(residual[i / rows * y_stride + row]) : 0.0);
  }

  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) {
    outcome.why = "no stream";
    return outcome;
  }
  {
    const auto x_bytes = encode(spread, x_type);
    const auto residual_bytes = encode(residual, product.y_type);
    const Buffer weight(image->bytes.size());
    const Buffer inputs(x_bytes.size());
    const Buffer outputs(residual_bytes.size());
    const Buffer added(residual_bytes.size());
    const Buffer norms(norm.size() * 4);
    const Buffer biases(bias.size() * 4);
    const std::size_t workspace_size = workspace_bytes(limits, image->layout, product.tokens);
    const Buffer workspace(workspace_size);
    const std::vector<unsigned char> zeros(workspace_size);
    const std::vector<unsigned char> noise(residual_bytes.size(), 0xFF);
    bool is_good = weight.put(image->bytes.data(), stream) && inputs.put(x_bytes.data(), stream) &&
                   added.put(residual_bytes.data(), stream) && norms.put(norm.data(), stream) &&
                   biases.put(bias.data(), stream) && workspace.put(zeros.data(), stream);
    MulMat call;
    call.layout = &image->layout;
    call.weight = weight.data();
    call.tokens = product.tokens;
    call.x = inputs.data();
    call.x_type = x_type;
    call.x_stride = static_cast<std::int64_t>(x_stride);
    call.norm = product.has_norm ? static_cast<const float*>(norms.data()) : nullptr;
    call.norm_eps = 1e-5F;
    call.y = outputs.data();
    call.y_type = product.y_type;
    call.y_stride = static_cast<std::int64_t>(y_stride);
    call.bias = product.has_bias ? static_cast<const float*>(biases.data()) : nullptr;
    call.residual = product.has_residual ? added.data() : nullptr;
    std::vector<unsigned char> again;
    for (auto* target : {&outcome.y, &again}) {
      target->resize(residual_bytes.size());
      is_good = is_good && outputs.put(noise.data(), stream) &&
                lut_mul_mat(limits, call, workspace.data(), stream) == cudaSuccess &&
                outputs.get(target->data(), stream) && cudaStreamSynchronize(stream) == cudaSuccess;
    }
    outcome.ran = is_good && outcome.y == again;
    if (!is_good)
      outcome.why = cudaGetErrorString(cudaGetLastError());
    else if (!outcome.ran)
      outcome.why = "two runs gave different bits";
    for (std::size_t i = 0; i < outcome.y.size() && is_good; ++i) {
      const std::size_t value = i / (product.y_type == Scalar::f32 ? 4 : 2);
      if (value % y_stride >= rows && outcome.y[i] != 0xFF) {
        outcome.ran = false;
        outcome.why = "wrote beyond a row's end";
      }
    }
  }
  cudaStreamDestroy(stream);
  const std::vector<float> values = decode(outcome.y, product.y_type);
  constexpr double half_step_f16 = 0x1p-11;
  constexpr double half_step_bf16 = 0x1p-8;
  const double rounding = product.y_type == Scalar::f32   ? 1e-6
                          : product.y_type == Scalar::f16 ? half_step_f16
                                                          : half_step_bf16;
  for (std::size_t i = 0; i < y.size() && outcome.ran; ++i) {
    const double value = values[i / rows * y_stride + i % rows];
    const double error = std::max(0.0, std::abs(value - y[i]) - rounding * 1.01 * std::abs(y[i]) - 1e-6);
    outcome.worst_error = std::max(outcome.worst_error, std::isfinite(value) ? error / (magnitudes[i] + 1e-3) : 1e9);
  }
  return outcome;
}

std::vector<Product> small_products() {
  std::vector<Product> all;
  const auto add = [&](Product product) { all.push_back(product); };
  // Bits, tables and types, at every size of tile.
  for (const int bits : {2, 3, 4}) {
    for (const Kind kind : {Kind::one_table, Kind::row_tables, Kind::pairs}) {
      for (const std::int32_t tokens : {1, 11, 70}) {
        Product product;
        product.rows = 72;
        product.columns = 160;
        product.tokens = tokens;
        product.bits = bits;
        product.group_size = 32;
        product.kind = kind;
        product.activations = bits == 3 ? Scalar::bf16 : Scalar::f16;
        add(product);
      }
    }
  }
  // Rows of tokens, with groups of every size.
  std::int32_t group = 32;
  for (const std::int32_t tokens : {2, 3, 4, 5, 8, 9, 16, 17, 31, 33, 64, 65, 100, 129}) {
    Product product;
    product.rows = 136;
    product.columns = 512;
    product.tokens = tokens;
    product.bits = tokens % 3 + 2;
    product.group_size = group;
    product.y_type = tokens % 2 == 0 ? Scalar::f16 : Scalar::f32;
    group = group == 256 ? 32 : group * 2;
    add(product);
  }
  // Odd sizes: fewer rows than a tile, columns that end within a block, groups that end with the row.
  for (const auto& [rows, columns, group_size] : {std::tuple{1, 32, 32},
                                                  {7, 40, 64},
                                                  {65, 96, 32},
                                                  {130, 200, 256},
                                                  {100, 96, 96},
                                                  {33, 640, 128},
                                                  {9, 2056, 64}}) {
    for (const std::int32_t tokens : {1, 20, 66}) {
      Product product;
      product.rows = rows;
      product.columns = columns;
      product.group_size = group_size;
      product.tokens = tokens;
      product.bits = 3;
      add(product);
    }
  }
  // Endings and beginnings.
  for (const std::int32_t tokens : {1, 3, 7, 30, 80}) {
    Product product;
    product.rows = 60;
    product.columns = 256;
    product.tokens = tokens;
    product.group_size = 64;
    product.has_bias = true;
    product.has_residual = true;
    product.y_type = Scalar::bf16;
    product.activations = Scalar::bf16;
    add(product);
    product.is_gated = true;
    product.y_type = Scalar::f16;
    product.activations = Scalar::f16;
    add(product);
    product.has_norm = true;
    product.x_is_f32 = true;
    product.has_bias = false;
    product.y_type = Scalar::f32;
    add(product);
    product.is_gated = false;
    product.stacked = 3;
    product.has_norm = tokens % 2 == 1;
    add(product);
    product.stacked = 1;
    product.has_norm = false;
    product.x_is_f32 = false;
    product.kind = Kind::pairs;
    product.hadamard_size = 128;
    add(product);
    product.kind = Kind::one_table;
    product.hadamard_size = 0;
    product.straddles = true;
    product.columns = 96;
    add(product);
  }
  return all;
}

}  // namespace lutra::cuda::testing
