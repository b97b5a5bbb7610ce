#include "lut/flute.h"

#include <array>
#include <cmath>
#include <cstring>

#include "core/npy.h"
#include "files.h"
#include "lut/hadamard.h"
#include "testing.h"

using namespace lutra;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const core::Safetensors& golden(const std::string& name) {
  static std::map<std::string, core::Safetensors> files;
  const auto place = files.find(name);
  if (place != files.end()) return place->second;
  auto file = core::Safetensors::open(testing::golden_folder + "/" + name + ".safetensors");
  return files.emplace(name, std::move(file).value()).first->second;
}

core::NpzArchive expected(const std::string& name) {
  return core::read_npz(testing::golden_folder + "/" + name + "_dequantized.npz").value();
}

/// Products of two 16-bit floats are exact in f32, so every weight has to be the same.
void check_same(const std::string& name, const core::Result<lut::LutMatrix>& matrix, const core::NpyArray& array) {
  if (!matrix) std::cerr << matrix.error().message << '\n';
  REQUIRE(matrix.ok());
  CHECK_EQUAL(matrix->columns, array.shape[1]);
  const auto wanted = array.to_floats();
  std::vector<float> row(static_cast<std::size_t>(array.shape[1]));
  std::size_t different = 0;
  for (std::int64_t r = 0; r < array.shape[0]; ++r) {
    matrix->dequantize_row(r, row);
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (row[c] != wanted[static_cast<std::size_t>(r) * row.size() + c]) ++different;
    }
  }
  if (different != 0) std::cerr << name << ": " << different << " of " << wanted.size() << " weights differ\n";
  CHECK_EQUAL(different, 0U);
}

struct FluteCase {
  std::string name;
  int bits;
  int tile_p;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t group_size;
};

// As in reference/lut/make_flute.py.
const std::vector<FluteCase> flute_cases = {
    {"w4_t32", 4, 32, 256, 32, 16}, {"w4_t64", 4, 64, 256, 16, 8},  {"w3_t32", 3, 32, 1024, 16, 8},
    {"w3_bf16", 3, 32, 512, 8, 4},  {"w2_t32", 2, 32, 512, 16, 16}, {"w2_t64", 2, 64, 1024, 16, 8},
};

core::Result<lut::LutMatrix> read(const FluteCase& c, const core::Safetensors& file = golden("flute")) {
  return lut::read_flute(file, c.name, c.rows, c.columns, c.bits, c.group_size, c.tile_p);
}

lut::HiggsConfig higgs_config(int bits, int p, std::int64_t group_size, std::int64_t hadamard_size, int tile_p = 32) {
  lut::HiggsConfig config;
  config.bits = bits;
  config.p = p;
  config.group_size = group_size;
  config.hadamard_size = hadamard_size;
  config.tile_p.otherwise = tile_p;
  return config;
}

struct HiggsCase {
  std::string name;
  lut::HiggsConfig config;
  std::int64_t rows;
  std::int64_t columns;
};

const std::vector<HiggsCase> higgs_cases = {
    {"pair4", higgs_config(4, 2, 8, 16), 128, 28},
    {"pair3", higgs_config(3, 2, 8, 8), 512, 16},
    {"pair2", higgs_config(2, 2, 16, 16, 64), 512, 16},
    {"scalar4", higgs_config(4, 1, 16, 16, 64), 256, 16},
};

/// The tensors of one weight, to be spoilt and written anew.
struct Stored {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};
using StoredMap = std::map<std::string, Stored>;

StoredMap stored(const core::Safetensors& file, const std::string& prefix) {
  StoredMap all;
  for (const auto& [name, view] : file.tensors()) {
    if (!name.starts_with(prefix + ".")) continue;
    all[name.substr(prefix.size() + 1)] = {
        std::string(core::name_of(view.dtype)), view.shape, {view.bytes.begin(), view.bytes.end()}};
  }
  return all;
}

