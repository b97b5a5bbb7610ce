#include "core/npy.h"

#include <cstring>

#include "core/inflate.h"
#include "core/mapped_file.h"
#include "files.h"
#include "testing.h"

using namespace lutra;
using core::NpyArray;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::vector<std::byte> golden_bytes(const std::string& name) {
  const auto file = core::MappedFile::open(testing::golden_folder + "/" + name);
  return {file->bytes().begin(), file->bytes().end()};
}

}  // namespace

TEST("NumPy's archives are read, stored and deflated, every type, both orders") {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const auto archive = core::read_npz(testing::golden_folder + "/" + name);
    REQUIRE(archive.ok());
    for (const char* key : {"u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "fortran"}) {
      const NpyArray& array = archive->at(key);
      CHECK((array.shape == std::vector<std::int64_t>{2, 3, 4}));
      const auto values = array.to_floats();
      for (std::size_t i = 0; i < values.size(); ++i) CHECK_EQUAL(values[i], static_cast<float>(i));
    }
    CHECK_EQUAL(archive->at("b1").to_floats()[1], 1.0F);
    CHECK(archive->at("scalar").shape.empty());
    CHECK_EQUAL(archive->at("scalar").to_floats().at(0), 2.5F);
    CHECK((archive->at("empty").shape == std::vector<std::int64_t>{0, 5}));
  }
}

TEST("what is written is read back the same, by a name with any letters") {
  const testing::TemporaryFolder folder;
  const std::vector<float> values = {1, -2, 3.5F, 0, 5, 6};
  core::NpzArchive archive;
  archive.emplace("水獭/eins", core::npy_from_floats(values, {2, 3}));
  archive.emplace("none", core::npy_from_floats({}, {0}));
  archive.emplace("one", core::npy_from_floats(std::span(values).first(1), {}));
  REQUIRE(core::write_npz(folder / "a.npz", archive).ok());
  const auto back = core::read_npz(folder / "a.npz");
  REQUIRE(back.ok());
  CHECK_EQUAL(back->size(), 3U);
  CHECK((back->at("水獭/eins").shape == std::vector<std::int64_t>{2, 3}));
  CHECK((back->at("水獭/eins").to_floats() == values));
  CHECK(back->at("one").shape.empty());
}

TEST("a folder that cannot be written is said, and leaves no half file") {
  const testing::TemporaryFolder folder;
  const auto written = core::write_npz(folder / "no/such/folder.npz", {});
  REQUIRE(!written.ok());
  CHECK_EQUAL(written.error().code, "file-access");
  const std::string path = folder.path();
  CHECK(std::filesystem::is_empty(std::filesystem::path(std::u8string(path.begin(), path.end()))));
}

TEST("damaged archives are refused: cut, flipped, or larger than they say") {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const auto bytes = golden_bytes(name);
    CHECK(!core::parse_npz(std::span(bytes).first(bytes.size() / 2), "cut.npz").ok());
    CHECK(!core::parse_npz({}, "empty.npz").ok());
    auto flipped = bytes;
    flipped[200] ^= std::byte{0x10};
    CHECK(!core::parse_npz(flipped, "flipped.npz").ok());
    CHECK(has(core::parse_npz(bytes, "bomb.npz", 100).error().message, "more than is allowed"));
  }
}

TEST("headers that NumPy does not write are refused") {
  const auto npy = [](std::string header, std::size_t data) {
    std::vector<std::byte> file = testing::bytes_of(std::string_view("\x93NUMPY\x01\x00", 8));
    file.push_back(static_cast<std::byte>(header.size()));
    file.push_back(std::byte{0});
    const auto text = testing::bytes_of(header);
    file.insert(file.end(), text.begin(), text.end());
    file.resize(file.size() + data);
    return core::parse_npy(file, "x.npy");
  };
  CHECK(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8).ok());
  CHECK(!npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8).ok());
  CHECK(!npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", 16).ok());
  CHECK(!npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8).ok());
  CHECK(!npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8).ok());
  CHECK(!npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0).ok());
  CHECK(!npy("{'descr': '<f4', 'fortran_order': False}", 8).ok());
  CHECK(!npy("__import__('os').system('true')", 8).ok());
}

TEST("types that NumPy has no name for are said, not written wrong") {
  const NpyArray array{core::Dtype::bf16, {1}, std::vector<std::byte>(2)};
  CHECK_EQUAL(core::encode_npy(array).error().code, "not-supported");
}

TEST("the checksum is zip's") { CHECK_EQUAL(core::crc32(testing::bytes_of("123456789")), 0xCBF43926U); }
