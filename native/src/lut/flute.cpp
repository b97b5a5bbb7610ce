#include "lut/flute.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>

#include "core/json.h"
#include "core/mapped_file.h"

namespace lutra::lut {
namespace {

using core::Dtype;
using core::Error;
using core::Json;
using core::Result;
using core::Safetensors;
using core::TensorView;

constexpr std::int64_t largest_group = 1 << 20;
constexpr std::int64_t largest_length = 1 << 28;
constexpr int word_bits = 16;

Error wrong(const std::string& tensor, const std::string& what) {
  return Error{"bad-file", "The tensor \"" + tensor + "\" " + what + ".", "Get the file again from where it came from.",
               tensor};
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t length : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(length);
  return text + "]";
}

/// The tensor, of that shape; named where it is not so.
Result<TensorView> tensor(const Safetensors& file, const std::string& name, std::span<const std::int64_t> shape) {
  const TensorView* view = file.find(name);
  if (view == nullptr) return wrong(name, "is missing");
  if (std::equal(view->shape.begin(), view->shape.end(), shape.begin(), shape.end())) return *view;
  return wrong(name, "has the shape " + shape_text(view->shape) + " where " + shape_text(shape) + " is expected");
}

Result<std::vector<float>> widened(const std::string& name, Dtype dtype, std::span<const std::byte> bytes) {
  if (dtype != Dtype::f16 && dtype != Dtype::bf16 && dtype != Dtype::f32) {
    return wrong(name, "is of type " + std::string(core::name_of(dtype)) + " where F16, BF16 or F32 is expected");
  }
  std::vector<float> values(bytes.size() / core::size_of(dtype));
  core::to_f32(dtype, bytes, values);
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
    return wrong(name, "holds a value that is NaN or infinite");
  }
  return values;
}

Result<std::vector<float>> floats(const Safetensors& file, const std::string& name,
                                  std::span<const std::int64_t> shape) {
  const auto view = tensor(file, name, shape);
  if (!view) return view.error();
  return widened(name, view->dtype, view->bytes);
}

/// The packed words, (rows b / 16, columns).
class Words {
 public:
  Words(std::span<const std::byte> bytes, std::int64_t columns) : bytes_(bytes), columns_(columns) {}

  [[nodiscard]] unsigned at(std::int64_t row, std::int64_t column) const {
    const auto place = static_cast<std::size_t>(2 * (row * columns_ + column));
    return std::to_integer<unsigned>(bytes_[place]) | std::to_integer<unsigned>(bytes_[place + 1]) << 8;
  }

 private:
  std::span<const std::byte> bytes_;
  std::int64_t columns_;
};

void store_row(LutMatrix& matrix, std::int64_t row, const std::uint8_t* codes) {
  std::uint8_t* target = matrix.codes.data() + row * matrix.row_bytes();
  unsigned pending = 0;
  int filled = 0;
  for (std::int64_t column = 0; column < matrix.columns; ++column) {
    pending |= static_cast<unsigned>(codes[column]) << filled;
    filled += matrix.bits;
    if (filled >= 8) {
      *target++ = static_cast<std::uint8_t>(pending);
      pending >>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) *target = static_cast<std::uint8_t>(pending);
}

/// 2 and 4 bits. A row of words holds 16/b whole rows of the weight, TileP apart; a word at an even column holds one
/// half of them for itself and its neighbour, the word at the odd column the other half. Fields from the lowest: first
/// the odd column's code, then the even one's, of one row after the other.
void unpack_plain(const Words& words, int tile_p, LutMatrix& matrix) {
  const int fields = word_bits / matrix.bits;
  const unsigned mask = (1U << matrix.bits) - 1U;
  const std::int64_t columns = matrix.columns;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(fields * columns));  // (16/b, columns)
  for (std::int64_t p = 0; p < matrix.rows / fields; ++p) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const unsigned word = words.at(p, column);
      const std::int64_t first = fields / 2 * (column % 2);
      for (int field = 0; field < fields; ++field) {
        const std::int64_t input = column - column % 2 + (field % 2 == 0 ? 1 : 0);
        codes[static_cast<std::size_t>((first + field / 2) * columns + input)] =
            static_cast<std::uint8_t>(word >> (matrix.bits * field) & mask);
      }
    }
    for (int part = 0; part < fields; ++part) {
      const std::int64_t row = p / tile_p * fields * tile_p + part * tile_p + p % tile_p;
      store_row(matrix, row, codes.data() + part * columns);
    }
  }
}

