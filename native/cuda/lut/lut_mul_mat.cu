#include <algorithm>

#include "launch.h"
#include "lut/kernel_set.h"
#include "lut/plan.h"
#include "lut/prepare.cuh"
#include "lut_mul_mat.h"

namespace lutra::cuda {
namespace {

using namespace product;

constexpr std::size_t alignment = 256;

std::size_t round_up(std::size_t value) { return (value + alignment - 1) / alignment * alignment; }

const FewKernels& few_kernels(int bits) { return bits == 2 ? few_2_bits : bits == 3 ? few_3_bits : few_4_bits; }
const ManyKernels& many_kernels(int bits) { return bits == 2 ? many_2_bits : bits == 3 ? many_3_bits : many_4_bits; }
const HopperKernels& hopper_kernels(int bits) {
  return bits == 2 ? hopper_2_bits : bits == 3 ? hopper_3_bits : hopper_4_bits;
}

int index_of(Scalar type) { return type == Scalar::bf16 ? 1 : 0; }
int index_of(Tables tables) { return tables == Tables::rows ? 1 : 0; }

/// What norm, transform and rounding of the inputs need a kernel of their own.
bool needs_preparing(const MulMat& product) {
  const LutLayout& layout = *product.layout;
  if (layout.hadamard_size > 0) return true;
  if (product.norm == nullptr && product.x_type != Scalar::f32) return false;
  // The norm of a few tokens is cheaper done by every block than waited for.
  constexpr std::int32_t most_normed_inside = 4;
  return product.tokens > most_normed_inside;
}

bool is_valid(const MulMat& product) {
  if (product.layout == nullptr || product.tokens < 1) return false;
  const LutLayout& layout = *product.layout;
  const auto is_aligned = [](const void* pointer, std::uintptr_t to) {
    return pointer != nullptr && reinterpret_cast<std::uintptr_t>(pointer) % to == 0;
  };
  return is_aligned(product.weight, alignment) && is_aligned(product.x, 16) &&
         is_aligned(product.y, product.y_type == Scalar::f32 ? 4 : 2) && product.x_stride % 8 == 0 &&
         product.x_stride >= layout.columns && product.y_stride >= layout.rows && layout.bits >= 2 &&
         layout.bits <= 4 && (product.x_type == layout.activations || product.x_type == Scalar::f32);
}

Weight weight_of(const MulMat& product) {
  const LutLayout& layout = *product.layout;
  const auto* bytes = static_cast<const unsigned char*>(product.weight);
  Weight weight;
  weight.codes = reinterpret_cast<const uint4*>(bytes);
  weight.scales = reinterpret_cast<const uint4*>(bytes + layout.scales_offset);
  weight.tables = reinterpret_cast<const std::uint32_t*>(bytes + layout.tables_offset);
  weight.row_blocks = layout.row_blocks();
  weight.column_blocks = layout.column_blocks();
  weight.scale_groups = layout.scale_groups();
  weight.columns = layout.columns;
  for (weight.scale_shift = 0; 32 << weight.scale_shift < layout.scale_group;) ++weight.scale_shift;
  return weight;
}

Inputs inputs_of(const MulMat& product) {
  Inputs in;
  in.x = product.x;
  in.stride = product.x_stride;
  in.tokens = product.tokens;
  in.is_f32 = product.x_type == Scalar::f32;
  in.norm = product.norm;
  in.norm_eps = product.norm_eps;
  return in;
}

Outputs outputs_of(const MulMat& product) {
  Outputs out;
  out.y = product.y;
  out.stride = product.y_stride;
  out.bias = product.bias;
  out.residual = product.residual;
  out.scale = product.layout->output_scale;
  out.rows = product.layout->rows;
  out.type = product.y_type;
  out.is_gated = product.layout->is_gated;
  return out;
}

/// What the kernels for few and for many tokens are both given.
template <typename Arguments>
Arguments arguments_of(const MulMat& product, const Inputs& in, const Exchange& exchange) {
  Arguments arguments;
  arguments.weight = weight_of(product);
  arguments.in = in;
  arguments.out = outputs_of(product);
  arguments.exchange = exchange;
  return arguments;
}

Launch launch_of(const DeviceLimits& limits, int blocks, int threads, std::size_t shared_bytes, CUstream_st* stream) {
  return {dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), shared_bytes, stream,
          waits_by_itself(limits)};
}

std::size_t prepare_shared(const LutLayout& layout) {
  const std::size_t values = layout.hadamard_size > 0 ? static_cast<std::size_t>(layout.columns) : 0;
  return (prepare_threads / 32 + values) * sizeof(float);
}

cudaError_t run_prepare(const DeviceLimits& limits, const MulMat& product, void* target, CUstream_st* stream) {
  const LutLayout& layout = *product.layout;
  PrepareArguments arguments;
  arguments.in = inputs_of(product);
  arguments.columns = layout.columns;
  arguments.hadamard_size = layout.hadamard_size;
  arguments.target = static_cast<std::uint16_t*>(target);
  const std::size_t shared_bytes = prepare_shared(layout);
  if (shared_bytes > static_cast<std::size_t>(limits.shared_bytes)) return cudaErrorInvalidValue;
  const auto kernel = layout.activations == Scalar::bf16 ? prepare<Scalar::bf16> : prepare<Scalar::f16>;
  return launch(launch_of(limits, product.tokens, prepare_threads, shared_bytes, stream), kernel, arguments);
}

cudaError_t run_few(const DeviceLimits& limits, const MulMat& product, const Inputs& in, Exchange exchange,
                    CUstream_st* stream) {
  const LutLayout& layout = *product.layout;
  const FewPlan plan = plan_few(limits, layout, product.tokens);
  if (plan.parts == 0) return cudaErrorInvalidValue;
  auto arguments = arguments_of<FewArguments>(product, in, exchange);
  arguments.row_warps = plan.row_warps;
  arguments.slices = plan.slices;
  arguments.slice_blocks = plan.slice_blocks;
  arguments.groups = plan.groups;
  arguments.share = plan.share;
  arguments.last_share = plan.last_share;
  arguments.most_partials = plan.most_partials;
  const int size = plan.token_tiles == 1 ? 0 : plan.token_tiles == 2 ? 1 : 2;
  return launch(launch_of(limits, plan.blocks(), plan.threads, plan.shared_bytes, stream),
                few_kernels(layout.bits).of[index_of(layout.activations)][index_of(layout.tables)][size], arguments);
}

cudaError_t run_many(const DeviceLimits& limits, const MulMat& product, const Inputs& in, Exchange exchange,
                     CUstream_st* stream) {
  const LutLayout& layout = *product.layout;
  const ManyPlan plan = plan_many(limits, layout, product.tokens);
  auto arguments = arguments_of<ManyArguments>(product, in, exchange);
  arguments.row_tiles = plan.row_tiles;
  arguments.token_tiles = plan.token_tiles;
  arguments.splits = plan.splits;
  arguments.split_blocks = plan.split_blocks;
  const int type = index_of(layout.activations);
  const bool has_row_tables = layout.tables == Tables::rows;
  const int size = plan.tokens == 64 ? 0 : plan.tokens == 128 ? 1 : 2;
  // On Hopper a block goes from tile to tile and begins the next while it ends the last.
  const int blocks = plan.is_hopper ? std::min(plan.blocks(), limits.multiprocessors) : plan.blocks();
  return launch(launch_of(limits, blocks, many_threads, plan.shared_bytes, stream),
                plan.is_hopper ? hopper_kernels(layout.bits).of[type][has_row_tables ? 3 : size]
                               : many_kernels(layout.bits).of[type][has_row_tables ? 2 : size],
                arguments);
}

/// Lets a kernel, or all of a table, take that much shared memory.
cudaError_t allow(void (*kernel)(FewArguments), int bytes) { return allow_shared(kernel, bytes); }
cudaError_t allow(void (*kernel)(ManyArguments), int bytes) { return allow_shared(kernel, bytes); }
template <typename Table>
cudaError_t allow(const Table& table, int bytes) {
  cudaError_t error = cudaSuccess;
  for (const auto& part : table) {
    if (error == cudaSuccess) error = allow(part, bytes);
  }
  return error;
}

}  // namespace

