#pragma once
#include <cstddef>
#include <cstdint>

#include "lut_layout.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace lutra::cuda {

/// What decides how a product is cut up. `query` fills it; tests make their own.
struct DeviceLimits {
  std::int32_t multiprocessors = 0;
  std::int32_t shared_bytes = 0;  ///< per block, opted in
  std::int32_t major = 0;         ///< compute capability
  std::int32_t minor = 0;
};

/// y = W x, one row of x and y per token. Pointers are on the device.
struct MulMat {
  const LutLayout* layout = nullptr;  ///< on the host
  const void* weight = nullptr;       ///< LutImage::bytes on the device, 256-byte aligned

  std::int32_t tokens = 0;      ///< rows of x and y, at least 1
  const void* x = nullptr;      ///< (tokens, columns), 16-byte aligned
  Scalar x_type = Scalar::f16;  ///< the layout's `activations`, or f32, which is rounded to that
  std::int64_t x_stride = 0;    ///< values from token to token, a multiple of 8
  const float* norm = nullptr;  ///< (columns) or null: x / rms(x) * norm is multiplied, computed in f32
  float norm_eps = 0;

  void* y = nullptr;            ///< (tokens, rows)
  Scalar y_type = Scalar::f16;  ///< any
  std::int64_t y_stride = 0;    ///< values from token to token
  const float* bias = nullptr;  ///< (stored rows) in the order of the matrices given to `pack`, or null
  const void* residual =
      nullptr;  ///< (tokens, rows) of y's type and stride, added at the end; null or `y` itself are fine
};

/// Fills `limits` and opts every kernel in to the shared memory it may use. Once per device and process, outside of
/// stream capture. A cudaError_t; 0 is success.
int query(int device, DeviceLimits& limits);

/// True where this library's kernels wait for their predecessors in the stream by themselves, so that they may be
/// launched before those have ended: on compute capability 9, with code that was compiled for it.
bool waits_by_itself(const DeviceLimits& limits);

/// Bytes that `lut_mul_mat` needs beside its inputs for up to `max_tokens` tokens. One workspace serves every product
/// of one stream, with the largest of their sizes. It is 256-byte aligned and zero before its first use; every launch
/// leaves it fit for the next.
std::size_t workspace_bytes(const DeviceLimits& limits, const LutLayout& layout, std::int32_t max_tokens);

/// Launches the product; may be captured. The same inputs give the same bits on the same kind of device. Where the
/// device has it, the kernel may begin before its predecessor in the stream ended and waits for it before it touches
/// anything but the weight. A cudaError_t; cudaErrorInvalidValue where a pointer, stride or type is not as told above.
int lut_mul_mat(const DeviceLimits& limits, const MulMat& product, void* workspace, CUstream_st* stream);

}  // namespace lutra::cuda