std::vector<std::byte> encode(const StoredMap& tensors, const std::string& prefix) {
  std::string header = "{";
  std::vector<std::byte> data;
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const std::int64_t length : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(length);
    header += (header.size() > 1 ? ",\"" : "\"") + prefix + "." + name + R"(":{"dtype":")" + tensor.dtype +
              R"(","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + tensor.bytes.size()) + "]}";
    data.insert(data.end(), tensor.bytes.begin(), tensor.bytes.end());
  }
  auto file = testing::safetensors_file(header + "}", 0);
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

void set_f16(Stored& tensor, std::size_t index, std::uint16_t bits) {
  std::memcpy(tensor.bytes.data() + 2 * index, &bits, 2);
}

}  // namespace

TEST("what FLUTE packs is unpacked exactly, at each width, tile and type of scale") {
  const auto arrays = expected("flute");
  CHECK_EQUAL(arrays.size(), flute_cases.size());
  for (const FluteCase& c : flute_cases) check_same(c.name, read(c), arrays.find(c.name)->second);
}

TEST("what HIGGS stores is read back exactly, in pairs and singly, whatever tables2 is dressed as") {
  const auto arrays = expected("higgs");
  for (const HiggsCase& c : higgs_cases) {
    const auto matrix = lut::read_higgs(golden("higgs"), c.name, c.rows, c.columns, c.config);
    check_same(c.name, matrix, arrays.find(c.name)->second);
    CHECK_EQUAL(matrix->hadamard_size, c.config.hadamard_size);
    CHECK(matrix->has_pairs() == (c.config.p == 2));
  }
}

TEST("a HIGGS layer is its weights times the filled-up, transformed activations") {
  const auto arrays = expected("higgs");
  for (const HiggsCase& c : higgs_cases) {
    const auto matrix = lut::read_higgs(golden("higgs"), c.name, c.rows, c.columns, c.config);
    REQUIRE(matrix.ok());
    auto x = arrays.find(c.name + ".x")->second.to_floats();
    const auto y = arrays.find(c.name + ".y")->second.to_floats();
    x.resize(static_cast<std::size_t>(matrix->columns));
    lut::hadamard(x, matrix->hadamard_size);
    std::vector<float> row(x.size());
    for (std::int64_t r = 0; r < matrix->rows; ++r) {
      matrix->dequantize_row(r, row);
      double sum = 0;
      for (std::size_t i = 0; i < row.size(); ++i) sum += static_cast<double>(row[i]) * x[i];
      CHECK(std::abs(sum - y[static_cast<std::size_t>(r)]) < 1e-5);
    }
  }
}

TEST("the Hadamard transform is its own inverse, keeps lengths, and has Sylvester's signs") {
  std::vector<float> values(64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 13) - 6.0F;
  auto twice = values;
  lut::hadamard(twice, 16);
  double before = 0;
  double after = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    before += values[i] * values[i];
    after += twice[i] * twice[i];
  }
  CHECK(std::abs(before - after) < 1e-3);
  lut::hadamard(twice, 16);
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(std::abs(values[i] - twice[i]) < 1e-5F);
  std::vector<float> unit = {0, 0, 0, 1};
  lut::hadamard(unit, 4);
  CHECK((unit == std::vector<float>{0.5F, -0.5F, -0.5F, 0.5F}));
  lut::hadamard(unit, 1);
  CHECK_EQUAL(unit[1], -0.5F);
  for (const std::int64_t block : {0, 3, 8}) {
    bool thrown = false;
    try {
      lut::hadamard(unit, block);
    } catch (const std::invalid_argument&) {
      thrown = true;
    }
    CHECK(thrown);
  }
}

