#include "lut/quantize_folder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string_view>

#include "core/json.h"
#include "core/mapped_file.h"
#include "core/safetensors.h"
#include "lut/error_feedback.h"

namespace lutra::lut {
namespace {

namespace fs = std::filesystem;
using core::Dtype;
using core::Error;
using core::Result;
using core::Safetensors;
using core::Status;
using core::TensorView;

constexpr std::string_view log_name = "lutra-quantize.log";
constexpr std::uint64_t largest_small_file = 64 << 20;
constexpr std::size_t copied_at_once = 8 << 20;

fs::path native_path(const std::string& path) { return {std::u8string(path.begin(), path.end())}; }

std::string utf8(const fs::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

Error cannot_write(const fs::path& path, const std::string& why = "it is read-only, or the disk is full") {
  return Error{"file-access", "\"" + utf8(path) + "\" cannot be written: " + why + ".",
               "Check the folder's permissions and the room on the disk, then start again: what is done is kept.",
               utf8(path)};
}

Error conflict(const fs::path& path, const std::string& what, const std::string& hint) {
  return Error{"conflict", "\"" + utf8(path) + "\" " + what + ".", hint, utf8(path)};
}

Error cancelled() { return Error{"cancelled", "The quantization was stopped.", "", ""}; }

/// FNV-1a over words of 64 bits: it finds damage, and does not withstand malice.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    add_word(bytes.size());
    for (; bytes.size() >= sizeof(std::uint64_t); bytes = bytes.subspan(sizeof(std::uint64_t))) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), sizeof(word));
      add_word(word);
    }
    for (const std::byte byte : bytes) add_word(std::to_integer<std::uint64_t>(byte));
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
  void add_word(std::uint64_t word) {
    value_ = (value_ ^ word) * 0x100000001B3ULL;
    value_ ^= value_ >> 29;
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325ULL;
};

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value << 4 | digit;
  }
  return value;
}

std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 7> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

/// `*` stands for any characters.
bool matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool is_quantized(const std::string& name, const TensorView& view, const QuantizeFolderOptions& options) {
  constexpr std::string_view ending = ".weight";
  const bool is_float = view.dtype == Dtype::f32 || view.dtype == Dtype::f16 || view.dtype == Dtype::bf16;
  if (!is_float || view.shape.size() != 2 || view.elements() == 0 || !name.ends_with("_proj.weight")) return false;
  const std::string_view module(name.data(), name.size() - ending.size());
  return std::none_of(options.skip.begin(), options.skip.end(),
                      [&](const std::string& pattern) { return matches(pattern, name) || matches(pattern, module); });
}

struct Output {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes = 0;

  Output(std::string called, Dtype type, std::vector<std::int64_t> lengths)
      : name(std::move(called)), dtype(type), shape(std::move(lengths)), bytes(core::byte_size(shape, type).value()) {}
};

/// A tensor of the source with what becomes of it, next to each other in one file.
struct Unit {
  std::string name;
  const TensorView* view = nullptr;
  bool quantized = false;
  std::vector<Output> outputs;
  std::uint64_t bytes = 0;
  std::size_t shard = 0;
  std::uint64_t begin = 0;  ///< in its file
};

struct Shard {
  std::string name;
  std::string header;  ///< with its length before it
  std::uint64_t bytes = 0;
};

/// All that will be written, known before a weight is read.
struct Plan {
  Safetensors source;
  std::string config;
  std::vector<Unit> units;
  std::vector<Shard> shards;
  std::uint64_t source_bytes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t fingerprint = 0;
};

std::vector<Output> outputs_of(const std::string& name, const TensorView& view, bool quantized,
                               const QuantizeOptions& options) {
  if (!quantized) return {Output(name, view.dtype, view.shape)};
  const std::int64_t rows = view.shape[0];
  const LutMatrix shape{rows, view.shape[1], options.bits, options.group_size, false, {}, {}, {}};
  const std::int64_t entries = shape.table_entries();
  // Codes last: after an odd number of them, what follows would lie at odd places.
  return {Output(name + ".lut_table", Dtype::f16,
                 options.table_per_row ? std::vector{rows, entries} : std::vector{entries}),
          Output(name + ".lut_scales", Dtype::f16, {rows, shape.groups_per_row()}),
          Output(name + ".lut_codes", Dtype::u8, {rows, shape.row_bytes()})};
}

