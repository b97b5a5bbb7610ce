#include "audio/conv.h"

#include <algorithm>

namespace lutra::audio {

namespace {

constexpr std::int64_t line_floats = 16;

/// Input values of a piece that a thread works on: what fits into a core's second cache with the rest.
constexpr std::int64_t piece_floats = 128 * 1024;

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

/// Frames of a piece: whole tiles, as many as fit, shared out evenly.
std::int64_t piece_of(std::int64_t frames, std::int64_t channels, std::int64_t tile, int threads) {
  const std::int64_t most = std::max(tile, piece_floats / channels / tile * tile);
  std::int64_t pieces = (frames + most - 1) / most;
  constexpr std::int64_t uneven = 8;  // from so many pieces a thread on, one more or less does not matter
  if (pieces < uneven * threads) pieces = round_up(pieces, threads);
  return round_up((frames + pieces - 1) / pieces, tile);
}

/// A row length that does not put all rows onto the same lines of the cache.
std::int64_t row_length(std::int64_t frames) {
  const std::int64_t length = round_up(frames, line_floats);
  constexpr std::int64_t page = 512;
  return length % page == 0 ? length + line_floats : length;
}

float* scratch(std::vector<float>& memory, std::int64_t floats) {
  if (memory.size() < static_cast<std::size_t>(floats)) memory.resize(static_cast<std::size_t>(floats));
  return memory.data();
}

const float* row_of(const ggml_tensor* x, std::int64_t channel) {
  return reinterpret_cast<const float*>(static_cast<const char*>(x->data) +
                                        static_cast<std::size_t>(channel) * x->nb[1]);
}

float* row_of(ggml_tensor* x, std::int64_t channel) {
  return reinterpret_cast<float*>(static_cast<char*>(x->data) + static_cast<std::size_t>(channel) * x->nb[1]);
}

/// y[i] = snake(x[first + i]) for i < count, 0 outside of [0, length).
void read_snake(const TileKernels& kernels, const float* x, std::int64_t length, std::int64_t first, std::int64_t count,
                const Snake* snake, std::size_t channel, float* y) {
  const std::int64_t begin = std::clamp<std::int64_t>(-first, 0, count);
  const std::int64_t end = std::clamp<std::int64_t>(length - first, begin, count);
  std::fill(y, y + begin, 0.0F);
  if (snake == nullptr)
    std::copy(x + first + begin, x + first + end, y + begin);
  else
    kernels.snake(x + first + begin, snake->alpha[channel], snake->inverse_beta[channel], y + begin, end - begin);
  std::fill(y + end, y + count, 0.0F);
}

thread_local std::vector<float> inputs;
thread_local std::vector<float> between;

constexpr int most_tile_floats = 8 * 48;

}  // namespace

PackedConv::PackedConv(const ConvWeights& weights, Kind kind, std::int64_t stride, std::int64_t dilation,
                       const TileKernels& kernels)
    : kernels_(&kernels),
      n_in_(kind == Kind::strided ? weights.n_in * stride : weights.n_in),
      n_out_(kind == Kind::transposed ? weights.n_out * stride : weights.n_out),
      taps_(kind == Kind::same ? weights.kernel : (weights.kernel + stride - 1) / stride),
      dilation_(dilation),
      weights_(static_cast<std::size_t>(blocks() * n_in_ * taps_ * kernels.rows) * sizeof(float)),
      bias_(static_cast<std::size_t>(blocks() * kernels.rows) * sizeof(float)) {
  auto* packed = reinterpret_cast<float*>(weights_.data());
  auto* bias = reinterpret_cast<float*>(bias_.data());
  const auto weight = [&](std::int64_t o, std::int64_t i, std::int64_t tap) -> float {
    std::int64_t out = o;
    std::int64_t in = i;
    std::int64_t at = tap;
    if (kind == Kind::strided) {
      in = i / stride;
      at = tap * stride + i % stride;
    } else if (kind == Kind::transposed) {
      out = o / stride;
      at = (taps_ - 1 - tap) * stride + o % stride;  // the last tap is the frame itself
    }
    if (o >= n_out_ || at >= weights.kernel) return 0;
    const std::int64_t row = kind == Kind::transposed ? in * weights.n_out + out : out * weights.n_in + in;
    return weights.values[static_cast<std::size_t>(row * weights.kernel + at)];
  };
  for (std::int64_t block = 0; block < blocks(); ++block) {
    for (std::int64_t i = 0; i < n_in_; ++i) {
      for (std::int64_t tap = 0; tap < taps_; ++tap) {
        for (int r = 0; r < kernels.rows; ++r) *packed++ = weight(block * kernels.rows + r, i, tap);
      }
    }
    for (int r = 0; r < kernels.rows; ++r) {
      const std::int64_t o = block * kernels.rows + r;
      const std::int64_t channel = kind == Kind::transposed ? o / stride : o;
      *bias++ = weights.bias.empty() || o >= n_out_ ? 0.0F : weights.bias[static_cast<std::size_t>(channel)];
    }
  }
}

void PackedConv::multiply(std::int64_t block, const float* a, std::int64_t stride, std::int64_t f, float* out) const {
  const auto* weights = reinterpret_cast<const float*>(weights_.data());
  const auto* bias = reinterpret_cast<const float*>(bias_.data());
  kernels_->multiply({a + f, stride, n_in_, taps_, dilation_, weights + block * n_in_ * taps_ * kernels_->rows,
                      bias + block * kernels_->rows, out});
}

SnakeConv::SnakeConv(const ConvWeights& weights, std::optional<Snake> before, Kind kind, std::int64_t stride,
                     const TileKernels& kernels)
    : kind_(kind),
      kernel_(weights.kernel),
      stride_(stride),
      padding_(kind == Kind::same ? (weights.kernel - 1) / 2 : (stride + 1) / 2),
      n_out_(weights.n_out),
      before_(std::move(before)),
      conv_(weights, kind, stride, 1, kernels) {}

std::int64_t SnakeConv::out_frames(std::int64_t frames) const {
  if (kind_ == Kind::strided) return (frames + 2 * padding_ - kernel_) / stride_ + 1;
  if (kind_ == Kind::transposed) return (frames - 1) * stride_ + kernel_ - 2 * padding_;
  return frames;
}

graph::Tensor SnakeConv::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  return graph::custom<SnakeConv, 1>(g, *this, GGML_TYPE_F32, {out_frames(x->ne[0]), n_out_, 1, 1}, {x});
}

