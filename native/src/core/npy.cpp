#include "core/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace lutra::core {
namespace {

constexpr std::array<unsigned char, 6> magic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
constexpr std::size_t prefix_bytes = 8;
constexpr std::size_t header_alignment = 64;
constexpr std::size_t maximum_dimensions = 32;

struct Name {
  std::string_view descr;
  Dtype dtype;
};

/// NumPy's type strings. `|` says that the order of bytes does not matter.
constexpr std::array<Name, 12> names = {{
    {"|b1", Dtype::boolean},
    {"|u1", Dtype::u8},
    {"|i1", Dtype::i8},
    {"<u2", Dtype::u16},
    {"<i2", Dtype::i16},
    {"<u4", Dtype::u32},
    {"<i4", Dtype::i32},
    {"<u8", Dtype::u64},
    {"<i8", Dtype::i64},
    {"<f2", Dtype::f16},
    {"<f4", Dtype::f32},
    {"<f8", Dtype::f64},
}};

/// Reads the small part of Python's literals that NumPy writes: a dictionary of strings, booleans and a tuple.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  std::optional<std::string> descr;
  std::optional<bool> is_fortran;
  std::optional<std::vector<std::int64_t>> shape;

  /// False when the text is anything else.
  bool parse() {
    if (!take('{')) return false;
    while (!take('}')) {
      const auto key = string();
      if (!key || !take(':')) return false;
      if (*key == "descr" && !descr)
        descr = string();
      else if (*key == "fortran_order" && !is_fortran)
        is_fortran = boolean();
      else if (*key == "shape" && !shape)
        shape = tuple();
      else
        return false;
      if (take('}')) break;
      if (!take(',')) return false;
    }
    skip();
    return at_ == text_.size() && descr && is_fortran && shape;
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char wanted) {
    skip();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  std::optional<std::string> string() {
    skip();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return std::nullopt;
    const char quote = text_[at_++];
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) return std::nullopt;
    std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  std::optional<bool> boolean() {
    skip();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    return std::nullopt;
  }
  std::optional<std::vector<std::int64_t>> tuple() {
    std::vector<std::int64_t> lengths;
    if (!take('(')) return std::nullopt;
    while (!take(')')) {
      skip();
      std::int64_t length = -1;
      const char* begin = text_.data() + at_;
      const auto [end, problem] = std::from_chars(begin, text_.data() + text_.size(), length);
      if (problem != std::errc() || length < 0 || lengths.size() == maximum_dimensions) return std::nullopt;
      at_ += static_cast<std::size_t>(end - begin);
      lengths.push_back(length);
      if (take(')')) break;
      if (!take(',')) return std::nullopt;
    }
    return lengths;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// From column-major to row-major.
std::vector<std::byte> turned(std::span<const std::byte> source, std::span<const std::int64_t> shape,
                              std::size_t size) {
  std::vector<std::byte> target(source.size());
  std::vector<std::int64_t> position(shape.size(), 0);
  for (std::size_t row_major = 0; row_major * size < target.size(); ++row_major) {
    std::size_t column_major = 0;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      column_major = column_major * static_cast<std::size_t>(shape[axis]) + static_cast<std::size_t>(position[axis]);
    }
    std::memcpy(target.data() + row_major * size, source.data() + column_major * size, size);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++position[axis] < shape[axis]) break;
      position[axis] = 0;
    }
  }
  return target;
}

}  // namespace

std::int64_t NpyArray::elements() const { return static_cast<std::int64_t>(bytes.size() / size_of(dtype)); }

std::vector<float> NpyArray::to_floats() const {
  std::vector<float> values(bytes.size() / size_of(dtype));
  to_f32(dtype, bytes, values);
  return values;
}

NpyArray npy_from_floats(std::span<const float> values, std::vector<std::int64_t> shape) {
  if (byte_size(shape, Dtype::f32) != values.size_bytes()) throw std::invalid_argument("npy: shape does not match");
  const auto bytes = std::as_bytes(values);
  return NpyArray{Dtype::f32, std::move(shape), {bytes.begin(), bytes.end()}};
}

Result<NpyArray> parse_npy(std::span<const std::byte> file, const std::string& path) {
  if (file.size() < prefix_bytes + 2 || std::memcmp(file.data(), magic.data(), magic.size()) != 0) {
    return bad_file(path, "it is no .npy array");
  }
  const auto version = std::to_integer<unsigned>(file[6]);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (version < 1 || version > 3)
    return bad_file(path, "its .npy version " + std::to_string(version) + " is not known");
  if (file.size() < prefix_bytes + length_bytes) return bad_file(path, "its header is cut");
  std::size_t header_size = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    header_size |= std::to_integer<std::size_t>(file[prefix_bytes + i]) << (8 * i);
  if (header_size > file.size() - prefix_bytes - length_bytes) return bad_file(path, "its header is cut");
  const auto header = file.subspan(prefix_bytes + length_bytes, header_size);
  const auto data = file.subspan(prefix_bytes + length_bytes + header_size);

  HeaderParser parser({reinterpret_cast<const char*>(header.data()), header.size()});
  if (!parser.parse()) return bad_file(path, "its header is not one that NumPy writes");
  std::optional<Dtype> dtype;
  for (const Name& name : names) {
    const bool is_byte =
        name.descr[0] == '|' && parser.descr->size() == 3 && parser.descr->substr(1) == name.descr.substr(1);
    if (*parser.descr == name.descr || is_byte) dtype = name.dtype;
  }
  if (!dtype) return bad_file(path, "its element type '" + parser.descr->substr(0, 40) + "' is not read here");
  if (byte_size(*parser.shape, *dtype) != data.size())
    return bad_file(path, "its shape does not match its bytes: it is cut");

  NpyArray array{*dtype, *parser.shape, {}};
  if (*parser.is_fortran && array.shape.size() > 1)
    array.bytes = turned(data, array.shape, size_of(*dtype));
  else
    array.bytes.assign(data.begin(), data.end());
  return array;
}

Result<std::vector<std::byte>> encode_npy(const NpyArray& array) {
  std::string_view descr;
  for (const Name& name : names) {
    if (name.dtype == array.dtype) descr = name.descr;
  }
  if (descr.empty()) {
    return Error{
        "not-supported", "NumPy has no name for " + std::string(name_of(array.dtype)) + ".", "Save it as f32.", {}};
  }
  if (byte_size(array.shape, array.dtype) != array.bytes.size()) {
    return Error{"bad-input", "The array's shape does not match its bytes.", "", "shape"};
  }
  std::string header = "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (";
  for (const std::int64_t length : array.shape) header += std::to_string(length) + ",";
  header += "), }";
  const std::size_t unpadded = prefix_bytes + 2 + header.size() + 1;
  header.append((header_alignment - unpadded % header_alignment) % header_alignment, ' ');
  header += '\n';
  std::vector<std::byte> file;
  file.reserve(prefix_bytes + 2 + header.size() + array.bytes.size());
  for (const unsigned char byte : magic) file.push_back(std::byte{byte});
  file.push_back(std::byte{1});
  file.push_back(std::byte{0});
  file.push_back(static_cast<std::byte>(header.size() & 0xFF));
  file.push_back(static_cast<std::byte>(header.size() >> 8));
  for (const char c : header) file.push_back(static_cast<std::byte>(c));
  file.insert(file.end(), array.bytes.begin(), array.bytes.end());
  return file;
}

}  // namespace lutra::core