/// Whether, and where, the outermost object has a member of that name: its value's place in the text, which has been
/// parsed before.
std::optional<std::pair<std::size_t, std::size_t>> member_value(std::string_view text, std::string_view name) {
  int depth = 0;
  bool is_wanted = false;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      const std::size_t open = at++;
      while (text[at] != '"') at += text[at] == '\\' ? 2 : 1;
      if (depth == 1 && begin == 0) is_wanted = text.substr(open + 1, at - open - 1) == name;
    } else if (c == ':' && depth == 1) {
      begin = text.find_first_not_of(" \t\r\n", at + 1);
      at = begin - 1;
    } else if (depth == 1 && (c == ',' || c == '}')) {
      if (is_wanted && begin != 0) return std::pair(begin, text.find_last_not_of(" \t\r\n", at - 1) + 1);
      begin = 0;
      is_wanted = false;
      if (c == '}') --depth;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return std::nullopt;
}

/// config.json with our field, all else as it is.
std::string with_quantization_config(std::string text, const QuantizeOptions& options) {
  const std::string value = "{\n    \"quant_method\": \"lut\",\n    \"bits\": " + std::to_string(options.bits) +
                            ",\n    \"group_size\": " + std::to_string(options.group_size) + ",\n    \"table\": \"" +
                            (options.table == QuantizeOptions::Table::nf ? "nf" : "learned") +
                            "\",\n    \"version\": 1\n  }";
  if (const auto place = member_value(text, "quantization_config")) {
    return text.replace(place->first, place->second - place->first, value);
  }
  const std::size_t last = text.find_last_not_of(" \t\r\n", text.rfind('}') - 1);
  const bool is_empty = text[last] == '{';
  const std::string member = std::string(is_empty ? "\n" : ",\n") + "  \"quantization_config\": " + value;
  const std::size_t brace = text.rfind('}');
  const std::string rest = text.substr(brace);
  return text.substr(0, last + 1) + member + "\n" + rest;
}

Result<std::string> read_config(const std::string& source) {
  const std::string path = source + "/config.json";
  const auto file = core::MappedFile::open(path);
  if (!file) return file.error();
  std::string text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  const auto json = core::parse_json(text, path);
  if (!json) return json.error();
  if (json->object() == nullptr) return core::bad_file(path, "it is no JSON object");
  const core::Json* quantization = json->find("quantization_config");
  if (quantization != nullptr && !quantization->is_null()) {
    return Error{"not-supported", "\"" + source + "\" is quantized already.", "Take the original, unquantized model.",
                 source};
  }
  return text;
}

/// The header of a file with those units, and where each begins.
Shard make_shard(std::string name, std::span<Unit> units, const Safetensors& source) {
  std::string json = "{\"__metadata__\":{";
  bool has_format = false;
  for (const auto& [key, value] : source.metadata()) {
    json += (json.back() == '{' ? "" : ",") + json_string(key) + ":" + json_string(value);
    has_format = has_format || key == "format";
  }
  if (!has_format) json += std::string(json.back() == '{' ? "" : ",") + R"("format":"pt")";
  json += "}";
  std::uint64_t end = 0;
  for (Unit& unit : units) {
    unit.begin = end;
    for (const Output& output : unit.outputs) {
      std::string shape;
      for (const std::int64_t length : output.shape) shape += (shape.empty() ? "" : ",") + std::to_string(length);
      json += "," + json_string(output.name) + R"(:{"dtype":")" + std::string(core::name_of(output.dtype)) +
              R"(","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(end) + "," +
              std::to_string(end + output.bytes) + "]}";
      end += output.bytes;
    }
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  Shard shard{std::move(name), {}, 0};
  for (int i = 0; i < 8; ++i) shard.header += static_cast<char>(json.size() >> (8 * i) & 0xFFU);
  shard.header += json;
  shard.bytes = shard.header.size() + end;
  for (Unit& unit : units) unit.begin += shard.header.size();
  return shard;
}

/// Cuts the units into files, none larger than it may be.
void lay_out(Plan& plan, std::uint64_t shard_bytes) {
  std::vector<std::size_t> begins;
  std::uint64_t filled = 0;
  for (std::size_t i = 0; i < plan.units.size(); ++i) {
    std::uint64_t needed = plan.units[i].bytes;
    constexpr std::uint64_t description = 128;
    for (const Output& output : plan.units[i].outputs) needed += description + 6 * output.name.size();
    if (begins.empty() || filled + needed > shard_bytes) {
      begins.push_back(i);
      filled = 0;
      for (const auto& [key, value] : plan.source.metadata()) filled += 6 * (key.size() + value.size()) + 8;
      filled += description;
    }
    filled += needed;
    plan.units[i].shard = begins.size() - 1;
  }
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const std::size_t end = i + 1 < begins.size() ? begins[i + 1] : plan.units.size();
    std::string name = "model.safetensors";
    if (begins.size() > 1) {
      std::array<char, 64> numbered{};
      std::snprintf(numbered.data(), numbered.size(), "model-%05zu-of-%05zu.safetensors", i + 1, begins.size());
      name = numbered.data();
    }
    plan.shards.push_back(make_shard(name, std::span(plan.units).subspan(begins[i], end - begins[i]), plan.source));
  }
}

