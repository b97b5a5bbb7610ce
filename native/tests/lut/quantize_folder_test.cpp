#include "lut/quantize_folder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "core/dtype.h"
#include "core/json.h"
#include "core/mapped_file.h"
#include "core/safetensors.h"
#include "files.h"
#include "lut/formats.h"
#include "testing.h"

#ifndef _WIN32
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

using namespace lutra;
namespace fs = std::filesystem;

namespace {

using Table = lut::QuantizeOptions::Table;
using Shape = std::vector<std::int64_t>;

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

fs::path native_path(const std::string& path) { return {std::u8string(path.begin(), path.end())}; }

std::string text_of(const std::string& path) {
  const auto file = core::MappedFile::open(path);
  REQUIRE(file.ok());
  return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

void write_text(const std::string& path, std::string_view text) { testing::write_file(path, testing::bytes_of(text)); }

/// Every file of a folder with its bytes.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::directory_iterator(native_path(folder))) {
    const std::u8string path = entry.path().u8string();
    all[entry.path().filename().string()] = text_of({path.begin(), path.end()});
  }
  return all;
}

struct Source {
  std::string name;
  core::Dtype dtype;
  Shape shape;
};

// Two layers, three types, biases, a convolution that only looks like a projection, and columns of odd lengths.
const std::vector<Source> sources = {
    {"lm_head.weight", core::Dtype::bf16, {40, 96}},
    {"model.embed_tokens.weight", core::Dtype::bf16, {40, 96}},
    {"model.layers.0.input_layernorm.weight", core::Dtype::bf16, {96}},
    {"model.layers.0.mlp.down_proj.weight", core::Dtype::f16, {96, 130}},
    {"model.layers.0.mlp.gate_proj.weight", core::Dtype::f32, {130, 96}},
    {"model.layers.0.mlp.up_proj.weight", core::Dtype::bf16, {130, 96}},
    {"model.layers.0.self_attn.k_proj.weight", core::Dtype::bf16, {32, 96}},
    {"model.layers.0.self_attn.q_proj.bias", core::Dtype::bf16, {96}},
    {"model.layers.0.self_attn.q_proj.weight", core::Dtype::bf16, {96, 96}},
    {"model.patch_proj.weight", core::Dtype::f32, {4, 3, 2, 2}},
    {"model.position_ids", core::Dtype::i64, {8}},
};

std::vector<std::byte> random_bytes(const Source& source, unsigned seed) {
  const auto size = static_cast<std::size_t>(*core::byte_size(source.shape, source.dtype));
  std::vector<std::byte> bytes(size);
  if (source.dtype == core::Dtype::i64) return bytes;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02F);
  std::vector<float> values(size / core::size_of(source.dtype));
  for (float& value : values) value = normal(random);
  core::from_f32(values, source.dtype, bytes);
  return bytes;
}

using Weights = std::vector<std::pair<Source, std::vector<std::byte>>>;

void write_weights(const std::string& path, const Weights& weights) {
  std::string header = "{";
  std::vector<std::byte> data;
  for (const auto& [source, bytes] : weights) {
    std::string shape;
    for (const std::int64_t length : source.shape) shape += (shape.empty() ? "" : ",") + std::to_string(length);
    header += (header.size() > 1 ? ",\"" : "\"") + source.name + R"(":{"dtype":")" +
              std::string(core::name_of(source.dtype)) + R"(","shape":[)" + shape + R"(],"data_offsets":[)" +
              std::to_string(data.size()) + "," + std::to_string(data.size() + bytes.size()) + "]}";
    data.insert(data.end(), bytes.begin(), bytes.end());
  }
  auto file = testing::safetensors_file(header + "}", 0);
  file.insert(file.end(), data.begin(), data.end());
  testing::write_file(path, file);
}

constexpr std::string_view config_text =
    "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"rms_norm_eps\": 1e-05,\n  \"rope_theta\": 500000.0,\n"
    "  \"note\": \"a } brace, a \\\" quote\",\n  \"vocab_size\": 40\n}\n";

/// A small model's folder, and where its quantized copy may go.
class Model {
 public:
  Model() {
    fs::create_directories(native_path(source()));
    Weights weights;
    unsigned seed = 0;
    for (const Source& each : sources) weights.emplace_back(each, random_bytes(each, ++seed));
    write_weights(source() + "/model.safetensors", weights);
    write_text(source() + "/config.json", config_text);
    write_text(source() + "/tokenizer.json", "{\"a\": 1}");
    write_text(source() + "/tokenizer.model", "model");
    write_text(source() + "/chat_template.jinja", "{{ x }}");
    write_text(source() + "/LICENSE", "free");
    write_text(source() + "/pytorch_model.bin", "no");
    write_text(source() + "/.hidden", "no");
  }

  [[nodiscard]] std::string source() const { return folder_ / "in"; }
  [[nodiscard]] std::string target() const { return folder_ / "out"; }
  [[nodiscard]] std::string other() const { return folder_ / "other"; }
  [[nodiscard]] std::string part() const { return folder_ / "out.part"; }

 private:
  testing::TemporaryFolder folder_;
};

lut::QuantizeFolderOptions options(int bits = 4, Table table = Table::learned) {
  lut::QuantizeFolderOptions how;
  how.weights.bits = bits;
  how.weights.table = table;
  how.threads = 2;
  return how;
}

bool exists(const std::string& path) { return fs::exists(native_path(path)); }

}  // namespace