void SnakeConv::fill(const ggml_tensor* x, std::int64_t first, std::int64_t frames, float* a,
                     std::int64_t stride) const {
  const Snake* snake = before_ ? &*before_ : nullptr;
  const TileKernels& kernels = conv_.kernels();
  const std::int64_t count = frames + conv_.halo();
  if (kind_ != Kind::strided) {
    const std::int64_t before = kind_ == Kind::same ? padding_ : conv_.halo();
    for (std::int64_t i = 0; i < conv_.n_in(); ++i)
      read_snake(kernels, row_of(x, i), x->ne[0], first - before, count, snake, static_cast<std::size_t>(i),
                 a + i * stride);
    return;
  }
  std::vector<float>& whole = between;
  float* row = scratch(whole, count * stride_);
  for (std::int64_t i = 0; i < x->ne[1]; ++i) {
    read_snake(kernels, row_of(x, i), x->ne[0], first * stride_ - padding_, count * stride_, snake,
               static_cast<std::size_t>(i), row);
    for (std::int64_t phase = 0; phase < stride_; ++phase) {
      float* target = a + (i * stride_ + phase) * stride;
      for (std::int64_t f = 0; f < count; ++f) target[f] = row[f * stride_ + phase];
    }
  }
}

void SnakeConv::put(ggml_tensor* dst, const float* tile, std::int64_t block, std::int64_t first,
                    std::int64_t count) const {
  const TileKernels& kernels = conv_.kernels();
  for (std::int64_t r = 0; r < kernels.rows; ++r) {
    const std::int64_t o = block * kernels.rows + r;
    if (o >= conv_.n_out()) return;
    const float* values = tile + r * kernels.frames;
    if (kind_ != Kind::transposed) {
      std::copy(values, values + count, row_of(dst, o) + first);
      continue;
    }
    float* row = row_of(dst, o / stride_);
    std::int64_t at = first * stride_ + o % stride_ - padding_;
    for (std::int64_t f = 0; f < count; ++f, at += stride_) {
      if (at >= 0 && at < dst->ne[0]) row[at] = values[f];
    }
  }
}