/// Of the source and of the options that shape the result: names, types, shapes and samples of the weights.
std::uint64_t fingerprint_of(const Plan& plan, const QuantizeFolderOptions& folder_options) {
  const QuantizeOptions& options = folder_options.weights;
  constexpr std::size_t sample = 1024;
  Checksum sum;
  sum.add("lutra quantize 1");
  sum.add_word(static_cast<std::uint64_t>(options.bits));
  sum.add_word(static_cast<std::uint64_t>(options.group_size));
  sum.add_word(options.table == QuantizeOptions::Table::nf ? 0 : options.table_per_row ? 2 : 1);
  sum.add(plan.config);
  sum.add(folder_options.covariance_source);
  for (const Unit& unit : plan.units) {
    sum.add(unit.name);
    sum.add(core::name_of(unit.view->dtype));
    const auto bytes = unit.view->bytes;
    sum.add(bytes.first(std::min(sample, bytes.size())));
    sum.add(bytes.last(std::min(sample, bytes.size())));
  }
  for (const Shard& shard : plan.shards) sum.add(shard.header);
  return sum.value();
}

Result<Plan> make_plan(const std::string& source, const QuantizeFolderOptions& options) {
  if (auto checked = check(options.weights); !checked) return checked.error();
  auto config = read_config(source);
  if (!config) return config.error();
  auto file = Safetensors::open(source);
  if (!file) return file.error();
  Plan plan{std::move(*file), std::move(*config), {}, {}, 0, 0, 0};
  for (const auto& [name, view] : plan.source.tensors()) {
    Unit unit{name, &view, is_quantized(name, view, options), {}, 0, 0, 0};
    unit.outputs = outputs_of(name, view, unit.quantized, options.weights);
    for (const Output& output : unit.outputs) unit.bytes += output.bytes;
    plan.source_bytes += view.bytes.size();
    plan.bytes += unit.bytes;
    plan.units.push_back(std::move(unit));
  }
  if (std::none_of(plan.units.begin(), plan.units.end(), [](const Unit& unit) { return unit.quantized; })) {
    return Error{"bad-input", "\"" + source + "\" has no weight to quantize.",
                 "Weights are 2-D tensors named *_proj.weight that no skip pattern matches.", "skip"};
  }
  lay_out(plan, options.shard_bytes);
  return plan;
}

Status write_text(const fs::path& path, std::string_view text) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  stream.close();
  if (!stream) return cannot_write(path);
  return core::success();
}

