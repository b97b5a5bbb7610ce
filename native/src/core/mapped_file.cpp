#include "core/mapped_file.h"

#include <cstdint>
#include <utility>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <filesystem>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

namespace lutra::core {
namespace {

Error unreadable(const std::string& path, const std::string& why) {
  return Error{"file-access", "\"" + path + "\" cannot be read: " + why + ".",
               "Check that it is there and may be read.", path};
}

#ifndef _WIN32
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};
#endif

}  // namespace

#ifdef _WIN32
Result<MappedFile> MappedFile::open(const std::string& path) {
  const std::u8string utf8(path.begin(), path.end());
  const HANDLE file = CreateFileW(std::filesystem::path(utf8).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return unreadable(path, "Windows error " + std::to_string(GetLastError()));
  LARGE_INTEGER size{};
  if (GetFileSizeEx(file, &size) == 0) {
    CloseHandle(file);
    return unreadable(path, "its size is not known");
  }
  if (size.QuadPart == 0) {
    CloseHandle(file);
    return MappedFile({});
  }
  const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  CloseHandle(file);
  if (mapping == nullptr) return unreadable(path, "Windows error " + std::to_string(GetLastError()));
  const void* data = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  CloseHandle(mapping);
  if (data == nullptr) return unreadable(path, "Windows error " + std::to_string(GetLastError()));
  return MappedFile({static_cast<const std::byte*>(data), static_cast<std::size_t>(size.QuadPart)});
}

void MappedFile::close() noexcept {
  if (!bytes_.empty()) UnmapViewOfFile(bytes_.data());
  bytes_ = {};
}
#else
Result<MappedFile> MappedFile::open(const std::string& path) {
  if (path.find('\0') != std::string::npos) return unreadable(path, "its name holds a zero");
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return unreadable(path, std::strerror(errno));
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return unreadable(path, std::strerror(errno));
  if (!S_ISREG(facts.st_mode)) return bad_file(path, "it is no file");
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size == 0) return MappedFile({});
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return unreadable(path, std::strerror(errno));
  return MappedFile({static_cast<const std::byte*>(data), size});
}

void MappedFile::close() noexcept {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  bytes_ = {};
}
#endif

#ifdef _WIN32
void MappedFile::let_go(std::span<const std::byte>) {}
#else
void MappedFile::let_go(std::span<const std::byte> part) {
  // Whole pages within the part only: its neighbours may be in use.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(part.data()) + part.size()) / page * page;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // NOLINT: an address
}
#endif

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    close();
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

MappedFile::~MappedFile() { close(); }

}  // namespace lutra::core
