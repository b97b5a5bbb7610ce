#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/result.h"
#include "lut/quantize.h"

namespace lutra::lut {

struct QuantizeFolderOptions {
  QuantizeOptions weights;
  /// Names of tensors, with or without `.weight`, that stay as they are; `*` stands for any characters.
  std::vector<std::string> skip;
  /// By module's name, mean products of inputs for feed_errors_forward(); where there is none, it is left out.
  std::map<std::string, std::vector<float>> covariance;
  /// Told apart when a run is resumed: what `covariance` was made from.
  std::string covariance_source;
  int threads = 1;
  std::uint64_t shard_bytes = std::uint64_t{2} << 30;  ///< no file of weights is larger, unless one tensor is
};

struct TensorReport {
  std::string name;
  bool quantized = false;
  double relative_error = 0;       ///< ||W - Q||_F / ||W||_F; 0 where it is copied
  std::uint64_t source_bytes = 0;  ///< as it lies in the source
  std::uint64_t bytes = 0;         ///< codes, scales and table; or the copy
};

struct FolderReport {
  std::vector<TensorReport> tensors;  ///< by name
  std::uint64_t source_bytes = 0;     ///< of all tensors
  std::uint64_t bytes = 0;            ///< of all tensors, as they are written
};

struct FolderSize {
  std::uint64_t source_bytes = 0;  ///< of all tensors
  std::uint64_t weight_bytes = 0;  ///< of the files of weights that quantize_folder() writes, exactly
  std::size_t quantized_tensors = 0;
  std::size_t files = 0;  ///< of weights
};

/// After each tensor; `done` and `total` count bytes of the source. Also for those that an earlier call had finished.
using TensorSink = std::function<void(const TensorReport& tensor, std::uint64_t done, std::uint64_t total)>;

/// What quantize_folder() would write; reads the headers of the weights and config.json only. Fails as it does.
core::Result<FolderSize> predict_size(const std::string& source, const QuantizeFolderOptions& options);

/// Makes a folder in Lutra's LUT layout (lut/formats.h, read_lut) from a Hugging Face folder with `config.json` and
/// safetensors of F32, F16 or BF16. Quantized are the 2-D tensors named `*_proj.weight` that no skip pattern matches:
/// attention's q, k, v, o and the MLP's gate, up, down. All other tensors, and the small files next to them, are
/// copied; config.json keeps its text and gains `quantization_config`. Holds one weight as f32 and its codes at a time.
///
/// Works in `<destination>.part` and renames it when it is whole. Stopped, by cancelling or killing, a later call with
/// the same source and options goes on after the last whole tensor, and gives the same bytes.
///
/// Fails with `conflict` where the destination exists or `<destination>.part` belongs to something else, `file-access`
/// where a file cannot be read or written or the disk has no room, `bad-file` or `bad-input` that name the tensor, file
/// or option, `not-supported` for a folder that is quantized already, `cancelled`. `progress` counts bytes of the
/// source.
core::Result<FolderReport> quantize_folder(const std::string& source, const std::string& destination,
                                           const QuantizeFolderOptions& options, const core::Progress& progress = {},
                                           const TensorSink& each = {});

}  // namespace lutra::lut
