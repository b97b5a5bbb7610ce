#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "core/result.h"

namespace lutra::core {

/// A file's bytes, read as they are touched. On Windows and POSIX the file stays open, and is never written.
/// A file that is cut by someone else while it is mapped ends the process: only the engine process maps files.
class MappedFile {
 public:
  /// Fails with `file-access`, or `bad-file` for what is no regular file. An empty file has no bytes.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// Tells the system that this part will hardly be read again: it need not stay in this process's memory. A hint.
  static void let_go(std::span<const std::byte> part);

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  void close() noexcept;

  std::span<const std::byte> bytes_;
};

}  // namespace lutra::core