TEST("a FLUTE weight whose parts do not fit is refused by the tensor's name") {
  const FluteCase c = flute_cases[0];
  const auto message = [&](const char* part, const std::function<void(Stored&)>& spoil) {
    StoredMap tensors = stored(golden("flute"), c.name);
    if (spoil)
      spoil(tensors[part]);
    else
      tensors.erase(part);
    const auto bytes = encode(tensors, c.name);
    const auto file = core::Safetensors::parse(bytes, "x.safetensors");
    REQUIRE(file.ok());
    const auto result = read(c, *file);
    REQUIRE(!result.ok());
    CHECK_EQUAL(result.error().code, "bad-file");
    CHECK_EQUAL(result.error().subject, c.name + "." + part);
    CHECK(has(result.error().message, c.name + "." + part));
    return result.error().message;
  };
  for (const char* part : {"weight", "scales", "tables"}) CHECK(has(message(part, {}), "is missing"));
  CHECK(has(message("weight", [](Stored& t) { t.shape = {32, 64}; }), "[64, 32] is expected"));
  CHECK(has(message("weight", [](Stored& t) { t.dtype = "U16"; }), "I16 is expected"));
  CHECK(has(message("scales", [](Stored& t) { t.shape = {2, 256}; }), "has the shape [2, 256]"));
  CHECK(has(message("scales", [](Stored& t) { t.dtype = "I16"; }), "is of type I16"));
  CHECK(has(message("scales", [](Stored& t) { set_f16(t, 5, 0x7E00); }), "NaN or infinite"));
  CHECK(has(message("scales", [](Stored& t) { set_f16(t, 511, 0x7C00); }), "NaN or infinite"));
  CHECK(has(message("tables", [](Stored& t) { set_f16(t, 0, 0xFC00); }), "NaN or infinite"));
  CHECK(has(message("tables", [](Stored& t) { t.shape = {4, 4}; }), "[16] is expected"));
}

TEST("a FLUTE weight of a shape, width or tile that cannot be packed is refused") {
  const auto message = [](const FluteCase& c) { return read(c).error().message; };
  CHECK(has(message({"w4_t32", 5, 32, 256, 32, 16}), "5 bits"));
  CHECK(has(message({"w4_t32", 4, 48, 256, 32, 16}), "TileP 48"));
  CHECK(has(message({"w3_t32", 3, 64, 1024, 16, 8}), "TileP 64 at 3 bits"));
  CHECK(has(message({"w3_t32", 3, 32, 768, 16, 8}), "multiple of 512"));
  CHECK(has(message({"w4_t64", 4, 64, 128, 16, 8}), "multiple of 256"));
  CHECK(has(message({"w4_t32", 4, 32, 256, 32, 5}), "group size of 5"));
  CHECK(has(message({"w4_t32", 4, 32, 256, 40, 16}), "40 columns in groups of 16"));
  CHECK(has(message({"w4_t32", 4, 32, -256, 32, 16}), "-256 rows"));
}

TEST("a HIGGS weight whose codebook does not fit is refused by the tensor's name") {
  const HiggsCase& c = higgs_cases[0];
  const auto message = [&](const std::function<void(StoredMap&)>& spoil) {
    StoredMap tensors = stored(golden("higgs"), c.name);
    spoil(tensors);
    const auto bytes = encode(tensors, c.name);
    const auto file = core::Safetensors::parse(bytes, "x.safetensors");
    const auto result = lut::read_higgs(*file, c.name, c.rows, c.columns, c.config);
    REQUIRE(!result.ok());
    CHECK_EQUAL(result.error().subject, "pair4.tables2");
    return result.error().message;
  };
  CHECK(has(message([](StoredMap& t) { t.erase("tables2"); }), "is missing"));
  CHECK(has(message([](StoredMap& t) { t["tables2"].shape = {16, 32, 1}; }), "[16, 16, 2] is expected"));
  CHECK(has(message([](StoredMap& t) { t["tables2"].dtype = "I16"; }), "is of type I16"));
  CHECK(has(message([](StoredMap& t) { set_f16(t["tables2"], 77, 0x7E01); }), "NaN or infinite"));
  auto config = c.config;
  config.hadamard_size = 12;
  CHECK(
      has(lut::read_higgs(golden("higgs"), c.name, c.rows, c.columns, config).error().message, "Hadamard size of 12"));
}