/// Whether it belongs next to the weights: anything small that is no weights itself.
bool is_companion(const fs::directory_entry& entry) {
  const std::string name = utf8(entry.path().filename());
  std::error_code problem;
  if (!entry.is_regular_file(problem) || entry.file_size(problem) > largest_small_file || problem) return false;
  if (name.starts_with('.') || name == "config.json" || name == log_name || name.ends_with(".index.json")) return false;
  constexpr std::array<std::string_view, 12> weights = {".safetensors", ".bin",  ".pt",      ".pth",  ".gguf", ".onnx",
                                                        ".h5",          ".ckpt", ".msgpack", ".part", ".npz",  ".pkl"};
  return std::none_of(weights.begin(), weights.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

struct Finished {
  std::uint64_t checksum = 0;
  double relative_error = 0;
};

/// What the log says: the fingerprint, then a line per finished tensor. A line that was cut is none.
std::vector<Finished> read_log(const fs::path& path, const Plan& plan, bool& is_ours) {
  std::ifstream stream(path, std::ios::binary);
  std::string line;
  is_ours = static_cast<bool>(std::getline(stream, line)) && line == hex(plan.fingerprint);
  std::vector<Finished> finished;
  while (is_ours && finished.size() < plan.units.size() && std::getline(stream, line) && !stream.eof()) {
    if (line.size() < 34 || line.substr(34) != plan.units[finished.size()].name) break;
    const auto checksum = parse_hex(std::string_view(line).substr(0, 16));
    const auto error = parse_hex(std::string_view(line).substr(17, 16));
    if (!checksum || !error) break;
    finished.push_back({*checksum, std::bit_cast<double>(*error)});
  }
  return finished;
}

/// One call of quantize_folder().
class Conversion {
 public:
  Conversion(const Plan& plan, const std::string& source, const std::string& destination,
             const QuantizeFolderOptions& options, const core::Progress& progress, const TensorSink& each)
      : plan_(plan),
        source_(native_path(source)),
        destination_(native_path(destination)),
        options_(options),
        progress_(progress),
        each_(each) {
    // "folder/" has no last name to add to.
    if (!destination_.has_filename()) destination_ = destination_.parent_path();
    part_ = destination_;
    part_ += ".part";
  }

  Result<FolderReport> run() {
    const auto is_whole = look_at_destination();
    if (!is_whole) return is_whole.error();
    if (*is_whole) return report_;
    if (auto opened = open_part(); !opened) return opened.error();
    for (std::size_t i = report_.tensors.size(); i < plan_.units.size(); ++i) {
      if (auto made = make(i); !made) return made.error();
    }
    if (auto closed = close_shard(); !closed) return closed.error();
    if (auto done = finish(); !done) return done.error();
    return report_;
  }

 private:
  void tell(const Unit& unit, double relative_error) {
    report_.source_bytes += unit.view->bytes.size();
    report_.bytes += unit.bytes;
    report_.tensors.push_back({unit.name, unit.quantized, relative_error, unit.view->bytes.size(), unit.bytes});
    progress_.tell(report_.source_bytes, plan_.source_bytes);
    if (each_) each_(report_.tensors.back(), report_.source_bytes, plan_.source_bytes);
  }

  /// True where an earlier call came to its end, and only its log is left.
  Result<bool> look_at_destination() {
    std::error_code problem;
    const auto kind = fs::symlink_status(destination_, problem).type();
    if (kind == fs::file_type::not_found) return false;
    if (kind == fs::file_type::none) return cannot_write(destination_, problem.message());
    if (kind == fs::file_type::directory && fs::is_empty(destination_, problem) && !problem) return false;
    bool is_ours = false;
    const auto finished = read_log(destination_ / log_name, plan_, is_ours);
    if (!is_ours || finished.size() != plan_.units.size()) {
      return conflict(destination_, "exists already", "Choose another name, or remove it first.");
    }
    fs::remove(destination_ / log_name, problem);
    for (std::size_t i = 0; i < finished.size(); ++i) tell(plan_.units[i], finished[i].relative_error);
    return true;
  }

  /// Makes the working folder, or goes on with it.
  Status open_part() {
    std::error_code problem;
    fs::create_directories(part_, problem);
    if (problem) return cannot_write(part_, problem.message());
    const fs::path log = part_ / log_name;
    fs::path fresh = log;
    fresh += ".new";
    fs::remove(fresh, problem);
    std::vector<Finished> finished;
    if (!fs::is_empty(part_, problem)) {
      bool is_ours = false;
      finished = read_log(log, plan_, is_ours);
      if (!is_ours) {
        return conflict(part_, "belongs to another quantization or is something else",
                        "Remove it, or choose another destination.");
      }
    }
    if (problem) return cannot_write(part_, problem.message());
    for (std::size_t i = 0; i < finished.size() && is_intact(plan_.units[i], finished[i].checksum); ++i) {
      tell(plan_.units[i], finished[i].relative_error);
    }
    finished.resize(report_.tensors.size());
    // A file that is whole ends where its last tensor does.
    for (std::size_t i = 0; i < finished.size(); ++i) {
      const Unit& unit = plan_.units[i];
      const Shard& shard = plan_.shards[unit.shard];
      if (unit.begin + unit.bytes == shard.bytes)
        fs::resize_file(part_ / native_path(shard.name), shard.bytes, problem);
      if (problem) return cannot_write(part_ / native_path(shard.name), problem.message());
    }
    std::string lines = hex(plan_.fingerprint) + "\n";
    for (std::size_t i = 0; i < finished.size(); ++i) lines += log_line(plan_.units[i], finished[i]);
    const auto room = fs::space(part_, problem);
    if (!problem && room.available < plan_.bytes - report_.bytes) {
      return cannot_write(part_, "the disk has " + std::to_string(room.available >> 20) + " MiB left where " +
                                     std::to_string((plan_.bytes - report_.bytes) >> 20) + " MiB are needed");
    }
    if (auto written = write_text(fresh, lines); !written) return written.error();
    fs::rename(fresh, log, problem);
    if (problem) return cannot_write(log, problem.message());
    log_.open(log, std::ios::binary | std::ios::app);
    return log_ ? core::success() : Status(cannot_write(log));
  }

  static std::string log_line(const Unit& unit, const Finished& finished) {
    return hex(finished.checksum) + " " + hex(std::bit_cast<std::uint64_t>(finished.relative_error)) + " " + unit.name +
           "\n";
  }

  /// Whether what the log calls finished really lies there, after a loss of power as well.
  [[nodiscard]] bool is_intact(const Unit& unit, std::uint64_t checksum) const {
    const Shard& shard = plan_.shards[unit.shard];
    const auto file = core::MappedFile::open(utf8(part_ / native_path(shard.name)));
    if (!file || file->bytes().size() < unit.begin + unit.bytes) return false;
    if (std::memcmp(file->bytes().data(), shard.header.data(), shard.header.size()) != 0) return false;
    Checksum sum;
    std::uint64_t at = unit.begin;
    for (const Output& output : unit.outputs) {
      sum.add(file->bytes().subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(output.bytes)));
      at += output.bytes;
    }
    return sum.value() == checksum;
  }

  Status close_shard() {
    if (!shard_.is_open()) return core::success();
    shard_.close();
    if (!shard_) return cannot_write(part_ / native_path(plan_.shards[open_shard_].name));
    return core::success();
  }

  /// Makes ready to write at a unit's place: what a stopped call left behind it goes away.
  Status open_shard(const Unit& unit) {
    const Shard& shard = plan_.shards[unit.shard];
    if (shard_.is_open() && open_shard_ == unit.shard) return core::success();
    if (auto closed = close_shard(); !closed) return closed.error();
    const fs::path path = part_ / native_path(shard.name);
    std::error_code problem;
    if (unit.begin == shard.header.size()) {
      shard_.open(path, std::ios::binary | std::ios::trunc);
      shard_.write(shard.header.data(), static_cast<std::streamsize>(shard.header.size()));
    } else {
      fs::resize_file(path, unit.begin, problem);
      shard_.open(path, std::ios::binary | std::ios::app);
    }
    if (problem || !shard_) return cannot_write(path);
    open_shard_ = unit.shard;
    return core::success();
  }

  Status put(std::span<const std::byte> bytes, Checksum& sum) {
    sum.add(bytes);
    while (!bytes.empty()) {
      if (progress_.cancelled()) return cancelled();
      const auto part = bytes.first(std::min(bytes.size(), copied_at_once));
      shard_.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size()));
      if (!shard_) return cannot_write(part_ / native_path(plan_.shards[open_shard_].name));
      bytes = bytes.subspan(part.size());
    }
    return core::success();
  }

  Status put_f16(std::span<const float> values, Checksum& sum) {
    std::vector<std::byte> bytes(2 * values.size());
    core::from_f32(values, Dtype::f16, bytes);
    return put(bytes, sum);
  }

  Status make(std::size_t index) {
    const Unit& unit = plan_.units[index];
    if (progress_.cancelled()) return cancelled();
    if (auto opened = open_shard(unit); !opened) return opened.error();
    Checksum sum;
    double relative_error = 0;
    if (unit.quantized) {
      const auto result = quantize_unit(unit);
      if (!result) return result.error();
      relative_error = result->relative_error;
      const LutMatrix& matrix = result->matrix;
      if (auto done = put_f16(matrix.table, sum); !done) return done.error();
      if (auto done = put_f16(matrix.scales, sum); !done) return done.error();
      if (auto done = put(std::as_bytes(std::span(matrix.codes)), sum); !done) return done.error();
    } else if (auto done = put(unit.view->bytes, sum); !done) {
      return done.error();
    }
    // The log follows the data.
    if (!shard_.flush()) return cannot_write(part_ / native_path(plan_.shards[unit.shard].name));
    log_ << log_line(unit, {sum.value(), relative_error});
    if (!log_.flush()) return cannot_write(part_ / log_name);
    tell(unit, relative_error);
    return core::success();
  }

  /// With what is known of its inputs, errors are made up for: single weights get worse, the outputs better.
  void feed_errors(const Unit& unit, std::span<const float> weight, Quantized& result) const {
    constexpr std::string_view ending = ".weight";
    const auto found = options_.covariance.find(unit.name.substr(0, unit.name.size() - ending.size()));
    if (found == options_.covariance.end()) return;
    core::ThreadPool threads(static_cast<std::size_t>(options_.threads));
    LutMatrix& matrix = result.matrix;
    feed_errors_forward(weight, found->second, matrix, threads);
    std::vector<float> row(static_cast<std::size_t>(matrix.columns));
    double wrong = 0;
    double whole = 0;
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      matrix.dequantize_row(r, row);
      const float* original = weight.data() + r * matrix.columns;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const double off = static_cast<double>(original[i]) - static_cast<double>(row[i]);
        wrong += off * off;
        whole += static_cast<double>(original[i]) * static_cast<double>(original[i]);
      }
    }
    result.relative_error = whole > 0 ? std::sqrt(wrong / whole) : 0;
  }

  [[nodiscard]] Result<Quantized> quantize_unit(const Unit& unit) const {
    std::vector<float> weight(static_cast<std::size_t>(unit.view->elements()));
    core::to_f32(unit.view->dtype, unit.view->bytes, weight);
    const core::Progress within(progress_.stop_token(), [&](std::uint64_t done, std::uint64_t total) {
      const double share = static_cast<double>(done) / static_cast<double>(total);
      progress_.tell(
          report_.source_bytes + static_cast<std::uint64_t>(share * static_cast<double>(unit.view->bytes.size())),
          plan_.source_bytes);
    });
    auto result =
        quantize(weight, unit.view->shape[0], unit.view->shape[1], options_.weights, {}, options_.threads, within);
    if (result) feed_errors(unit, weight, *result);
    if (result || result.error().code == "cancelled") return result;
    Error named = result.error();
    named.message = "\"" + unit.name + "\": " + named.message;
    named.subject = unit.name;
    return named;
  }

  /// The small files; then the folder gets its name.
  Status finish() {
    if (auto done = write_text(part_ / "config.json", with_quantization_config(plan_.config, options_.weights));
        !done) {
      return done;
    }
    if (plan_.shards.size() > 1) {
      std::string map;
      for (const Unit& unit : plan_.units) {
        for (const Output& output : unit.outputs) {
          map += (map.empty() ? "\n    " : ",\n    ") + json_string(output.name) + ": " +
                 json_string(plan_.shards[unit.shard].name);
        }
      }
      const std::string index = "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(plan_.bytes) +
                                "\n  },\n  \"weight_map\": {" + map + "\n  }\n}\n";
      if (auto done = write_text(part_ / "model.safetensors.index.json", index); !done) return done;
    }
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(source_, problem)) {
      if (!is_companion(entry)) continue;
      std::error_code refused;
      const fs::path target = part_ / entry.path().filename();
      fs::copy_file(entry.path(), target, fs::copy_options::overwrite_existing, refused);
      if (refused) return cannot_write(target, refused.message());
    }
    if (problem) return core::bad_file(utf8(source_), "the folder cannot be listed");
    log_.close();
    // An empty folder may stand in its place.
    fs::remove(destination_, problem);
    fs::rename(part_, destination_, problem);
    if (problem) return cannot_write(destination_, problem.message());
    fs::remove(destination_ / log_name, problem);
    return core::success();
  }

  const Plan& plan_;
  fs::path source_;
  fs::path destination_;
  fs::path part_;
  const QuantizeFolderOptions& options_;
  const core::Progress& progress_;
  const TensorSink& each_;
  FolderReport report_;
  std::ofstream log_;
  std::ofstream shard_;
  std::size_t open_shard_ = 0;
};

}  // namespace

Result<FolderSize> predict_size(const std::string& source, const QuantizeFolderOptions& options) {
  const auto plan = make_plan(source, options);
  if (!plan) return plan.error();
  FolderSize size{plan->source_bytes, 0, 0, plan->shards.size()};
  for (const Shard& shard : plan->shards) size.weight_bytes += shard.bytes;
  for (const Unit& unit : plan->units) size.quantized_tensors += unit.quantized ? 1 : 0;
  return size;
}

Result<FolderReport> quantize_folder(const std::string& source, const std::string& destination,
                                     const QuantizeFolderOptions& options, const core::Progress& progress,
                                     const TensorSink& each) {
  auto plan = make_plan(source, options);
  if (!plan) return plan.error();
  plan->fingerprint = fingerprint_of(*plan, options);
  return Conversion(*plan, source, destination, options, progress, each).run();
}

}  // namespace lutra::lut