/// 3 bits. Three 32-bit words, each from two neighbouring columns (the even one below), hold 16 pairs of codes: five
/// each in their lower 30 bits, and the sixteenth in the three leftovers. The first word comes from the upper N/16
/// rows, the others from the 2N/16 rows below them. In a pair the odd column's code is the lower one.
void unpack_three(const Words& words, LutMatrix& matrix) {
  constexpr int pairs = 16;
  constexpr std::int64_t tile = 32;
  const std::int64_t columns = matrix.columns;
  const std::int64_t groups = matrix.rows / pairs;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(pairs * columns));  // (16, columns)
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t second = groups + group / tile * 2 * tile + group % tile;
    for (std::int64_t column = 0; column < columns; column += 2) {
      const auto word = [&](std::int64_t row) {
        return words.at(row, column) | words.at(row, column + 1) << word_bits;
      };
      const std::array<unsigned, 3> triple = {word(group), word(second), word(second + tile)};
      const auto store = [&](int pair, unsigned bits) {
        std::uint8_t* target = codes.data() + pair * columns + column;
        target[1] = static_cast<std::uint8_t>(bits & 7U);
        target[0] = static_cast<std::uint8_t>(bits >> 3 & 7U);
      };
      for (int i = 0; i < 3; ++i) {
        for (int field = 0; field < 5; ++field) {
          store(3 * field + i, triple[static_cast<std::size_t>(i)] >> (6 * field));
        }
      }
      store(pairs - 1, triple[0] >> 30 | triple[1] >> 30 << 2 | triple[2] >> 30 << 4);
    }
    for (int pair = 0; pair < pairs; ++pair) {
      store_row(matrix, group / tile * pairs * tile + pair * tile + group % tile, codes.data() + pair * columns);
    }
  }
}

/// Codes and scales, which both kinds share.
Result<LutMatrix> read_packed(const Safetensors& file, const std::string& prefix, std::int64_t rows,
                              std::int64_t columns, int bits, std::int64_t group_size, int tile_p) {
  const std::string weight = prefix + ".weight";
  if (bits < 2 || bits > 4) return wrong(weight, "would have " + std::to_string(bits) + " bits");
  if (group_size < 2 || group_size > largest_group || group_size % 2 != 0) {
    return wrong(weight, "would have a group size of " + std::to_string(group_size));
  }
  if (tile_p != 32 && (tile_p != 64 || bits == 3)) {
    return wrong(weight,
                 "would be packed with TileP " + std::to_string(tile_p) + " at " + std::to_string(bits) + " bits");
  }
  const std::int64_t row_multiple = bits == 3 ? 512 : word_bits / bits * tile_p;
  if (rows < 1 || rows > largest_length || rows % row_multiple != 0) {
    return wrong(weight, "cannot have " + std::to_string(rows) + " rows: its packing needs a multiple of " +
                             std::to_string(row_multiple));
  }
  if (columns < 1 || columns > largest_length || columns % group_size != 0) {
    return wrong(weight,
                 "cannot have " + std::to_string(columns) + " columns in groups of " + std::to_string(group_size));
  }
  const auto packed = tensor(file, weight, std::array{rows / word_bits * bits, columns});
  if (!packed) return packed.error();
  if (packed->dtype != Dtype::i16) {
    return wrong(weight, "is of type " + std::string(core::name_of(packed->dtype)) + " where I16 is expected");
  }
  auto scales = floats(file, prefix + ".scales", std::array{rows, columns / group_size});
  if (!scales) return scales.error();
  LutMatrix matrix{rows, columns, bits, group_size, false, {}, std::move(*scales), {}};
  matrix.codes.resize(static_cast<std::size_t>(rows * matrix.row_bytes()));
  const Words words(packed->bytes, columns);
  if (bits == 3)
    unpack_three(words, matrix);
  else
    unpack_plain(words, tile_p, matrix);
  return matrix;
}

/// (2^b, 2^b, 2) in 16 bits each; F32 (2^b, 2^b, 1) is the same bytes, of the scales' type.
Result<std::vector<float>> read_pair_table(const Safetensors& file, const std::string& prefix, int bits) {
  const std::string name = prefix + ".tables2";
  const TensorView* view = file.find(name);
  if (view == nullptr) return wrong(name, "is missing");
  const std::int64_t entries = std::int64_t{1} << bits;
  if (view->dtype != Dtype::f32) {
    if (view->dtype != Dtype::f16 && view->dtype != Dtype::bf16) {
      return wrong(name, "is of type " + std::string(core::name_of(view->dtype)) + " where F16 or BF16 is expected");
    }
    return floats(file, name, std::array<std::int64_t, 3>{entries, entries, 2});
  }
  const auto dressed = tensor(file, name, std::array<std::int64_t, 3>{entries, entries, 1});
  if (!dressed) return dressed.error();
  const TensorView* scales = file.find(prefix + ".scales");
  const bool is_bf16 = scales != nullptr && scales->dtype == Dtype::bf16;
  return widened(name, is_bf16 ? Dtype::bf16 : Dtype::f16, dressed->bytes);
}

