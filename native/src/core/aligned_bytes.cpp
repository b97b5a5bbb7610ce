#include "core/aligned_bytes.h"

#include <cstring>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace lutra::core {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t large_page = std::size_t{2} << 20;

constexpr std::align_val_t alignment{large_page};

}  // namespace

void AlignedBytes::Free::operator()(std::uint8_t* bytes) const { ::operator delete(bytes, alignment); }

AlignedBytes::AlignedBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  const std::size_t unit = size >= large_page ? large_page : cache_line;
  const std::size_t whole = (size + unit - 1) / unit * unit;
  bytes_.reset(static_cast<std::uint8_t*>(::operator new(whole, alignment)));
#ifdef __linux__
  // Weights are read from end to end for every token: fewer pages, fewer misses. A wish; it may be refused.
  if (size >= large_page) static_cast<void>(madvise(bytes_.get(), whole, MADV_HUGEPAGE));
#endif
}

AlignedBytes AlignedBytes::zeroed(std::size_t size) {
  AlignedBytes result(size);
  if (size > 0) std::memset(result.data(), 0, size);
  return result;
}

}  // namespace lutra::core
