#include "core/safetensors.h"

#include <array>

#include "core/json.h"
#include "files.h"
#include "testing.h"

using namespace lutra;
using core::Safetensors;

namespace {

/// The message of the refusal; empty where it was accepted.
std::string refusal(std::span<const std::byte> file) {
  const auto result = Safetensors::parse(file, "folder/bad.safetensors");
  return result ? "" : result.error().message;
}

std::string refusal(std::string_view header, std::size_t data_size) {
  const auto file = testing::safetensors_file(header, data_size);
  return refusal(file);
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST("a file of the original library opens with every type, shape and name") {
  const auto opened = Safetensors::open(testing::golden_folder + "/types.safetensors");
  REQUIRE(opened.ok());
  CHECK_EQUAL(opened->tensors().size(), 8U);
  CHECK_EQUAL(opened->metadata().at("format"), "np");
  CHECK_EQUAL(opened->metadata().at("说明"), "水獭");
  CHECK(opened->find("名前") != nullptr);
  CHECK(opened->find("none")->bytes.empty());
  CHECK(opened->find("one")->shape.empty());
  std::vector<float> expected(12);
  core::to_f32(core::Dtype::f32, opened->find("single")->bytes, expected);
  CHECK(expected[0] == -2.0F && expected[11] == 2.0F);
  for (const char* name : {"half", "brain"}) {
    std::vector<float> values(12);
    core::to_f32(opened->find(name)->dtype, opened->find(name)->bytes, values);
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(std::abs(values[i] - expected[i]) < 0.01F);
  }
}

TEST("a sharded checkpoint opens by its index, and by its folder") {
  const std::string folder = testing::golden_folder + "/sharded";
  for (const std::string& path : {folder, folder + "/model.safetensors.index.json"}) {
    const auto opened = Safetensors::open(path);
    REQUIRE(opened.ok());
    CHECK_EQUAL(opened->tensors().size(), 2U);
    const std::array<std::int64_t, 2> shape = {4, 4};
    const auto tensor = opened->get("layer.2.weight", shape);
    REQUIRE(tensor.ok());
    std::vector<float> values(16);
    core::to_f32(tensor->dtype, tensor->bytes, values);
    CHECK(values[15] == 2.0F);
  }
}

TEST("a missing tensor and a wrong shape are named, with what was expected") {
  const auto opened = Safetensors::open(testing::golden_folder + "/types.safetensors");
  REQUIRE(opened.ok());
  const std::array<std::int64_t, 2> shape = {4, 3};
  CHECK(has(opened->get("lost", shape).error().message, "\"lost\" is missing"));
  const std::string message = opened->get("half", shape).error().message;
  CHECK(has(message, "\"half\"") && has(message, "[3, 4]") && has(message, "[4, 3]"));
}

TEST("what does not add up is refused, and the message names the file and the tensor") {
  CHECK(has(refusal(std::vector<std::byte>(3)), "too short"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "\"a\" reaches beyond the end"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "bad.safetensors"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "does not match its bytes"));
  CHECK(has(refusal(R"({"a":{"dtype":"F12","shape":[2],"data_offsets":[0,8]}})", 8), "unknown dtype \"F12\""));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "whole numbers"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), "whole numbers"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "impossible data_offsets"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8), "no pair"));
  CHECK(has(refusal(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "lacks"));
  CHECK(has(refusal(R"({"a":[]})", 0), "lacks"));
  CHECK(has(refusal(R"([])", 0), "no JSON object"));
  CHECK(has(refusal(R"({"__metadata__":{"a":1}})", 0), "no string"));
  CHECK(has(
      refusal(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
          6),
      "overlaps"));
  CHECK(has(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6), "gap"));
  CHECK(has(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6), "belong to no tensor"));
  CHECK(has(
      refusal(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          1),
      "twice"));
  CHECK(has(refusal("{\"\xC0\xAF\":1}", 0), "UTF-8"));
  CHECK(has(refusal(R"({"a":NaN})", 0), "JSON is wrong"));
}

TEST("sizes that overflow are refused") {
  CHECK(has(refusal(R"({"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0),
            "does not match"));
  CHECK(has(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775807,9223372036854775807]}})", 0),
            "beyond"));
  CHECK(
      has(refusal(R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}})", 1), "whole numbers"));
  auto huge = testing::safetensors_file("{}", 0);
  for (int i = 0; i < 8; ++i) huge[static_cast<std::size_t>(i)] = std::byte{0xFF};
  CHECK(has(refusal(huge), "header would be longer"));
}

TEST("an index may not lead out of its folder, nor name what is not there") {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "model.safetensors.index.json";
  testing::write_file(folder / "one.safetensors",
                      testing::safetensors_file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1));
  const auto refuse = [&](std::string_view text) {
    testing::write_file(path, testing::bytes_of(text));
    const auto opened = Safetensors::open(path);
    return opened ? std::string() : opened.error().message;
  };
  for (const char* name :
       {"../one.safetensors", "/etc/passwd", "a\\\\b.safetensors", "..", "C:one.safetensors", ".one.safetensors", ""}) {
    CHECK(has(refuse(std::string(R"({"weight_map":{"a":")") + name + "\"}}"), "outside its folder"));
  }
  CHECK(has(refuse(R"({"weight_map":{"a":"two.safetensors"}})"), "two.safetensors"));
  CHECK(has(refuse(R"({"weight_map":{"b":"one.safetensors"}})"), "\"b\" is not in"));
  CHECK(has(refuse(R"({})"), "no weight_map"));
  CHECK_EQUAL(refuse(R"({"weight_map":{"a":"one.safetensors"}})"), "");
}

TEST("a file that is missing, empty or a folder is said") {
  const testing::TemporaryFolder folder;
  CHECK_EQUAL(Safetensors::open(folder / "none.safetensors").error().code, "file-access");
  testing::write_file(folder / "empty.safetensors", {});
  CHECK_EQUAL(Safetensors::open(folder / "empty.safetensors").error().code, "bad-file");
  const testing::TemporaryFolder other;
  CHECK(has(Safetensors::open(other.path()).error().message, "no safetensors files"));
}

TEST("JSON is read strictly") {
  const auto fine = core::parse_json(R"( {"a": [1, -2.5e3, true, null, "\u6c34\ud83e\udda6"]} )", "x.json");
  REQUIRE(fine.ok());
  const auto& items = *fine->find("a")->array();
  CHECK(items[0].whole() == 1 && *items[1].number() == -2500.0 && *items[2].boolean() && items[3].is_null());
  CHECK_EQUAL(*items[4].string(), "水🦦");
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "01", "1.", "-", "+1", "\"\n\"", "\"\\x\"", "\"\\ud83e\"",
                           "tru", "1 2", "{\"a\" 1}", "1e999", "'a'"}) {
    CHECK(!core::parse_json(text, "x.json").ok());
  }
  CHECK(has(core::parse_json(std::string(100, '['), "x.json").error().message, "too deeply"));
}
