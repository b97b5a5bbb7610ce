#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/mapped_file.h"
#include "core/result.h"

namespace lutra::core {

/// A tensor as it lies in the file: row-major, the first dimension slowest; little-endian.
struct TensorView {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< any alignment; lives as long as its `Safetensors`

  [[nodiscard]] std::int64_t elements() const;
};

/// The tensors of a checkpoint: one file, or several named by an index. Everything is checked before a byte of a tensor
/// is handed out: header size, names, types, shapes against offsets, no overlap, no gap. Format: safetensors' README.
class Safetensors {
 public:
  /// `path` is a `.safetensors` file, a `.safetensors.index.json`, or a folder with either.
  /// Fails with `bad-file` or `file-access`; the error's subject is the file, its message names the tensor.
  static Result<Safetensors> open(const std::string& path);

  /// Parses the bytes of one file; `path` is for messages. The bytes must outlive the result.
  static Result<Safetensors> parse(std::span<const std::byte> file, const std::string& path);

  /// Null where there is no tensor of that name.
  [[nodiscard]] const TensorView* find(std::string_view name) const;
  /// The tensor, of that shape; `bad-file` that says what was expected and what is there.
  [[nodiscard]] Result<TensorView> get(std::string_view name, std::span<const std::int64_t> shape) const;
  /// The pages of all tensors whose names begin with `<prefix>.` need not stay in memory; returns their bytes.
  std::uint64_t let_go(const std::string& prefix) const;
  /// By name.
  [[nodiscard]] const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  /// `__metadata__` of the first file.
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }

 private:
  Status add(std::span<const std::byte> file, const std::string& path);
  static Result<Safetensors> open_single(const std::string& path);
  static Result<Safetensors> open_index(const std::string& path);

  std::string path_;
  std::vector<std::shared_ptr<MappedFile>> files_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

}  // namespace lutra::core
