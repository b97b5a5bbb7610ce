#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/result.h"

namespace lutra::core {

/// An array as NumPy saves it, always in row-major order here.
struct NpyArray {
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;  ///< empty for a single value
  std::vector<std::byte> bytes;     ///< row-major, little-endian

  [[nodiscard]] std::int64_t elements() const;
  /// Widened to f32.
  [[nodiscard]] std::vector<float> to_floats() const;
};

/// f32 from `values`; throws `std::invalid_argument` when the shape does not match.
NpyArray npy_from_floats(std::span<const float> values, std::vector<std::int64_t> shape);

/// Reads the bytes of a `.npy` file of version 1, 2 or 3; a column-major one is turned. Big-endian, text and object
/// arrays are refused. Source: numpy.lib.format.
Result<NpyArray> parse_npy(std::span<const std::byte> file, const std::string& path);
/// As version 1. `bf16` and `f8` have no name in NumPy and are refused with `not-supported`.
Result<std::vector<std::byte>> encode_npy(const NpyArray& array);

using NpzArchive = std::map<std::string, NpyArray, std::less<>>;

/// Reads the bytes of a `.npz` (zip) file: entries stored or deflated, each checked by its CRC-32. Encrypted entries,
/// and what would unpack to more than `maximum_bytes`, are refused.
Result<NpzArchive> parse_npz(std::span<const std::byte> file, const std::string& path,
                             std::uint64_t maximum_bytes = std::uint64_t{16} << 30);
/// Entries are stored, not deflated. At most 4 GiB in all.
Result<std::vector<std::byte>> encode_npz(const NpzArchive& archive);

Result<NpzArchive> read_npz(const std::string& path);
/// Written under a temporary name and renamed, so that there is a whole file or none.
Status write_npz(const std::string& path, const NpzArchive& archive);

}  // namespace lutra::core
