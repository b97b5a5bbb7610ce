/// Feeds damaged files to the readers. The same seed makes the same files: a crash is found again by its number.
/// usage: core-fuzz safetensors|index|npy|npz <tests/golden/core> <iterations> [first seed]
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/mapped_file.h"
#include "core/npy.h"
#include "core/safetensors.h"

namespace {

using Bytes = std::vector<std::byte>;
using lutra::core::MappedFile;

volatile std::sig_atomic_t current_seed = 0;

void tell_seed(int signal) {
  std::fprintf(stderr, "core-fuzz: signal %d at seed %d\n", signal, static_cast<int>(current_seed));
  std::_Exit(1);
}

Bytes read(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file) {
    std::cerr << file.error().message << '\n';
    std::exit(2);
  }
  return {file->bytes().begin(), file->bytes().end()};
}

/// One way of damage after another.
void damage(Bytes& bytes, std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return limit == 0 ? 0 : random() % limit; };
  const std::size_t times = 1 + below(6);
  for (std::size_t i = 0; i < times && !bytes.empty(); ++i) {
    // Most of what can go wrong is near the ends, where headers and tables are.
    const std::size_t span = below(3) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 512);
    const std::size_t at = below(2) == 0 ? below(span) : bytes.size() - 1 - below(span);
    switch (below(7)) {
      case 0:
        bytes[at] ^= static_cast<std::byte>(1U << below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::byte>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 4:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     static_cast<std::byte>("0123456789-{}[],\"e"[below(18)]));
        break;
      case 5: {
        const std::size_t from = below(bytes.size());
        const std::size_t length = std::min({below(64), bytes.size() - from, bytes.size() - at});
        std::memmove(bytes.data() + at, bytes.data() + from, length);
        break;
      }
      default: {
        constexpr std::uint64_t edges[] = {0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF};
        const std::uint64_t edge = edges[below(6)];
        std::memcpy(bytes.data() + at, &edge, std::min<std::size_t>(1U << below(4), bytes.size() - at));
      }
    }
  }
}

/// Touches every byte that a reader hands out, so that a sanitizer sees a wrong one.
std::uint64_t touch(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (const std::byte byte : bytes) sum += std::to_integer<std::uint64_t>(byte);
  return sum;
}

struct Target {
  Bytes file;
  std::function<bool(std::span<const std::byte>)> read;  // true when it was accepted
};

Target target_of(const std::string& format, const std::string& golden) {
  namespace core = lutra::core;
  if (format == "safetensors") {
    return {read(golden + "/types.safetensors"), [](auto bytes) {
              const auto result = core::Safetensors::parse(bytes, "fuzz.safetensors");
              if (!result) return false;
              std::uint64_t sum = 0;
              for (const auto& [name, view] : result->tensors()) sum += touch(view.bytes);
              return sum != UINT64_MAX;
            }};
  }
  if (format == "index") {
    return {read(golden + "/sharded/model.safetensors.index.json"), [golden](auto bytes) {
              // Beside the real shards, under a name of its own.
              static const std::string path = [] {
                const auto folder =
                    std::filesystem::temp_directory_path() / ("lutra-fuzz-" + std::to_string(std::random_device()()));
                std::filesystem::create_directories(folder);
                return (folder / "model.safetensors.index.json").string();
              }();
              static const bool is_linked = [&] {
                for (const auto& entry : std::filesystem::directory_iterator(golden + "/sharded")) {
                  if (entry.path().extension() != ".safetensors") continue;
                  std::filesystem::copy_file(entry.path(),
                                             std::filesystem::path(path).parent_path() / entry.path().filename());
                }
                std::atexit([] { std::filesystem::remove_all(std::filesystem::path(path).parent_path()); });
                return true;
              }();
              std::ofstream(path, std::ios::binary)
                  .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
              return is_linked && core::Safetensors::open(path).ok();
            }};
  }
  if (format == "npz") {
    return {read(golden + "/deflated.npz"), [](auto bytes) {
              const auto result = core::parse_npz(bytes, "fuzz.npz", 1 << 24);
              return result.ok() && !result->empty();
            }};
  }
  const auto archive = core::read_npz(golden + "/stored.npz");
  return {core::encode_npy(archive.value().at("f4")).value(), [](auto bytes) {
            const auto result = core::parse_npy(bytes, "fuzz.npy");
            return result.ok() && touch(result->bytes) != UINT64_MAX;
          }};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: core-fuzz safetensors|index|npy|npz <tests/golden/core> <iterations> [first seed]\n";
    return 2;
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, tell_seed);
  const Target target = target_of(argv[1], argv[2]);
  if (!target.read(target.file)) {
    std::cerr << "core-fuzz: the undamaged file is refused\n";
    return 1;
  }
  const int iterations = std::atoi(argv[3]);
  const int first = argc > 4 ? std::atoi(argv[4]) : 1;
  int accepted = 0;
  for (int seed = first; seed < first + iterations; ++seed) {
    current_seed = seed;
    std::mt19937 random(static_cast<std::uint32_t>(seed));
    Bytes bytes = target.file;
    damage(bytes, random);
    // A copy of exactly that size: reading beyond it is seen.
    const Bytes exact(bytes.begin(), bytes.end());
    accepted += target.read(exact) ? 1 : 0;
  }
  std::cout << iterations << " files, " << accepted << " accepted, none harmful\n";
  // A reader that refuses all would pass anything; one that accepts all checks nothing.
  return accepted < iterations ? 0 : 1;
}
