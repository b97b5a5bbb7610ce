#include "core/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>

#include "core/json.h"

namespace lutra::core {
namespace {

namespace fs = std::filesystem;

/// The limit of the format's own implementation.
constexpr std::uint64_t maximum_header_bytes = 100'000'000;
constexpr std::uint64_t maximum_index_bytes = 200'000'000;
constexpr std::size_t length_bytes = 8;
constexpr std::size_t maximum_dimensions = 32;
constexpr std::string_view index_ending = ".safetensors.index.json";
constexpr std::string_view file_ending = ".safetensors";

fs::path native_path(const std::string& path) { return {std::u8string(path.begin(), path.end())}; }

std::string utf8_path(const fs::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

std::uint64_t read_u64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string quoted(const std::string& name) {
  constexpr std::size_t longest = 200;
  return "\"" + (name.size() <= longest ? name : name.substr(0, longest) + "…") + "\"";
}

struct Span {
  std::uint64_t begin;
  std::uint64_t end;
  std::string name;
};

struct Entry {
  TensorView view;
  Span span;
};

Result<Entry> read_entry(const std::string& name, const Json& value, std::span<const std::byte> data,
                         const std::string& path) {
  const auto wrong = [&](const std::string& what) { return bad_file(path, "its tensor " + quoted(name) + " " + what); };
  const Json* type = value.find("dtype");
  const Json* shape = value.find("shape");
  const Json* offsets = value.find("data_offsets");
  if (type == nullptr || shape == nullptr || offsets == nullptr) return wrong("lacks dtype, shape or data_offsets");
  if (value.object()->size() != 3) return wrong("is described by more than dtype, shape and data_offsets");
  if (type->string() == nullptr) return wrong("has a dtype that is no string");
  const auto dtype = dtype_named(*type->string());
  if (!dtype) return wrong("has the unknown dtype " + quoted(*type->string()));
  if (shape->array() == nullptr || shape->array()->size() > maximum_dimensions) return wrong("has no usable shape");
  std::vector<std::int64_t> lengths;
  for (const Json& length : *shape->array()) {
    const auto whole = length.whole();
    if (!whole || *whole < 0) return wrong("has a shape that is not of whole numbers");
    lengths.push_back(*whole);
  }
  const Json::Array* pair = offsets->array();
  if (pair == nullptr || pair->size() != 2) return wrong("has data_offsets that are no pair");
  const auto begin = (*pair)[0].whole();
  const auto end = (*pair)[1].whole();
  if (!begin || !end || *begin < 0 || *end < *begin) return wrong("has impossible data_offsets");
  const Span span{static_cast<std::uint64_t>(*begin), static_cast<std::uint64_t>(*end), name};
  if (span.end > data.size()) return wrong("reaches beyond the end of the file: it is cut");
  if (byte_size(lengths, *dtype) != span.end - span.begin) return wrong("has a shape that does not match its bytes");
  return Entry{TensorView{*dtype, std::move(lengths), data.subspan(span.begin, span.end - span.begin)}, span};
}

/// Every byte of the data belongs to one tensor.
Status require_no_gaps(std::vector<Span> spans, std::uint64_t data_size, const std::string& path) {
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  std::uint64_t end = 0;
  for (const Span& span : spans) {
    if (span.begin != end)
      return bad_file(path, "its tensor " + quoted(span.name) + " overlaps another or leaves a gap");
    end = span.end;
  }
  if (end != data_size) return bad_file(path, "it has bytes that belong to no tensor");
  return success();
}

bool ends_with(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

/// A plain name in the same folder: an index must not lead elsewhere.
bool is_plain_name(std::string_view name) {
  return ends_with(name, file_ending) && name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos &&
         name.front() != '.';
}

}  // namespace

std::int64_t TensorView::elements() const { return static_cast<std::int64_t>(bytes.size() / size_of(dtype)); }

Result<Safetensors> Safetensors::parse(std::span<const std::byte> file, const std::string& path) {
  Safetensors result;
  result.path_ = path;
  if (Status added = result.add(file, path); !added) return added.error();
  return result;
}

Status Safetensors::add(std::span<const std::byte> file, const std::string& path) {
  static_assert(std::endian::native == std::endian::little, "tensor bytes are handed out as they lie");
  if (file.size() < length_bytes) return bad_file(path, "the file is too short");
  const std::uint64_t header_size = read_u64(file);
  if (header_size > maximum_header_bytes || header_size > file.size() - length_bytes) {
    return bad_file(path, "its header would be longer than the file, or it is no safetensors file");
  }
  const auto header_bytes = file.subspan(length_bytes, static_cast<std::size_t>(header_size));
  const auto data = file.subspan(length_bytes + static_cast<std::size_t>(header_size));
  Result<Json> header = parse_json(text_of(header_bytes), path);
  if (!header) return header.error();
  if (header->object() == nullptr) return bad_file(path, "its header is no JSON object");

  std::vector<Span> spans;
  for (const auto& [name, value] : *header->object()) {
    if (name == "__metadata__") {
      if (value.object() == nullptr) return bad_file(path, "its __metadata__ is no JSON object");
      for (const auto& [key, text] : *value.object()) {
        if (text.string() == nullptr) return bad_file(path, "its __metadata__ " + quoted(key) + " is no string");
        metadata_.emplace(key, *text.string());
      }
      continue;
    }
    Result<Entry> entry = read_entry(name, value, data, path);
    if (!entry) return entry.error();
    spans.push_back(entry->span);
    if (!tensors_.emplace(name, std::move(entry->view)).second) {
      return bad_file(path, "its tensor " + quoted(name) + " is in another file as well");
    }
  }
  return require_no_gaps(std::move(spans), data.size(), path);
}

Result<Safetensors> Safetensors::open(const std::string& path) {
  std::error_code problem;
  if (!fs::is_directory(native_path(path), problem)) {
    return ends_with(path, index_ending) ? open_index(path) : open_single(path);
  }
  std::vector<std::string> indexes;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(native_path(path), problem)) {
    std::string name = utf8_path(entry.path());
    if (ends_with(name, index_ending))
      indexes.push_back(std::move(name));
    else if (ends_with(name, file_ending))
      files.push_back(std::move(name));
  }
  if (problem) return Error{"file-access", "\"" + path + "\" cannot be listed.", "Check its permissions.", path};
  std::sort(indexes.begin(), indexes.end());
  if (!indexes.empty()) return open_index(indexes.front());
  if (files.size() == 1) return open_single(files.front());
  if (files.empty()) return bad_file(path, "the folder has no safetensors files");
  return bad_file(path, "the folder has several safetensors files and no index that says which belong together");
}

Result<Safetensors> Safetensors::open_single(const std::string& path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return file.error();
  auto mapped = std::make_shared<MappedFile>(std::move(file).value());
  Result<Safetensors> result = parse(mapped->bytes(), path);
  if (result) result->files_.push_back(std::move(mapped));
  return result;
}

Result<Safetensors> Safetensors::open_index(const std::string& path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return file.error();
  if (file->bytes().size() > maximum_index_bytes) return bad_file(path, "it is too large for an index");
  Result<Json> index = parse_json(text_of(file->bytes()), path);
  if (!index) return index.error();
  const Json* map = index->find("weight_map");
  if (map == nullptr || map->object() == nullptr) return bad_file(path, "it has no weight_map");

  std::set<std::string> shards;
  for (const auto& [tensor, shard] : *map->object()) {
    if (shard.string() == nullptr || shard.string()->empty() || !is_plain_name(*shard.string())) {
      return bad_file(path, "it names a file outside its folder for the tensor " + quoted(tensor));
    }
    shards.insert(*shard.string());
  }
  Safetensors result;
  result.path_ = path;
  const fs::path folder = native_path(path).parent_path();
  std::map<std::string, std::string, std::less<>> found_in;
  for (const std::string& shard : shards) {
    const std::string shard_path = utf8_path(folder / native_path(shard));
    Result<MappedFile> shard_file = MappedFile::open(shard_path);
    if (!shard_file) return bad_file(path, "its piece " + quoted(shard) + " is missing or cannot be read", shard_path);
    auto mapped = std::make_shared<MappedFile>(std::move(shard_file).value());
    if (Status added = result.add(mapped->bytes(), shard_path); !added) return added.error();
    for (const auto& [name, view] : result.tensors_) found_in.emplace(name, shard);
    result.files_.push_back(std::move(mapped));
  }
  for (const auto& [tensor, shard] : *map->object()) {
    const auto place = found_in.find(tensor);
    if (place == found_in.end() || place->second != *shard.string()) {
      return bad_file(path, "its tensor " + quoted(tensor) + " is not in " + quoted(*shard.string()));
    }
  }
  return result;
}

const TensorView* Safetensors::find(std::string_view name) const {
  const auto place = tensors_.find(name);
  return place == tensors_.end() ? nullptr : &place->second;
}

Result<TensorView> Safetensors::get(std::string_view name, std::span<const std::int64_t> shape) const {
  const TensorView* view = find(name);
  if (view == nullptr) return bad_file(path_, "the tensor " + quoted(std::string(name)) + " is missing");
  if (std::equal(view->shape.begin(), view->shape.end(), shape.begin(), shape.end())) return *view;
  const auto show = [](std::span<const std::int64_t> lengths) {
    std::string text = "[";
    for (const std::int64_t length : lengths) text += (text.size() > 1 ? ", " : "") + std::to_string(length);
    return text + "]";
  };
  return bad_file(path_, "the tensor " + quoted(std::string(name)) + " has the shape " + show(view->shape) + " where " +
                             show(shape) + " is expected");
}

std::uint64_t Safetensors::let_go(const std::string& prefix) const {
  std::uint64_t bytes = 0;
  for (auto it = tensors_.lower_bound(prefix + "."); it != tensors_.end() && it->first.starts_with(prefix + "."); ++it) {
    bytes += it->second.bytes.size();
    MappedFile::let_go(it->second.bytes);
  }
  return bytes;
}

}  // namespace lutra::core