void SnakeConv::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* x = dst->src[0];
  const std::int64_t tile = conv_.kernels().frames;
  // A transposed one also has frames before the first whole one, where only earlier taps reach.
  const std::int64_t frames = kind_ == Kind::transposed ? x->ne[0] + conv_.halo() : dst->ne[0];
  const std::int64_t piece = piece_of(frames, conv_.n_in(), tile, nth);
  const std::int64_t pieces = (frames + piece - 1) / piece;
  // Few frames and many channels: the threads share the channels, so that each weight is read once.
  const bool by_channel = pieces < 2 * nth;
  const auto [first_piece, last_piece] =
      by_channel ? std::pair<std::int64_t, std::int64_t>{0, pieces} : graph::share(pieces, ith, nth);
  const auto [first_block, last_block] =
      by_channel ? graph::share(conv_.blocks(), ith, nth) : std::pair<std::int64_t, std::int64_t>{0, conv_.blocks()};
  const std::int64_t stride = row_length(piece + conv_.halo());
  float* a = scratch(inputs, conv_.n_in() * stride);
  float out[most_tile_floats];
  for (std::int64_t p = first_piece; p < last_piece; ++p) {
    const std::int64_t first = p * piece;
    const std::int64_t count = std::min(piece, frames - first);
    fill(x, first, round_up(count, tile), a, stride);
    for (std::int64_t block = first_block; block < last_block; ++block) {
      for (std::int64_t f = 0; f < count; f += tile) {
        conv_.multiply(block, a, stride, f, out);
        put(dst, out, block, first + f, std::min(tile, count - f));
      }
    }
  }
}

ResidualUnit::ResidualUnit(Snake first, const ConvWeights& wide, std::int64_t dilation, Snake second,
                           const ConvWeights& narrow, const TileKernels& kernels)
    : first_(std::move(first)),
      wide_(wide, PackedConv::Kind::same, 1, dilation, kernels),
      second_(std::move(second)),
      narrow_(narrow, PackedConv::Kind::same, 1, 1, kernels) {}

graph::Tensor ResidualUnit::operator()(graph::GraphBuilder& g, graph::Tensor x) const {
  return graph::custom<ResidualUnit, 1>(g, *this, GGML_TYPE_F32, {x->ne[0], x->ne[1], 1, 1}, {x});
}

void ResidualUnit::run(ggml_tensor* dst, int ith, int nth) const noexcept {
  const ggml_tensor* x = dst->src[0];
  const TileKernels& kernels = wide_.kernels();
  const std::int64_t tile = kernels.frames;
  const std::int64_t frames = dst->ne[0];
  const std::int64_t channels = dst->ne[1];
  const std::int64_t piece = piece_of(frames, channels, tile, nth);
  const auto [first_piece, last_piece] = graph::share((frames + piece - 1) / piece, ith, nth);
  const std::int64_t stride = row_length(piece + wide_.halo());
  const std::int64_t inner_stride = row_length(piece);
  float* a = scratch(inputs, channels * stride);
  float* b = scratch(between, round_up(channels, kernels.rows) * inner_stride);
  float out[most_tile_floats];
  for (std::int64_t p = first_piece; p < last_piece; ++p) {
    const std::int64_t first = p * piece;
    const std::int64_t count = std::min(piece, frames - first);
    for (std::int64_t i = 0; i < channels; ++i) {
      read_snake(kernels, row_of(x, i), frames, first - wide_.halo() / 2, round_up(count, tile) + wide_.halo(), &first_,
                 static_cast<std::size_t>(i), a + i * stride);
    }
    for (std::int64_t block = 0; block < wide_.blocks(); ++block) {
      for (std::int64_t f = 0; f < count; f += tile) {
        wide_.multiply(block, a, stride, f, out);
        for (std::int64_t r = 0; r < kernels.rows; ++r) {
          const std::int64_t o = block * kernels.rows + r;
          if (o >= channels) break;
          const auto channel = static_cast<std::size_t>(o);
          kernels.snake(out + r * tile, second_.alpha[channel], second_.inverse_beta[channel], b + o * inner_stride + f,
                        tile);
        }
      }
    }
    for (std::int64_t block = 0; block < narrow_.blocks(); ++block) {
      for (std::int64_t f = 0; f < count; f += tile) {
        narrow_.multiply(block, b, inner_stride, f, out);
        for (std::int64_t r = 0; r < kernels.rows; ++r) {
          const std::int64_t o = block * kernels.rows + r;
          if (o >= channels) break;
          const float* from = row_of(x, o) + first + f;
          float* to = row_of(dst, o) + first + f;
          const std::int64_t n = std::min(tile, count - f);
          for (std::int64_t i = 0; i < n; ++i) to[i] = from[i] + out[r * tile + i];
        }
      }
    }
  }
}

}  // namespace lutra::audio
