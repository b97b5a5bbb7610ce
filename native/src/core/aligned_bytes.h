#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lutra::core {

/// Memory that begins at a cache line and holds anything at first; large ones ask the system for large pages.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  /// Throws `std::bad_alloc`.
  explicit AlignedBytes(std::size_t size);
  static AlignedBytes zeroed(std::size_t size);

  [[nodiscard]] std::uint8_t* data() { return bytes_.get(); }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const;
  };
  std::unique_ptr<std::uint8_t[], Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace lutra::core
