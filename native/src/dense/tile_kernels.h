#pragma once
#include <cstdint>
#include <string_view>

namespace lutra::dense {

/// What follows a product. `gelu` is the exact one, by the error function; `gelu_tanh` its approximation (Hendrycks and
/// Gimpel, 2016); `quick_gelu` x * sigmoid(1.702 x), CLIP's.
enum class Activation { none, relu, silu, gelu, gelu_tanh, quick_gelu };

/// One block of output channels over one block of frames.
/// out[r][f] = bias[r] + sum over rows i and taps j of weights[i][j][r] * a[i * stride + j * dilation + f]
struct Tile {
  const float* a = nullptr;  ///< (n_in, stride); readable to f = frames + (taps - 1) * dilation
  std::int64_t stride = 0;
  std::int64_t n_in = 0;
  std::int64_t taps = 0;
  std::int64_t dilation = 1;
  const float* weights = nullptr;  ///< (n_in, taps, rows)
  const float* bias = nullptr;     ///< (rows)
  float* out = nullptr;            ///< (rows, frames)
};

/// The inner loops of networks in f32, for one instruction set: convolutions, products and attention are all made of
/// `multiply`.
struct TileKernels {
  std::string_view name;
  int rows;    ///< output channels of a tile
  int frames;  ///< frames of a tile
  void (*multiply)(const Tile& tile);
  /// y = x + sin(alpha x)^2 * inverse_beta
  void (*snake)(const float* x, float alpha, float inverse_beta, float* y, std::int64_t count);
  /// Softmax down the columns of x (n, frames), in place but not yet divided, as a part of longer columns (Milakov and
  /// Gimelshein 2018): `most` and `sums` (frames) are those so far, and then with x; what was added up with the weights
  /// so far is to be multiplied by `shrink` (frames).
  void (*soften)(float* x, std::int64_t n, float* most, float* sums, float* shrink);
  /// x = activation(x), to 5e-7.
  void (*activate)(Activation activation, float* x, std::int64_t count);
};

/// Null where this machine cannot run it: `scalar`, `avx2`, `avx512`, `neon`.
const TileKernels* tile_kernels_named(std::string_view name);
/// The kernels that go with lut::best_kernels().
const TileKernels& best_tile_kernels();

}  // namespace lutra::dense