namespace product {

bool has_hopper_kernels() {
#if defined(LUTRA_CUDA_SM90A) || !defined(__CUDACC__)
  return true;
#else
  return false;
#endif
}

}  // namespace product

// Code that was compiled for older devices, and runs on this one by way of PTX, does not wait.
bool waits_by_itself(const DeviceLimits& limits) { return limits.major == 9 && product::has_hopper_kernels(); }

int query(int device, DeviceLimits& limits) {
  const std::pair<int*, cudaDeviceAttr> wanted[] = {
      {&limits.multiprocessors, cudaDevAttrMultiProcessorCount},
      {&limits.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin},
      {&limits.major, cudaDevAttrComputeCapabilityMajor},
      {&limits.minor, cudaDevAttrComputeCapabilityMinor},
  };
  for (const auto& [target, attribute] : wanted) {
    const cudaError_t error = cudaDeviceGetAttribute(target, attribute, device);
    if (error != cudaSuccess) return error;
  }
  cudaError_t error = cudaSetDevice(device);
  for (int bits = 2; bits <= 4 && error == cudaSuccess; ++bits) {
    error = allow(few_kernels(bits).of, limits.shared_bytes);
    if (error == cudaSuccess) error = allow(many_kernels(bits).of, limits.shared_bytes - static_shared_bytes);
    if (error == cudaSuccess && limits.major == 9 && has_hopper_kernels())
      error = allow(hopper_kernels(bits).of, limits.shared_bytes - static_shared_bytes);
  }
  for (const auto kernel : {prepare<Scalar::f16>, prepare<Scalar::bf16>}) {
    if (error == cudaSuccess) error = allow_shared(kernel, limits.shared_bytes);
  }
  return error;
}

