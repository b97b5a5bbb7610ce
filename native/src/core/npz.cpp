/// `.npz`: a zip archive of `.npy` entries (PKWARE's APPNOTE 6.3, without encryption and archives in parts).
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "core/inflate.h"
#include "core/mapped_file.h"
#include "core/npy.h"

namespace lutra::core {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t local_mark = 0x04034B50;
constexpr std::uint32_t central_mark = 0x02014B50;
constexpr std::uint32_t end_mark = 0x06054B50;
constexpr std::size_t local_bytes = 30;
constexpr std::size_t central_bytes = 46;
constexpr std::size_t end_bytes = 22;
constexpr std::size_t longest_comment = 0xFFFF;
constexpr std::uint32_t in_zip64 = 0xFFFFFFFF;
constexpr std::uint16_t stored = 0;
constexpr std::uint16_t deflated = 8;
constexpr std::string_view npy_ending = ".npy";

/// Reads little-endian fields; the caller has checked that they are there.
struct Fields {
  std::span<const std::byte> bytes;
  [[nodiscard]] std::uint16_t u16(std::size_t at) const { return static_cast<std::uint16_t>(number(at, 2)); }
  [[nodiscard]] std::uint32_t u32(std::size_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
  [[nodiscard]] std::uint64_t u64(std::size_t at) const { return number(at, 8); }

 private:
  [[nodiscard]] std::uint64_t number(std::size_t at, std::size_t size) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
    return value;
  }
};

struct Entry {
  std::string name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

std::optional<std::size_t> find_end(std::span<const std::byte> file) {
  if (file.size() < end_bytes) return std::nullopt;
  const std::size_t last = file.size() - end_bytes;
  for (std::size_t back = 0; back <= std::min(last, longest_comment); ++back) {
    if (Fields{file}.u32(last - back) == end_mark) return last - back;
  }
  return std::nullopt;
}

/// NumPy writes sizes of 4 GiB and more into the zip64 extra field, in the order size, packed, offset.
bool take_zip64(Entry& entry, std::span<const std::byte> extra) {
  while (extra.size() >= 4) {
    const Fields fields{extra};
    const std::size_t length = fields.u16(2);
    if (extra.size() - 4 < length) return false;
    if (fields.u16(0) == 1) {
      std::size_t at = 4;
      for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.offset}) {
        if (*value != in_zip64) continue;
        if (at + 8 > 4 + length) return false;
        *value = fields.u64(at);
        at += 8;
      }
      return true;
    }
    extra = extra.subspan(4 + length);
  }
  return entry.size != in_zip64 && entry.packed != in_zip64 && entry.offset != in_zip64;
}

Result<std::vector<Entry>> read_directory(std::span<const std::byte> file, const std::string& path) {
  const auto end = find_end(file);
  if (!end) return bad_file(path, "it is no .npz archive, or its end is cut off");
  const Fields tail{file.subspan(*end)};
  const std::size_t count = tail.u16(10);
  std::size_t at = tail.u32(16);
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < count; ++i) {
    if (at > *end || *end - at < central_bytes || Fields{file}.u32(at) != central_mark) {
      return bad_file(path, "its table of contents is damaged");
    }
    const Fields fields{file.subspan(at)};
    const std::size_t name = fields.u16(28);
    const std::size_t extra = fields.u16(30);
    const std::size_t comment = fields.u16(32);
    if (*end - at - central_bytes < name + extra + comment) return bad_file(path, "its table of contents is cut");
    Entry entry{std::string(reinterpret_cast<const char*>(file.data()) + at + central_bytes, name),
                fields.u16(8),
                fields.u16(10),
                fields.u32(16),
                fields.u32(20),
                fields.u32(24),
                fields.u32(42)};
    if (!take_zip64(entry, file.subspan(at + central_bytes + name, extra))) {
      return bad_file(path, "its entry \"" + entry.name + "\" has no usable size");
    }
    entries.push_back(std::move(entry));
    at += central_bytes + name + extra + comment;
  }
  return entries;
}

Result<std::vector<std::byte>> unpack(std::span<const std::byte> file, const Entry& entry, const std::string& path) {
  const auto wrong = [&](const std::string& what) {
    return bad_file(path, "its entry \"" + entry.name + "\" " + what);
  };
  if ((entry.flags & 1U) != 0) return wrong("is encrypted");
  if (entry.offset > file.size() || file.size() - entry.offset < local_bytes) return wrong("is cut");
  const auto rest = file.subspan(static_cast<std::size_t>(entry.offset));
  const Fields fields{rest};
  if (fields.u32(0) != local_mark) return wrong("is not where the table of contents says");
  const std::size_t skip = local_bytes + fields.u16(26) + fields.u16(28);
  if (rest.size() < skip || rest.size() - skip < entry.packed) return wrong("is cut");
  const auto packed = rest.subspan(skip, static_cast<std::size_t>(entry.packed));
  std::vector<std::byte> bytes;
  if (entry.method == stored) {
    if (entry.packed != entry.size) return wrong("has two sizes");
    bytes.assign(packed.begin(), packed.end());
  } else if (entry.method == deflated) {
    auto unpacked = inflate(packed, static_cast<std::size_t>(entry.size));
    if (!unpacked) return wrong("does not unpack");
    bytes = std::move(*unpacked);
  } else {
    return wrong("is packed in a way that is not read here (" + std::to_string(entry.method) + ")");
  }
  if (crc32(bytes) != entry.crc) return wrong("is damaged: its checksum is wrong");
  return bytes;
}