TEST("flute_config.json tells bits, group size and tile, and what is wrong in it is named") {
  const testing::TemporaryFolder folder;
  const auto read_text = [&](const std::string& text) {
    testing::write_file(folder / "flute_config.json", testing::bytes_of(text));
    return lut::read_flute_config(folder.path());
  };
  CHECK_EQUAL(lut::read_flute_config(folder.path()).error().code, "file-access");
  const auto old = read_text(R"({"num_sms": 108, "num_bits": 4, "group_size": 64})");
  REQUIRE(old.ok());
  CHECK_EQUAL(old->bits, 4);
  CHECK_EQUAL(old->group_size, 64);
  CHECK_EQUAL(old->tile_p.of("anything"), 32);
  CHECK_EQUAL(read_text(R"({"num_bits": 4, "group_size": 64, "template_id": 50})")->tile_p.of("a"), 64);
  CHECK_EQUAL(read_text(R"({"num_bits": 2, "group_size": 64, "tune_metadata": {"template_id": 24}})")->tile_p.of("a"),
              64);
  const auto each = read_text(
      R"({"num_bits": 4, "group_size": 64, "tune_metadata": {"a.q": {"template_id": 15}, "a.k": {"template_id": 16}}})");
  REQUIRE(each.ok());
  CHECK_EQUAL(each->tile_p.of("a.q"), 64);
  CHECK_EQUAL(each->tile_p.of("a.k"), 32);
  CHECK_EQUAL(each->tile_p.of("a.v"), 32);
  CHECK_EQUAL(lut::flute_tile_p(3, 0), 32);
  CHECK(has(read_text(R"({"group_size": 64})").error().message, "num_bits is missing"));
  CHECK(has(read_text(R"({"num_bits": 8, "group_size": 64})").error().message, "num_bits"));
  CHECK(has(read_text(R"({"num_bits": 4, "group_size": "64"})").error().message, "group_size"));
  CHECK(has(read_text(R"({"num_bits": 4, "group_size": 64, "tune_metadata": 3})").error().message, "tune_metadata"));
  CHECK_EQUAL(read_text("[]").error().code, "bad-file");
}

TEST("config.json of HIGGS tells codebook, transform and what stays dense") {
  const testing::TemporaryFolder folder;
  const auto read_text = [&](const std::string& text) {
    testing::write_file(folder / "config.json", testing::bytes_of(text));
    return lut::read_higgs_config(folder.path());
  };
  const auto plain = read_text(R"({"quantization_config": {"quant_method": "higgs"}})");
  REQUIRE(plain.ok());
  CHECK_EQUAL(plain->p, 2);
  CHECK_EQUAL(plain->group_size, 256);
  CHECK_EQUAL(plain->hadamard_size, 512);
  CHECK(plain->skips("lm_head"));
  const auto full = read_text(R"({"quantization_config": {"quant_method": "higgs", "bits": 2, "p": 1,
    "group_size": 128, "hadamard_size": 1024, "modules_to_not_convert": ["mlp.down_proj.weight"],
    "tune_metadata": {"model.q": {"template_id": 3, "num_sms": 84}}}})");
  REQUIRE(full.ok());
  CHECK_EQUAL(full->bits, 2);
  CHECK_EQUAL(full->hadamard_size, 1024);
  CHECK_EQUAL(full->tile_p.of("model.q"), 64);
  CHECK(full->skips("model.layers.0.mlp.down_proj"));
  CHECK(!full->skips("model.layers.0.xmlp.down_proj"));
  CHECK(!full->skips("lm_head"));
  CHECK(has(read_text(R"({})").error().message, "quantization_config"));
  CHECK(has(read_text(R"({"quantization_config": {"quant_method": "gptq"}})").error().message, "quant_method"));
  CHECK(has(read_text(R"({"quantization_config": {"quant_method": "higgs", "p": 3}})").error().message, "p is no"));
  CHECK(has(read_text(R"({"quantization_config": {"quant_method": "higgs", "hadamard_size": 500}})").error().message,
            "hadamard_size"));
}