std::size_t workspace_bytes(const DeviceLimits& limits, const LutLayout& layout, std::int32_t max_tokens) {
  std::size_t partials = 0;
  const std::int32_t most_few = most_few_tokens(limits);
  for (std::int32_t tokens = 1; tokens <= std::min(max_tokens, most_few); ++tokens)
    partials = std::max(partials, plan_few(limits, layout, tokens).partial_bytes);
  // Between two multiples of the smallest tile nothing changes.
  constexpr std::int32_t smallest_tile = 64;
  for (std::int32_t tokens = most_few; tokens < max_tokens;) {
    tokens = std::min((tokens / smallest_tile + 1) * smallest_tile, max_tokens);
    partials = std::max(partials, plan_many(limits, layout, tokens).partial_bytes);
  }
  const std::size_t prepared =
      static_cast<std::size_t>(max_tokens) * static_cast<std::size_t>(layout.columns) * sizeof(std::uint16_t);
  return counters_bytes + round_up(prepared) + round_up(partials);
}

int lut_mul_mat(const DeviceLimits& limits, const MulMat& product, void* workspace, CUstream_st* stream) {
  if (!is_valid(product) || workspace == nullptr) return cudaErrorInvalidValue;
  auto* bytes = static_cast<unsigned char*>(workspace);
  Exchange exchange;
  exchange.counters = reinterpret_cast<unsigned*>(bytes);
  bytes += counters_bytes;
  Inputs in = inputs_of(product);
  const bool is_few = product.tokens <= most_few_tokens(limits);
  if (needs_preparing(product) || (!is_few && (in.is_f32 || in.norm != nullptr))) {
    const cudaError_t error = run_prepare(limits, product, bytes, stream);
    if (error != cudaSuccess) return error;
    const std::int32_t columns = product.layout->columns;
    in = Inputs{bytes, columns, product.tokens, false, nullptr, 0};
    bytes += round_up(static_cast<std::size_t>(product.tokens) * static_cast<std::size_t>(columns) * 2);
  }
  exchange.partials = reinterpret_cast<float*>(bytes);
  return is_few ? run_few(limits, product, in, exchange, stream) : run_many(limits, product, in, exchange, stream);
}

}  // namespace lutra::cuda
