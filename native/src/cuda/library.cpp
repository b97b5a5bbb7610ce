#include "cuda/library.h"

#include <filesystem>
#include <memory>
#include <mutex>

#include "graph/error.h"

namespace lutra::cuda {
namespace {

std::mutex mutex;
std::unique_ptr<const Library> opened;

}  // namespace

Library::Library(const std::string& path) {
  if (path.empty()) {
    reason_ = "Lutra's own kernels for NVIDIA were not looked for: the settings choose another device.";
    return;
  }
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::path(reinterpret_cast<const char8_t*>(path.c_str())), error)) {
    reason_ = "Lutra's own kernels for NVIDIA are not built (npm run native -- cuda).";
    return;
  }
  std::string problem;
  library_ = graph::SharedLibrary::open(path, problem);
  if (!library_) {
    reason_ = "Lutra's own kernels for NVIDIA do not load: " + problem + ".";
    return;
  }
  const auto get = library_.function<const Interface* (*)()>(interface_symbol);
  const Interface* functions = get == nullptr ? nullptr : get();
  if (functions == nullptr || functions->version != interface_version) {
    reason_ = "Lutra's own kernels for NVIDIA are of another version: build them again.";
    return;
  }
  functions_ = functions;
  look_for_cards();
}

void Library::look_for_cards() {
  Problem problem{};
  std::int32_t count = 0;
  if (functions_->count_devices(&count, &problem) != Code::ok) {
    reason_ = problem.text;
    return;
  }
  reason_ = "NVIDIA's driver found no graphics card.";
  for (std::int32_t index = 0; index < count; ++index) {
    DeviceFacts facts{};
    if (functions_->describe(index, &facts, &problem) != Code::ok) {
      reason_ = problem.text;
    } else if (facts.major < least_major) {
      reason_ = std::string(facts.name) + " has compute capability " + std::to_string(facts.major) + "." +
                std::to_string(facts.minor) + "; Lutra's kernels need 8.0.";
    } else {
      cards_.push_back(index);
    }
  }
  if (!cards_.empty()) reason_.clear();
}

const Library& Library::open(const std::string& path) {
  const std::lock_guard lock(mutex);
  if (!opened) opened = std::make_unique<const Library>(path);
  return *opened;
}

const Library& Library::instance() {
  const std::lock_guard lock(mutex);
  if (!opened) throw graph::GraphError("engine-unavailable", "The engine is not loaded yet.", "Call load() first.");
  return *opened;
}

std::vector<Card> Library::cards() const {
  std::vector<Card> result;
  for (const std::int32_t index : cards_) {
    Card card;
    card.index = index;
    Problem problem{};
    if (functions_->describe(index, &card.facts, &problem) == Code::ok) result.push_back(card);
  }
  return result;
}

void require(Code code, const Problem& problem) {
  switch (code) {
    case Code::ok:
      return;
    case Code::out_of_memory:
      throw graph::GraphError("out-of-memory", problem.text,
                              "Lower the context size, choose a smaller model, or choose the CPU in the settings.");
    case Code::bad_input:
      throw graph::GraphError("not-supported", problem.text, "Choose the CPU in the settings.");
    case Code::no_driver:
    case Code::no_device:
      throw graph::GraphError("engine-unavailable", problem.text, "Choose the CPU in the settings.");
    case Code::failed:
      throw graph::GraphError("engine-unavailable", problem.text,
                              "Start the engine again; if it happens again, choose the CPU in the settings.");
  }
}

}  // namespace lutra::cuda
