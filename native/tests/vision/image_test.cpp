#include "vision/image.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/npy.h"
#include "files.h"
#include "graph/error.h"
#include "testing.h"

namespace lutra::vision {
namespace {

using testing::golden_folder;

core::Json json_of(const std::string& text) {
  auto json = core::parse_json(text, "test");
  REQUIRE(json.ok());
  return *json;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

core::NpzArchive archive_of(const std::string& name) {
  auto archive = core::read_npz(golden_folder + "/pictures/" + name + ".npz");
  REQUIRE(archive.ok());
  return *archive;
}

struct Loaded {
  std::vector<std::uint8_t> rgb;
  Picture picture;
};

Loaded picture_of(const core::NpyArray& array) {
  Loaded result;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(array.bytes.data());
  result.rgb.assign(bytes, bytes + array.bytes.size());
  result.picture = {array.shape[1], array.shape[0], result.rgb};
  return result;
}

/// All values of what was prepared, one picture after the other.
std::vector<float> values_of(const Prepared& prepared) {
  std::vector<float> values;
  for (const Pixels& pixels : prepared.pictures)
    values.insert(values.end(), pixels.values.begin(), pixels.values.end());
  return values;
}

double worst(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return 1e9;
  double most = 0;
  for (std::size_t i = 0; i < actual.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
  return most;
}

core::Error error_of(const std::string& settings, const std::string& config = "{}") {
  const auto made = Preprocessor::parse(json_of(settings), json_of(config));
  return made ? core::Error{} : made.error();
}

TEST("every processor's pictures are the reference's, for each shape of picture") {
  const auto pictures = archive_of("rgb");
  for (const std::string name : {"mllama", "evlm-stretch", "evlm-pad", "siglip", "clip", "mplugowl3"}) {
    const auto settings = json_of(text_of(golden_folder + "/pictures/" + name + ".json"));
    const auto processor = Preprocessor::parse(settings, json_of("{}"));
    REQUIRE(processor.ok());
    std::size_t compared = 0;
    for (const std::size_t count : {1, 3}) {
      core::ThreadPool threads(count);
      for (const auto& [key, expected] : archive_of(name)) {
        const auto slash = key.find('/');
        if (key.substr(slash + 1) != "pixel_values") continue;
        const Loaded loaded = picture_of(pictures.at(key.substr(0, slash)));
        const Prepared prepared = (*processor)(loaded.picture, true, threads);
        // The reference's own rounding aside, not a single byte differs.
        testing::check(worst(values_of(prepared), expected.to_floats()) < 1e-5, (name + " " + key).c_str());
        ++compared;
      }
    }
    CHECK(compared >= 4);
  }
}

TEST("tiles say their arrangement as mllama counts it") {
  const auto pictures = archive_of("rgb");
  const auto expected = archive_of("mllama");
  const auto processor = Preprocessor::parse(json_of(text_of(golden_folder + "/pictures/mllama.json")), json_of("{}"));
  REQUIRE(processor.ok());
  core::ThreadPool threads(1);
  for (const auto& [name, array] : pictures) {
    const Pixels pixels = (*processor)(picture_of(array).picture, true, threads).pictures.front();
    CHECK_EQUAL(static_cast<float>(pixels.aspect_ratio_id),
                expected.at(name + "/aspect_ratio_ids").to_floats().front());
    const auto mask = expected.at(name + "/aspect_ratio_mask").to_floats();
    for (std::size_t tile = 0; tile < mask.size(); ++tile) CHECK_EQUAL(pixels.tiles[tile], mask[tile] != 0);
  }
}

TEST("a frame of a clip is not cut into pieces") {
  const auto processor =
      Preprocessor::parse(json_of(R"({"image_processor_type": "mPLUGOwl3ImageProcessor"})"),
                          json_of(R"({"model_type": "mplugowl3", "vision_config": {"image_size": 28}})"));
  REQUIRE(processor.ok());
  core::ThreadPool threads(1);
  const Loaded loaded = picture_of(archive_of("rgb").at("97x61"));
  const Prepared cut = (*processor)(loaded.picture, true, threads);
  const Prepared whole = (*processor)(loaded.picture, false, threads);
  CHECK_EQUAL(whole.pictures.size(), std::size_t{1});
  CHECK_EQUAL(cut.pictures.size(), static_cast<std::size_t>(cut.rows * cut.columns + 1));
  CHECK(cut.pictures.back().values == whole.pictures.front().values);
}

TEST("a panorama 20,000 pixels long becomes a picture") {
  constexpr std::int64_t length = 20'000;
  const std::vector<std::uint8_t> grey(length * 30 * 3, 128);
  core::ThreadPool threads(2);
  for (const std::string name : {"mllama", "evlm-stretch", "evlm-pad", "siglip", "clip", "mplugowl3"}) {
    const auto processor =
        Preprocessor::parse(json_of(text_of(golden_folder + "/pictures/" + name + ".json")), json_of("{}"));
    REQUIRE(processor.ok());
    for (const auto& [width, height] : {std::pair{length, std::int64_t{30}}, std::pair{std::int64_t{30}, length}}) {
      const Pixels pixels = (*processor)({width, height, grey}, true, threads).pictures.front();
      CHECK(pixels.values.size() <= 4 * 3 * 42 * 42);
      CHECK(std::all_of(pixels.values.begin(), pixels.values.end(), [](float value) { return std::isfinite(value); }));
    }
  }
}

TEST("a picture without its pixels is refused") {
  const auto processor = Preprocessor::parse(json_of(text_of(golden_folder + "/pictures/siglip.json")), json_of("{}"));
  REQUIRE(processor.ok());
  core::ThreadPool threads(1);
  const std::vector<std::uint8_t> bytes(10);
  for (const Picture& picture : {Picture{0, 0, {}}, Picture{3, 3, bytes}, Picture{-1, 4, bytes}}) {
    bool is_refused = false;
    try {
      static_cast<void>((*processor)(picture, false, threads));
    } catch (const graph::GraphError& error) {
      is_refused = error.code() == "bad-input";
    }
    CHECK(is_refused);
  }
}

TEST("settings that cannot be are refused by the name of the field") {
  const std::string norm = R"("image_mean": [0, 0, 0], "image_std": [1, 1, 1])";
  CHECK_EQUAL(error_of("{" + norm + "}").subject, "size");
  CHECK_EQUAL(error_of(R"({"size": {"height": 28}, )" + norm + "}").subject, "size.width");
  CHECK_EQUAL(error_of(R"({"size": {"height": 28, "width": 0}, )" + norm + "}").subject, "size.width");
  CHECK_EQUAL(error_of(R"({"size": 28, "resample": 1, )" + norm + "}").subject, "resample");
  CHECK_EQUAL(error_of(R"({"size": 28, "fit": "squeeze", )" + norm + "}").subject, "fit");
  CHECK_EQUAL(error_of(R"({"size": 28})").subject, "image_mean");
  CHECK_EQUAL(error_of(R"({"size": 28, "image_mean": [0, 0, 0], "image_std": [1, 0, 1]})").subject, "image_std");
  CHECK_EQUAL(error_of(R"({"size": 28, "image_mean": [0, "a", 0], "image_std": 1})").subject, "image_mean");
  CHECK_EQUAL(error_of(R"({"size": 16000, )" + norm + "}").subject, "size");
  const std::string mllama = R"({"model_type": "mllama"})";
  CHECK_EQUAL(error_of(R"({"size": {"height": 28, "width": 42}, )" + norm + "}", mllama).subject, "size");
  CHECK_EQUAL(error_of(R"({"size": 28, "max_image_tiles": 0, )" + norm + "}", mllama).subject, "max_image_tiles");
  CHECK_EQUAL(error_of("{}", R"({"model_type": "mplugowl3"})").subject, "image_size");
  CHECK_EQUAL(error_of(R"({"size": 28, )" + norm + "}").code, "");
  const auto missing = Preprocessor::read(golden_folder + "/evlm-lut");
  CHECK(!missing.ok() && missing.error().code == "file-access");
}

}  // namespace
}  // namespace lutra::vision