/// A JSON file of a folder, and how its fields are named in errors.
class Fields {
 public:
  static Result<Fields> open(const std::string& folder, const std::string& name) {
    const std::string path = folder + "/" + name;
    const auto file = core::MappedFile::open(path);
    if (!file) return file.error();
    const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
    auto json = core::parse_json(text, path);
    if (!json) return json.error();
    if (json->object() == nullptr) return core::bad_file(path, "it is no JSON object");
    return Fields(std::move(*json), path);
  }

  [[nodiscard]] const Json& json() const { return json_; }
  [[nodiscard]] Error wrong_field(const std::string& field, const std::string& what) const {
    return core::bad_file(path_, "its " + field + " " + what);
  }

  /// A whole number within limits; `otherwise` where the field is absent, refused where there is none of those.
  [[nodiscard]] Result<std::int64_t> whole(const Json& object, const std::string& field, std::int64_t least,
                                           std::int64_t most, std::optional<std::int64_t> otherwise = {}) const {
    const Json* value = object.find(field);
    if (value == nullptr || value->is_null()) {
      if (otherwise) return *otherwise;
      return wrong_field(field, "is missing");
    }
    const auto number = value->whole();
    if (!number || *number < least || *number > most) {
      return wrong_field(field, "is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return *number;
  }

  /// From `template_id` or `tune_metadata`.
  [[nodiscard]] Result<TileSizes> tile_sizes(const Json& object, int bits) const {
    TileSizes sizes;
    const auto tile_of = [&](const Json& metadata) -> Result<int> {
      const auto id = whole(metadata, "template_id", 0, 10'000, -1);
      if (!id) return id.error();
      return *id < 0 ? 32 : flute_tile_p(bits, *id);
    };
    const auto own = tile_of(object);
    if (!own) return own.error();
    sizes.otherwise = *own;
    const Json* metadata = object.find("tune_metadata");
    if (metadata == nullptr || metadata->is_null()) return sizes;
    if (metadata->object() == nullptr) return wrong_field("tune_metadata", "is no object");
    if (metadata->find("template_id") != nullptr) {
      const auto tile = tile_of(*metadata);
      if (!tile) return tile.error();
      sizes.otherwise = *tile;
      return sizes;
    }
    for (const auto& [module, value] : *metadata->object()) {
      if (value.object() == nullptr) continue;
      const auto tile = tile_of(value);
      if (!tile) return tile.error();
      sizes.by_module.emplace(module, *tile);
    }
    return sizes;
  }

 private:
  Fields(Json json, std::string path) : json_(std::move(json)), path_(std::move(path)) {}

  Json json_;
  std::string path_;
};

bool is_power_of_two(std::int64_t value) { return value > 0 && (value & (value - 1)) == 0; }

}  // namespace

int flute_tile_p(int bits, std::int64_t template_id) {
  const auto within = [&](std::int64_t first, std::int64_t last) {
    return template_id >= first && template_id <= last;
  };
  if (bits == 4 && (within(0, 15) || within(48, 63) || within(96, 111))) return 64;
  if (bits == 2 && (within(0, 3) || within(12, 15) || within(24, 27))) return 64;
  return 32;
}

int TileSizes::of(std::string_view module) const {
  const auto place = by_module.find(module);
  return place == by_module.end() ? otherwise : place->second;
}

bool HiggsConfig::skips(std::string_view module) const {
  return std::any_of(modules_to_not_convert.begin(), modules_to_not_convert.end(), [&](std::string_view name) {
    if (name.size() > 7 && name.ends_with(".weight")) name.remove_suffix(7);
    return module == name ||
           (module.size() > name.size() && module.ends_with(name) && module[module.size() - name.size() - 1] == '.');
  });
}

Result<FluteConfig> read_flute_config(const std::string& folder) {
  const auto fields = Fields::open(folder, "flute_config.json");
  if (!fields) return fields.error();
  const auto bits = fields->whole(fields->json(), "num_bits", 2, 4);
  if (!bits) return bits.error();
  const auto group_size = fields->whole(fields->json(), "group_size", 2, largest_group);
  if (!group_size) return group_size.error();
  auto tiles = fields->tile_sizes(fields->json(), static_cast<int>(*bits));
  if (!tiles) return tiles.error();
  return FluteConfig{static_cast<int>(*bits), *group_size, std::move(*tiles)};
}

Result<LutMatrix> read_flute(const Safetensors& file, const std::string& prefix, std::int64_t rows,
                             std::int64_t columns, int bits, std::int64_t group_size, int tile_p) {
  auto matrix = read_packed(file, prefix, rows, columns, bits, group_size, tile_p);
  if (!matrix) return matrix.error();
  auto table = floats(file, prefix + ".tables", std::array{std::int64_t{1} << bits});
  if (!table) return table.error();
  matrix->table = std::move(*table);
  if (auto checked = check(*matrix, prefix + ".weight"); !checked) return checked.error();
  return matrix;
}

Result<HiggsConfig> read_higgs_config(const std::string& folder) {
  const auto fields = Fields::open(folder, "config.json");
  if (!fields) return fields.error();
  const Json* object = fields->json().find("quantization_config");
  if (object == nullptr || object->object() == nullptr) {
    return fields->wrong_field("quantization_config", "is missing or no object");
  }
  const Json* method = object->find("quant_method");
  if (method == nullptr || method->string() == nullptr || *method->string() != "higgs") {
    return fields->wrong_field("quant_method", "is not \"higgs\"");
  }
  HiggsConfig config;
  const auto bits = fields->whole(*object, "bits", 2, 4, config.bits);
  if (!bits) return bits.error();
  config.bits = static_cast<int>(*bits);
  const auto p = fields->whole(*object, "p", 1, 2, config.p);
  if (!p) return p.error();
  config.p = static_cast<int>(*p);
  const auto group_size = fields->whole(*object, "group_size", 2, largest_group, config.group_size);
  if (!group_size) return group_size.error();
  config.group_size = *group_size;
  const auto hadamard_size = fields->whole(*object, "hadamard_size", 1, largest_group, config.hadamard_size);
  if (!hadamard_size) return hadamard_size.error();
  if (!is_power_of_two(*hadamard_size)) return fields->wrong_field("hadamard_size", "is no power of two");
  config.hadamard_size = *hadamard_size;
  const Json* skipped = object->find("modules_to_not_convert");
  if (skipped != nullptr && !skipped->is_null()) {
    if (skipped->array() == nullptr) return fields->wrong_field("modules_to_not_convert", "is no list");
    config.modules_to_not_convert.clear();
    for (const Json& name : *skipped->array()) {
      if (name.string() == nullptr) return fields->wrong_field("modules_to_not_convert", "is no list of names");
      config.modules_to_not_convert.push_back(*name.string());
    }
  }
  auto tiles = fields->tile_sizes(*object, config.bits);
  if (!tiles) return tiles.error();
  config.tile_p = std::move(*tiles);
  return config;
}

Result<LutMatrix> read_higgs(const Safetensors& file, const std::string& prefix, std::int64_t rows,
                             std::int64_t columns, const HiggsConfig& config) {
  const std::string weight = prefix + ".weight";
  if (config.p != 1 && config.p != 2) return wrong(weight, "would have p = " + std::to_string(config.p));
  if (!is_power_of_two(config.hadamard_size) || config.hadamard_size > largest_group) {
    return wrong(weight, "would have a Hadamard size of " + std::to_string(config.hadamard_size));
  }
  if (columns < 1 || columns > largest_length) {
    return wrong(weight, "cannot have " + std::to_string(columns) + " columns");
  }
  const std::int64_t filled_up = (columns + config.hadamard_size - 1) / config.hadamard_size * config.hadamard_size;
  auto matrix = read_packed(file, prefix, rows, filled_up, config.bits, config.group_size, config.tile_p.of(prefix));
  if (!matrix) return matrix.error();
  auto table = config.p == 2 ? read_pair_table(file, prefix, config.bits)
                             : floats(file, prefix + ".tables", std::array{std::int64_t{1} << config.bits});
  if (!table) return table.error();
  (config.p == 2 ? matrix->pair_table : matrix->table) = std::move(*table);
  matrix->hadamard_size = config.hadamard_size;
  if (auto checked = check(*matrix, weight); !checked) return checked.error();
  return matrix;
}

}  // namespace lutra::lut
