// Damaged files of quantized weights: every reader refuses them, or gives a matrix that can be read.
// usage: lut-fuzz <tests/golden/lut> <iterations>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "lut/flute.h"
#include "lut/formats.h"
#include "lut/packed_matrix.h"

using namespace lutra;

namespace {

using Bytes = std::vector<std::byte>;

Bytes read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

/// Digits of the header for other digits, which keeps it JSON, or bytes of the tensors for others.
void damage(Bytes& bytes, std::mt19937& random) {
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | std::to_integer<std::uint64_t>(bytes[static_cast<std::size_t>(i)]);
  const std::size_t header = 8 + static_cast<std::size_t>(length);
  const int count = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < count; ++i) {
    if (random() % 3 != 0) {
      bytes[header + random() % (bytes.size() - header)] = static_cast<std::byte>(random());
      continue;
    }
    for (int tries = 0; tries < 100; ++tries) {
      std::byte& place = bytes[8 + random() % length];
      const int value = std::to_integer<int>(place);
      if (value < '0' || value > '9') continue;
      place = static_cast<std::byte>('0' + random() % 10);
      break;
    }
  }
}

int current_seed = 0;
void tell_seed(int signal) {
  std::fprintf(stderr, "lut-fuzz: signal %d with seed %d\n", signal, current_seed);
  std::_Exit(1);
}

bool use(const core::Result<lut::LutMatrix>& matrix) {
  if (!matrix) return false;
  static core::ThreadPool threads(1);
  std::vector<float> row(static_cast<std::size_t>(matrix->columns));
  matrix->dequantize_row(matrix->rows - 1, row);
  return lut::pack(*matrix, lut::Precision::fast, threads).size_bytes() > 0;
}

bool read_all(const Bytes& bytes) {
  const auto file = core::Safetensors::parse(bytes, "fuzz.safetensors");
  if (!file) return false;
  bool all = true;
  const auto note = [&](const core::Result<lut::LutMatrix>& matrix) { all = use(matrix) && all; };
  if (file->find("nf4.weight") != nullptr) {
    note(lut::read_bitsandbytes(*file, "nf4", 24, 128));
    note(lut::read_bitsandbytes(*file, "nf4_double", 40, 192));
    note(lut::read_bitsandbytes(*file, "straddling", 10, 96));
    note(lut::read_bitsandbytes(*file, "odd_columns", 6, 50));
  } else if (file->find("w4_t32.weight") != nullptr) {
    note(lut::read_flute(*file, "w4_t32", 256, 32, 4, 16, 32));
    note(lut::read_flute(*file, "w3_t32", 1024, 16, 3, 8, 32));
    note(lut::read_flute(*file, "w2_t64", 1024, 16, 2, 8, 64));
  } else {
    lut::HiggsConfig config;
    config.group_size = 8;
    config.hadamard_size = 16;
    note(lut::read_higgs(*file, "pair4", 128, 28, config));
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: lut-fuzz <tests/golden/lut> <iterations>\n";
    return 2;
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, tell_seed);
  const int iterations = std::atoi(argv[2]);
  int accepted = 0;
  for (const char* name : {"bitsandbytes", "flute", "higgs"}) {
    const Bytes whole = read(std::string(argv[1]) + "/" + name + ".safetensors");
    if (!read_all(whole)) {
      std::cerr << "lut-fuzz: the undamaged " << name << " is refused\n";
      return 1;
    }
    for (current_seed = 1; current_seed <= iterations; ++current_seed) {
      std::mt19937 random(static_cast<std::uint32_t>(current_seed));
      Bytes bytes = whole;
      damage(bytes, random);
      accepted += read_all(bytes) ? 1 : 0;
    }
  }
  std::cout << 3 * iterations << " files, " << accepted << " accepted, none harmful\n";
  // Codes may be anything, so that some are fine; a damaged header or scale never is.
  return accepted < 3 * iterations ? 0 : 1;
}
