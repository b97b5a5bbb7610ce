#include "lut/formats.h"

#include <array>
#include <cmath>
#include <string_view>

#include "core/json.h"

namespace lutra::lut {
namespace {

using core::Dtype;
using core::Error;
using core::Result;
using core::Safetensors;
using core::TensorView;

Error wrong(const std::string& tensor, const std::string& what) {
  return Error{"bad-file", "The tensor \"" + tensor + "\" " + what + ".", "Get the file again from where it came from.",
               tensor};
}

Result<std::vector<float>> floats(const Safetensors& file, const std::string& name, std::int64_t count) {
  const TensorView* view = file.find(name);
  if (view == nullptr) return wrong(name, "is missing");
  if (view->elements() != count) {
    return wrong(
        name, "has " + std::to_string(view->elements()) + " values where " + std::to_string(count) + " are expected");
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  core::to_f32(view->dtype, view->bytes, values);
  return values;
}

/// What bitsandbytes keeps as JSON in a U8 tensor.
struct QuantState {
  std::int64_t block_size = 0;
  std::int64_t nested_block_size = 0;
  double nested_offset = 0;
  std::vector<std::int64_t> shape;
};

const TensorView* find_state(const Safetensors& file, const std::string& weight, std::string& name) {
  for (const char* kind : {"nf4", "fp4"}) {
    name = weight + ".quant_state.bitsandbytes__" + kind;
    if (const TensorView* view = file.find(name)) return view;
  }
  return nullptr;
}

Result<QuantState> read_state(const Safetensors& file, const std::string& weight) {
  std::string name;
  const TensorView* view = find_state(file, weight, name);
  if (view == nullptr) return wrong(weight + ".quant_state", "is missing");
  const std::string_view text(reinterpret_cast<const char*>(view->bytes.data()), view->bytes.size());
  const auto json = core::parse_json(text, name);
  if (!json) return json.error();
  const auto whole = [&](const char* key) -> std::optional<std::int64_t> {
    const core::Json* value = json->find(key);
    return value == nullptr ? std::nullopt : value->whole();
  };
  QuantState state;
  const auto block = whole("blocksize");
  if (!block || *block < 1 || *block > (1 << 20)) return wrong(name, "has no usable blocksize");
  state.block_size = *block;
  state.nested_block_size = whole("nested_blocksize").value_or(0);
  if (const core::Json* offset = json->find("nested_offset")) state.nested_offset = offset->number().value_or(NAN);
  if (!std::isfinite(state.nested_offset)) return wrong(name, "has a nested_offset that is no number");
  const core::Json* shape = json->find("shape");
  if (shape == nullptr || shape->array() == nullptr) return wrong(name, "has no shape");
  for (const core::Json& length : *shape->array()) {
    const auto value = length.whole();
    if (!value || *value < 1) return wrong(name, "has an impossible shape");
    state.shape.push_back(*value);
  }
  return state;
}

/// One scale per block; double-quantized ones are 8-bit codes of their own.
Result<std::vector<float>> read_scales(const Safetensors& file, const std::string& weight, const QuantState& state,
                                       std::int64_t blocks) {
  const TensorView* absmax = file.find(weight + ".absmax");
  if (absmax == nullptr) return wrong(weight + ".absmax", "is missing");
  if (absmax->dtype != Dtype::u8) return floats(file, weight + ".absmax", blocks);
  if (absmax->elements() != blocks) return wrong(weight + ".absmax", "has the wrong number of values");
  if (state.nested_block_size < 1) return wrong(weight + ".quant_state", "has no nested_blocksize");
  const std::int64_t nested_blocks = (blocks + state.nested_block_size - 1) / state.nested_block_size;
  constexpr std::int64_t codes = 256;
  auto map = floats(file, weight + ".nested_quant_map", codes);
  if (!map) return map.error();
  auto nested = floats(file, weight + ".nested_absmax", nested_blocks);
  if (!nested) return nested.error();
  std::vector<float> scales(static_cast<std::size_t>(blocks));
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const auto code = std::to_integer<std::size_t>(absmax->bytes[i]);
    const float outer = (*nested)[i / static_cast<std::size_t>(state.nested_block_size)];
    scales[i] = (*map)[code] * outer + static_cast<float>(state.nested_offset);
  }
  return scales;
}

/// From one stream, high nibble first, to rows, low nibble first.
std::vector<std::uint8_t> relay_nibbles(std::span<const std::byte> packed, const LutMatrix& matrix) {
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(matrix.rows * matrix.row_bytes()));
  if (matrix.columns % 2 == 0) {
    // Rows begin at bytes here as there: only the halves change places.
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const auto byte = std::to_integer<unsigned>(packed[i]);
      codes[i] = static_cast<std::uint8_t>(byte >> 4 | byte << 4);
    }
    return codes;
  }
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    std::uint8_t* target = codes.data() + row * matrix.row_bytes();
    for (std::int64_t column = 0; column < matrix.columns; ++column) {
      const std::int64_t flat = row * matrix.columns + column;
      const auto byte = std::to_integer<unsigned>(packed[static_cast<std::size_t>(flat / 2)]);
      const unsigned code = flat % 2 == 0 ? byte >> 4 : byte & 15U;
      target[column / 2] = static_cast<std::uint8_t>(target[column / 2] | code << (4 * (column % 2)));
    }
  }
  return codes;
}

}  // namespace