TEST("a quantized folder holds what quantize() gives for projections, and all else as it was") {
  const Model model;
  const auto original = core::Safetensors::open(model.source());
  REQUIRE(original.ok());
  for (const int bits : {2, 3, 4}) {
    for (const bool per_row : {false, true}) {
      auto how = options(bits);
      how.weights.table_per_row = per_row;
      const std::string target = model.target() + std::to_string(bits) + (per_row ? "r" : "");
      const auto report = lut::quantize_folder(model.source(), target, how);
      if (!report) std::cerr << report.error().message << '\n';
      REQUIRE(report.ok());
      CHECK_EQUAL(report->tensors.size(), sources.size());
      const auto written = core::Safetensors::open(target);
      REQUIRE(written.ok());
      std::size_t quantized = 0;
      for (std::size_t i = 0; i < sources.size(); ++i) {
        const lut::TensorReport& tensor = report->tensors[i];
        const core::TensorView& view = *original->find(sources[i].name);
        CHECK_EQUAL(tensor.name, sources[i].name);
        CHECK_EQUAL(tensor.source_bytes, view.bytes.size());
        if (!tensor.quantized) {
          const core::TensorView* copy = written->find(tensor.name);
          REQUIRE(copy != nullptr);
          CHECK(copy->shape == view.shape && copy->dtype == view.dtype);
          CHECK(std::equal(view.bytes.begin(), view.bytes.end(), copy->bytes.begin(), copy->bytes.end()));
          continue;
        }
        ++quantized;
        std::vector<float> weight(static_cast<std::size_t>(view.elements()));
        core::to_f32(view.dtype, view.bytes, weight);
        const auto wanted = lut::quantize(weight, view.shape[0], view.shape[1], how.weights, {}, 1, {});
        const std::string module = tensor.name.substr(0, tensor.name.size() - 7);
        const auto matrix = lut::read_lut(*written, module, view.shape[0], view.shape[1], bits, 64);
        REQUIRE(matrix.ok());
        CHECK(matrix->codes == wanted->matrix.codes);
        CHECK(matrix->scales == wanted->matrix.scales);
        CHECK(matrix->table == wanted->matrix.table);
        CHECK_EQUAL(tensor.relative_error, wanted->relative_error);
      }
      CHECK_EQUAL(quantized, 5U);
      const auto files = contents(target);
      CHECK_EQUAL(files.size(), 6U);
      CHECK_EQUAL(files.at("tokenizer.json"), "{\"a\": 1}");
      CHECK_EQUAL(files.at("LICENSE"), "free");
      const auto size = lut::predict_size(model.source(), how);
      REQUIRE(size.ok());
      CHECK_EQUAL(size->weight_bytes, files.at("model.safetensors").size());
      CHECK_EQUAL(size->source_bytes, report->source_bytes);
      CHECK_EQUAL(size->quantized_tensors, 5U);
      CHECK(!exists(target + ".part"));
    }
  }
}