void put(std::vector<std::byte>& target, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) target.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void put_text(std::vector<std::byte>& target, std::string_view text) {
  for (const char c : text) target.push_back(static_cast<std::byte>(c));
}

constexpr std::uint64_t version_needed = 20;
constexpr std::uint64_t utf8_names = 0x0800;
/// 1980-01-01, so that the same arrays make the same file.
constexpr std::uint64_t fixed_time = 0x00210000;

/// The fields that the local header and the table of contents share.
void put_facts(std::vector<std::byte>& target, std::uint32_t crc, std::size_t size, std::size_t name) {
  put(target, version_needed, 2);
  put(target, utf8_names, 2);
  put(target, stored, 2);
  put(target, fixed_time, 4);
  put(target, crc, 4);
  put(target, size, 4);
  put(target, size, 4);
  put(target, name, 2);
  put(target, 0, 2);
}

}  // namespace

Result<NpzArchive> parse_npz(std::span<const std::byte> file, const std::string& path, std::uint64_t maximum_bytes) {
  Result<std::vector<Entry>> entries = read_directory(file, path);
  if (!entries) return entries.error();
  NpzArchive archive;
  std::uint64_t total = 0;
  for (const Entry& entry : *entries) {
    if (entry.size > maximum_bytes - total) return bad_file(path, "it would unpack to more than is allowed");
    total += entry.size;
    Result<std::vector<std::byte>> bytes = unpack(file, entry, path);
    if (!bytes) return bytes.error();
    std::string name = entry.name;
    if (name.size() > npy_ending.size() && name.ends_with(npy_ending)) name.resize(name.size() - npy_ending.size());
    Result<NpyArray> array = parse_npy(*bytes, path + "/" + entry.name);
    if (!array) return array.error();
    if (!archive.emplace(std::move(name), std::move(array).value()).second) {
      return bad_file(path, "its entry \"" + entry.name + "\" is there twice");
    }
  }
  return archive;
}

Result<std::vector<std::byte>> encode_npz(const NpzArchive& archive) {
  std::vector<std::byte> file;
  std::vector<std::byte> directory;
  for (const auto& [key, array] : archive) {
    const std::string name = key + std::string(npy_ending);
    Result<std::vector<std::byte>> bytes = encode_npy(array);
    if (!bytes) return bytes.error();
    const std::size_t offset = file.size();
    if (name.size() > longest_comment || bytes->size() > in_zip64 - 1 - offset - local_bytes - name.size()) {
      return Error{"not-supported", "The arrays are larger than 4 GiB together.", "Save them to several files.", name};
    }
    const std::uint32_t crc = crc32(*bytes);
    put(file, local_mark, 4);
    put_facts(file, crc, bytes->size(), name.size());
    put_text(file, name);
    file.insert(file.end(), bytes->begin(), bytes->end());
    put(directory, central_mark, 4);
    put(directory, version_needed, 2);
    put_facts(directory, crc, bytes->size(), name.size());
    // Comment, disk, attributes.
    put(directory, 0, 6);
    put(directory, 0, 4);
    put(directory, offset, 4);
    put_text(directory, name);
  }
  const std::size_t start = file.size();
  if (archive.size() > longest_comment || directory.size() > in_zip64 - 1 - start) {
    return Error{"not-supported", "There are too many arrays for one file.", "Save them to several files.", {}};
  }
  file.insert(file.end(), directory.begin(), directory.end());
  put(file, end_mark, 4);
  put(file, 0, 4);
  put(file, archive.size(), 2);
  put(file, archive.size(), 2);
  put(file, directory.size(), 4);
  put(file, start, 4);
  put(file, 0, 2);
  return file;
}

Result<NpzArchive> read_npz(const std::string& path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return file.error();
  return parse_npz(file->bytes(), path);
}

Status write_npz(const std::string& path, const NpzArchive& archive) {
  Result<std::vector<std::byte>> bytes = encode_npz(archive);
  if (!bytes) return bytes.error();
  static std::atomic<unsigned> counter = 0;
  const fs::path target{std::u8string(path.begin(), path.end())};
  fs::path unfinished = target;
  unfinished += ".part" + std::to_string(counter++);
  std::error_code ignored;
  {
    std::ofstream stream(unfinished, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
    if (!stream.flush()) {
      stream.close();
      fs::remove(unfinished, ignored);
      return Error{"file-access", "\"" + path + "\" cannot be written.", "Check the folder and the room on the disk.",
                   path};
    }
  }
  std::error_code problem;
  fs::rename(unfinished, target, problem);
  if (!problem) return success();
  fs::remove(unfinished, ignored);
  return Error{"file-access", "\"" + path + "\" cannot be written: " + problem.message() + ".", "Check the folder.",
               path};
}

}  // namespace lutra::core
