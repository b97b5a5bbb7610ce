#include "testing.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

namespace lutra::testing {

graph::LibraryPaths library_paths(const std::string& shipped, const std::string& own) {
  namespace fs = std::filesystem;
  graph::LibraryPaths paths;
  paths.backend_folder = shipped;
  for (const auto& entry : fs::directory_iterator(shipped)) {
    const std::string name = entry.path().filename().string();
    if (name.find("ggml-base.") != std::string::npos) paths.base = entry.path().string();
    if (name.starts_with("libggml.") || name.starts_with("ggml.")) paths.registry = entry.path().string();
  }
  if (own.empty()) return paths;
  for (const auto& entry : fs::directory_iterator(own)) {
    if (entry.path().filename().string().find("ggml-cpu-") != std::string::npos) {
      paths.cpu_modules.push_back(entry.path().string());
    }
  }
  return paths;
}

std::vector<float> noise(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(generator()) / 2147483648.0F - 1.0F;
  return values;
}

namespace {
size_t product(const std::vector<int64_t>& ne) {
  size_t count = 1;
  for (const int64_t n : ne) count *= static_cast<size_t>(n);
  return count;
}
}  // namespace

Data weight(std::string name, ggml_type type, std::vector<int64_t> ne, uint32_t seed) {
  const size_t count = product(ne);
  return {std::move(name), type, std::move(ne), noise(count, seed), true};
}

Data input(std::string name, std::vector<int64_t> ne, uint32_t seed) {
  const size_t count = product(ne);
  return {std::move(name), GGML_TYPE_F32, std::move(ne), noise(count, seed), false};
}

Data ids(std::string name, std::vector<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {std::move(name), GGML_TYPE_I32, {count}, std::move(values), false};
}

double nmse(const std::vector<float>& actual, const Values& expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  double power = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    power += expected[i] * expected[i];
  }
  const double ratio = difference / power;
  return std::isfinite(ratio) ? ratio : std::numeric_limits<double>::infinity();
}

}  // namespace lutra::testing