TEST("config.json keeps its text and gains one field") {
  const Model model;
  int count = 0;
  const auto quantized = [&](std::string_view text) {
    write_text(model.source() + "/config.json", text);
    const std::string target = model.target() + std::to_string(++count);
    const auto report = lut::quantize_folder(model.source(), target, options(3, Table::nf));
    if (!report) std::cerr << report.error().message << '\n';
    REQUIRE(report.ok());
    const std::string result = text_of(target + "/config.json");
    const auto json = core::parse_json(result, "config.json");
    REQUIRE(json.ok());
    const core::Json* field = json->find("quantization_config");
    REQUIRE(field != nullptr);
    CHECK_EQUAL(*field->find("quant_method")->string(), "lut");
    CHECK_EQUAL(*field->find("bits")->whole(), 3);
    CHECK_EQUAL(*field->find("group_size")->whole(), 64);
    CHECK_EQUAL(*field->find("table")->string(), "nf");
    CHECK_EQUAL(*field->find("version")->whole(), 1);
    return result;
  };
  const std::string result = quantized(config_text);
  CHECK(result.starts_with(config_text.substr(0, config_text.size() - 3)));
  CHECK(result.ends_with("}\n}\n"));
  quantized("{}");
  quantized(R"({"a":{"quantization_config":null},"b":[1,{"c":2}]})");
  CHECK(quantized(R"({"a": "x", "quantization_config": null, "b": 0.10})").ends_with(R"(, "b": 0.10})"));
  CHECK(quantized("{\"a\": [\"}\"], \"quantization_config\" : null\n}").ends_with("\n}"));
}

TEST("what a skip pattern matches stays as it is") {
  const Model model;
  auto how = options();
  const auto count = [&](std::vector<std::string> skip) {
    how.skip = std::move(skip);
    return lut::predict_size(model.source(), how)->quantized_tensors;
  };
  CHECK_EQUAL(count({}), 5U);
  CHECK_EQUAL(count({"*.mlp.*"}), 2U);
  CHECK_EQUAL(count({"*down_proj", "*.k_proj.weight"}), 3U);
  CHECK_EQUAL(count({"down_proj"}), 5U);
  CHECK_EQUAL(count({"model.*.0.*gate*weight", "***q_proj**"}), 3U);
  how.skip = {"*"};
  const auto nothing = lut::quantize_folder(model.source(), model.target(), how);
  CHECK_EQUAL(nothing.error().code, "bad-input");
  CHECK(!exists(model.target()) && !exists(model.part()));
}

TEST("weights are cut into files of a size, with an index") {
  const Model model;
  auto how = options();
  const auto whole = lut::quantize_folder(model.source(), model.other(), how);
  how.shard_bytes = 20'000;
  REQUIRE(lut::quantize_folder(model.source(), model.target(), how).ok());
  const auto files = contents(model.target());
  const auto size = lut::predict_size(model.source(), how);
  std::uint64_t bytes = 0;
  std::size_t pieces = 0;
  for (const auto& [name, text] : files) {
    if (!name.ends_with(".safetensors")) continue;
    CHECK(text.size() <= how.shard_bytes);
    bytes += text.size();
    ++pieces;
  }
  CHECK(pieces > 2);
  CHECK_EQUAL(size->files, pieces);
  CHECK_EQUAL(size->weight_bytes, bytes);
  CHECK(files.contains("model.safetensors.index.json"));
  const auto one = core::Safetensors::open(model.other());
  const auto several = core::Safetensors::open(model.target());
  REQUIRE(several.ok());
  CHECK_EQUAL(one->tensors().size(), several->tensors().size());
  for (const auto& [name, view] : one->tensors()) {
    const auto* same = several->find(name);
    REQUIRE(same != nullptr);
    CHECK(std::equal(view.bytes.begin(), view.bytes.end(), same->bytes.begin(), same->bytes.end()));
  }
}

TEST("a source in several files gives the same as in one") {
  const Model model;
  REQUIRE(lut::quantize_folder(model.source(), model.other(), options()).ok());
  fs::remove(native_path(model.source() + "/model.safetensors"));
  Weights halves[2];
  std::string map;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::size_t half = i % 2;
    halves[half].emplace_back(sources[i], random_bytes(sources[i], static_cast<unsigned>(i + 1)));
    map += (map.empty() ? "\"" : ",\"") + sources[i].name + "\":\"part" + std::to_string(half) + ".safetensors\"";
  }
  write_weights(model.source() + "/part0.safetensors", halves[0]);
  write_weights(model.source() + "/part1.safetensors", halves[1]);
  write_text(model.source() + "/model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  REQUIRE(lut::quantize_folder(model.source(), model.target(), options()).ok());
  CHECK(contents(model.target()) == contents(model.other()));
}