Storage storage_of(const Safetensors& file, const std::string& prefix) {
  std::string ignored;
  const std::string weight = prefix + ".weight";
  if (find_state(file, weight, ignored) != nullptr) return Storage::bitsandbytes;
  if (file.find(weight + ".lut_codes") != nullptr) return Storage::lut;
  const core::TensorView* view = file.find(weight);
  if (view == nullptr) return Storage::missing;
  const bool is_packed = view->dtype == Dtype::i16 && file.find(prefix + ".scales") != nullptr;
  return is_packed ? Storage::flute : Storage::dense;
}

Result<LutMatrix> read_bitsandbytes(const Safetensors& file, const std::string& prefix, std::int64_t rows,
                                    std::int64_t columns) {
  const std::string weight = prefix + ".weight";
  const TensorView* packed = file.find(weight);
  if (packed == nullptr) return wrong(weight, "is missing");
  auto state = read_state(file, weight);
  if (!state) return state.error();
  if (state->shape != std::vector<std::int64_t>{rows, columns}) {
    return wrong(weight,
                 "is quantized from another shape than " + std::to_string(rows) + " x " + std::to_string(columns));
  }
  // The bytes may be dressed as wider numbers; they are the same bytes.
  const std::int64_t elements = rows * columns;
  if (static_cast<std::int64_t>(packed->bytes.size()) < (elements + 1) / 2) return wrong(weight, "has too few codes");
  auto table = floats(file, weight + ".quant_map", 16);
  if (!table) return table.error();
  const std::int64_t blocks = (elements + state->block_size - 1) / state->block_size;
  auto scales = read_scales(file, weight, *state, blocks);
  if (!scales) return scales.error();
  LutMatrix matrix{
      rows, columns, 4, state->block_size, columns % state->block_size != 0, {}, std::move(*scales), std::move(*table)};
  matrix.codes = relay_nibbles(packed->bytes, matrix);
  if (auto checked = check(matrix, weight); !checked) return checked.error();
  return matrix;
}

Result<LutMatrix> read_lut(const Safetensors& file, const std::string& prefix, std::int64_t rows, std::int64_t columns,
                           int bits, std::int64_t group_size) {
  const std::string weight = prefix + ".weight";
  if (bits < 2 || bits > 4 || group_size < 1 || group_size > (1 << 20)) {
    return wrong(weight, "has " + std::to_string(bits) + " bits and a group size of " + std::to_string(group_size));
  }
  LutMatrix matrix{rows, columns, bits, group_size, false, {}, {}, {}};
  const std::array<std::int64_t, 2> code_shape = {rows, matrix.row_bytes()};
  const auto codes = file.get(weight + ".lut_codes", code_shape);
  if (!codes) return codes.error();
  if (codes->dtype != Dtype::u8) return wrong(weight + ".lut_codes", "is not of type U8");
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(codes->bytes.data());
  matrix.codes.assign(bytes, bytes + codes->bytes.size());
  auto scales = floats(file, weight + ".lut_scales", rows * matrix.groups_per_row());
  if (!scales) return scales.error();
  matrix.scales = std::move(*scales);
  const TensorView* table = file.find(weight + ".lut_table");
  if (table == nullptr) return wrong(weight + ".lut_table", "is missing");
  auto values = floats(file, weight + ".lut_table", table->elements());
  if (!values) return values.error();
  matrix.table = std::move(*values);
  if (auto checked = check(matrix, weight); !checked) return checked.error();
  return matrix;
}

}  // namespace lutra::lut