TEST("stopped after any tensor, a second call goes on and gives the same bytes") {
  const Model model;
  auto how = options(3);
  how.shard_bytes = 30'000;
  REQUIRE(lut::quantize_folder(model.source(), model.other(), how).ok());
  const auto wanted = contents(model.other());
  for (std::size_t after = 1; after <= sources.size(); ++after) {
    std::stop_source stop;
    std::size_t seen = 0;
    const auto stopped = lut::quantize_folder(model.source(), model.target(), how, core::Progress(stop.get_token()),
                                              [&](const auto&, std::uint64_t done, std::uint64_t total) {
                                                CHECK(done <= total);
                                                if (++seen == after) stop.request_stop();
                                              });
    if (after < sources.size()) {
      REQUIRE(!stopped.ok());
      CHECK_EQUAL(stopped.error().code, "cancelled");
      CHECK(!exists(model.target()));
      CHECK_EQUAL(seen, after);
      const auto report = lut::quantize_folder(model.source(), model.target(), how);
      REQUIRE(report.ok());
      CHECK_EQUAL(report->tensors.size(), sources.size());
    }
    CHECK(contents(model.target()) == wanted);
    CHECK(!exists(model.part()));
    fs::remove_all(native_path(model.target()));
  }
}

TEST("stopped within a weight, it goes on as well") {
  const Model model;
  const auto how = options();
  REQUIRE(lut::quantize_folder(model.source(), model.other(), how).ok());
  std::stop_source stop;
  const core::Progress progress(stop.get_token(), [&](std::uint64_t done, std::uint64_t total) {
    if (done > total / 2) stop.request_stop();
  });
  CHECK_EQUAL(lut::quantize_folder(model.source(), model.target(), how, progress).error().code, "cancelled");
  REQUIRE(lut::quantize_folder(model.source(), model.target(), how).ok());
  CHECK(contents(model.target()) == contents(model.other()));
}

TEST("what was damaged while it was stopped is made again") {
  const Model model;
  auto how = options();
  how.shard_bytes = 30'000;
  REQUIRE(lut::quantize_folder(model.source(), model.other(), how).ok());
  const auto wanted = contents(model.other());
  const auto spoil_all = {+[](std::string& text) { text[text.size() - 3] ^= 1; },
                          +[](std::string& text) { text.resize(text.size() / 2); },
                          +[](std::string& text) { text += "x"; }, +[](std::string& text) { text[9] = '?'; }};
  for (const auto spoil : spoil_all) {
    for (const char* ending : {".safetensors", ".log"}) {
      std::stop_source stop;
      std::size_t seen = 0;
      REQUIRE(!lut::quantize_folder(model.source(), model.target(), how, core::Progress(stop.get_token()),
                                    [&](const auto&, auto, auto) {
                                      if (++seen == 7) stop.request_stop();
                                    })
                   .ok());
      for (auto& [name, text] : contents(model.part())) {
        if (!name.ends_with(ending)) continue;
        std::string spoilt = text;
        spoil(spoilt);
        write_text(model.part() + "/" + name, spoilt);
      }
      const auto resumed = lut::quantize_folder(model.source(), model.target(), how);
      if (resumed) {
        CHECK(contents(model.target()) == wanted);
      } else {
        // The log's first line no longer says whose it is.
        CHECK_EQUAL(resumed.error().code, "conflict");
        CHECK_EQUAL(std::string(ending), ".log");
      }
      fs::remove_all(native_path(model.target()));
      fs::remove_all(native_path(model.part()));
    }
  }
}

TEST("a folder that is something else, or of another model or other options, is left alone") {
  const Model model;
  fs::create_directories(native_path(model.target()));
  REQUIRE(lut::quantize_folder(model.source(), model.target() + "/", options()).ok());
  const auto before = contents(model.target());
  const auto again = lut::quantize_folder(model.source(), model.target(), options());
  CHECK_EQUAL(again.error().code, "conflict");
  CHECK(contents(model.target()) == before);
  CHECK_EQUAL(lut::quantize_folder(model.source(), model.source(), options()).error().code, "conflict");
  fs::remove_all(native_path(model.target()));

  fs::create_directories(native_path(model.part()));
  write_text(model.part() + "/letter.txt", "mine");
  CHECK_EQUAL(lut::quantize_folder(model.source(), model.target(), options()).error().code, "conflict");
  CHECK_EQUAL(contents(model.part()).size(), 1U);
  fs::remove_all(native_path(model.part()));

  std::stop_source stop;
  REQUIRE(!lut::quantize_folder(model.source(), model.target(), options(), core::Progress(stop.get_token()),
                                [&](const auto&, auto, auto) { stop.request_stop(); })
               .ok());
  CHECK_EQUAL(lut::quantize_folder(model.source(), model.target(), options(3)).error().code, "conflict");
  CHECK_EQUAL(lut::quantize_folder(model.source(), model.target(), options(4, Table::nf)).error().code, "conflict");
  write_text(model.source() + "/config.json", "{}");
  CHECK_EQUAL(lut::quantize_folder(model.source(), model.target(), options()).error().code, "conflict");
  write_text(model.source() + "/config.json", config_text);
  CHECK(lut::quantize_folder(model.source(), model.target(), options()).ok());
}

TEST("killed between its last two steps, it only tidies up") {
  const Model model;
  REQUIRE(lut::quantize_folder(model.source(), model.other(), options()).ok());
  std::string log;
  REQUIRE(lut::quantize_folder(model.source(), model.target(), options(), {}, [&](const auto&, auto, auto) {
            log = text_of(model.part() + "/lutra-quantize.log");
          }).ok());
  write_text(model.target() + "/lutra-quantize.log", log);
  const auto report = lut::quantize_folder(model.source(), model.target(), options());
  REQUIRE(report.ok());
  CHECK_EQUAL(report->tensors.size(), sources.size());
  CHECK(contents(model.target()) == contents(model.other()));
}

TEST("a weight with NaN is refused by its name, and nothing has the final name") {
  const Model model;
  Weights weights;
  for (const Source& each : sources) weights.emplace_back(each, random_bytes(each, 1));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(weights[4].second.data() + 4 * (96 * 2 + 7), &nan, 4);
  write_weights(model.source() + "/model.safetensors", weights);
  const auto refused = lut::quantize_folder(model.source(), model.target(), options());
  REQUIRE(!refused.ok());
  CHECK_EQUAL(refused.error().code, "bad-file");
  CHECK_EQUAL(refused.error().subject, "model.layers.0.mlp.gate_proj.weight");
  CHECK(has(refused.error().message, "gate_proj.weight"));
  CHECK(has(refused.error().message, "row 2, column 7"));
  CHECK(!exists(model.target()));
}

TEST("sources that cannot be quantized are refused before anything is written") {
  const Model model;
  const auto code = [&](const lut::QuantizeFolderOptions& how = options()) {
    const auto result = lut::quantize_folder(model.source(), model.target(), how);
    REQUIRE(!result.ok());
    CHECK(!exists(model.part()) && !exists(model.target()));
    return result.error().code;
  };
  CHECK_EQUAL(code(options(5)), "bad-input");
  write_text(model.source() + "/config.json", R"({"quantization_config": {"quant_method": "gptq"}})");
  CHECK_EQUAL(code(), "not-supported");
  write_text(model.source() + "/config.json", "[1]");
  CHECK_EQUAL(code(), "bad-file");
  fs::remove(native_path(model.source() + "/config.json"));
  CHECK_EQUAL(code(), "file-access");
  write_text(model.source() + "/config.json", "{}");
  write_text(model.source() + "/model.safetensors", "not one");
  CHECK_EQUAL(code(), "bad-file");
  CHECK_EQUAL(lut::quantize_folder(model.other(), model.target(), options()).error().code, "file-access");
}

TEST("a place that cannot be written is told as file-access") {
  const Model model;
  write_text(model.other(), "a file, no folder");
  const auto refused = lut::quantize_folder(model.source(), model.other() + "/out", options());
  REQUIRE(!refused.ok());
  CHECK_EQUAL(refused.error().code, "file-access");
}

#ifndef _WIN32
TEST("where the disk takes no more, that is said, nothing has the final name, and it goes on later") {
  const Model model;
  REQUIRE(lut::quantize_folder(model.source(), model.other(), options()).ok());
  struct rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  struct rlimit small = before;
  small.rlim_cur = 20'000;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto refused = lut::quantize_folder(model.source(), model.target(), options());
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  REQUIRE(!refused.ok());
  CHECK_EQUAL(refused.error().code, "file-access");
  CHECK(has(refused.error().message, "model.safetensors"));
  CHECK(!exists(model.target()));
  REQUIRE(lut::quantize_folder(model.source(), model.target(), options()).ok());
  CHECK(contents(model.target()) == contents(model.other()));
}

TEST("killed, it goes on as well") {
  const Model model;
  auto how = options();
  how.shard_bytes = 30'000;
  REQUIRE(lut::quantize_folder(model.source(), model.other(), how).ok());
  for (const std::size_t after : {std::size_t{1}, std::size_t{4}, sources.size()}) {
    const pid_t child = fork();
    if (child == 0) {
      std::size_t seen = 0;
      (void)lut::quantize_folder(model.source(), model.target(), how, {}, [&](const auto&, auto, auto) {
        if (++seen == after) (void)::kill(getpid(), SIGKILL);
      });
      _exit(1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(!exists(model.target()) && exists(model.part()));
    REQUIRE(lut::quantize_folder(model.source(), model.target(), how).ok());
    CHECK(contents(model.target()) == contents(model.other()));
    fs::remove_all(native_path(model.target()));
  }
}
#endif
