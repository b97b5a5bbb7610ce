#include "core/inflate.h"

#include <array>

namespace lutra::core {
namespace {

constexpr std::size_t longest_code = 15;
constexpr std::size_t maximum_literals = 288;
constexpr std::size_t maximum_distances = 30;

// RFC 1951, 3.2.5.
constexpr std::array<std::uint16_t, 29> length_bases = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                                        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<std::uint8_t, 29> length_bits = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                      2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr std::array<std::uint16_t, 30> distance_bases = {
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
constexpr std::array<std::uint8_t, 30> distance_bits = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                                        6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

/// Canonical Huffman codes: how many there are of each length, and the symbols in order of their codes.
struct Codes {
  std::array<std::uint16_t, longest_code + 1> counts{};
  std::array<std::uint16_t, maximum_literals> symbols{};

  /// False where the lengths ask for more codes than there are.
  bool build(std::span<const std::uint8_t> lengths) {
    counts.fill(0);
    for (const std::uint8_t length : lengths) ++counts[length];
    counts[0] = 0;
    int left = 1;
    for (std::size_t length = 1; length <= longest_code; ++length) {
      left = left * 2 - counts[length];
      if (left < 0) return false;
    }
    std::array<std::uint16_t, longest_code + 2> offsets{};
    for (std::size_t length = 1; length <= longest_code; ++length) {
      offsets[length + 1] = static_cast<std::uint16_t>(offsets[length] + counts[length]);
    }
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
      if (lengths[symbol] != 0) symbols[offsets[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
    }
    return true;
  }
};

class Inflater {
 public:
  Inflater(std::span<const std::byte> source, std::size_t size) : source_(source), size_(size) {}

  bool run(std::vector<std::byte>& target) {
    // Not at once: a file may promise more than it holds.
    target.reserve(std::min(size_, source_.size() * 4));
    for (bool is_last = false; !is_last;) {
      is_last = bits(1) == 1;
      const std::uint32_t kind = bits(2);
      if (is_over_) return false;
      const bool is_fine = kind == 0 ? stored(target) : kind == 1 ? fixed(target) : kind == 2 && dynamic(target);
      if (!is_fine) return false;
    }
    return target.size() == size_;
  }

 private:
  std::uint32_t bits(std::size_t count) {
    while (available_ < count) {
      if (at_ >= source_.size()) {
        is_over_ = true;
        return 0;
      }
      buffer_ |= std::to_integer<std::uint32_t>(source_[at_++]) << available_;
      available_ += 8;
    }
    const std::uint32_t value = buffer_ & ((1U << count) - 1U);
    buffer_ >>= count;
    available_ -= count;
    return value;
  }

  /// The next symbol, or -1.
  int decode(const Codes& codes) {
    int code = 0;
    int first = 0;
    int index = 0;
    for (std::size_t length = 1; length <= longest_code; ++length) {
      code |= static_cast<int>(bits(1));
      if (is_over_) return -1;
      const int count = codes.counts[length];
      if (code - count < first) return codes.symbols[static_cast<std::size_t>(index + (code - first))];
      index += count;
      first = (first + count) * 2;
      code *= 2;
    }
    return -1;
  }

  bool stored(std::vector<std::byte>& target) {
    buffer_ = 0;
    available_ = 0;
    if (source_.size() - at_ < 4) return false;
    const auto half = [&](std::size_t i) {
      return std::to_integer<std::size_t>(source_[at_ + i]) | std::to_integer<std::size_t>(source_[at_ + i + 1]) << 8;
    };
    const std::size_t length = half(0);
    if ((length ^ 0xFFFFU) != half(2)) return false;
    at_ += 4;
    if (source_.size() - at_ < length || size_ - target.size() < length) return false;
    const auto piece = source_.subspan(at_, length);
    target.insert(target.end(), piece.begin(), piece.end());
    at_ += length;
    return true;
  }

  bool fixed(std::vector<std::byte>& target) {
    std::array<std::uint8_t, maximum_literals> lengths{};
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      lengths[i] = static_cast<std::uint8_t>(i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8);
    }
    std::array<std::uint8_t, maximum_distances> distances{};
    distances.fill(5);
    Codes literal_codes;
    Codes distance_codes;
    return literal_codes.build(lengths) && distance_codes.build(distances) &&
           block(target, literal_codes, distance_codes);
  }

  bool dynamic(std::vector<std::byte>& target) {
    constexpr std::array<std::uint8_t, 19> order = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const std::size_t literals = bits(5) + 257;
    const std::size_t distances = bits(5) + 1;
    const std::size_t lengths_count = bits(4) + 4;
    if (is_over_ || literals > 286 || distances > maximum_distances) return false;
    std::array<std::uint8_t, 19> meta{};
    for (std::size_t i = 0; i < lengths_count; ++i) meta[order[i]] = static_cast<std::uint8_t>(bits(3));
    Codes meta_codes;
    if (is_over_ || !meta_codes.build(meta)) return false;
    std::array<std::uint8_t, maximum_literals + maximum_distances> lengths{};
    for (std::size_t i = 0; i < literals + distances;) {
      const int symbol = decode(meta_codes);
      if (symbol < 0) return false;
      if (symbol < 16) {
        lengths[i++] = static_cast<std::uint8_t>(symbol);
        continue;
      }
      if (symbol == 16 && i == 0) return false;
      const std::uint8_t value = symbol == 16 ? lengths[i - 1] : std::uint8_t{0};
      std::size_t repeat = symbol == 16 ? 3 + bits(2) : symbol == 17 ? 3 + bits(3) : 11 + bits(7);
      if (is_over_ || i + repeat > literals + distances) return false;
      while (repeat-- > 0) lengths[i++] = value;
    }
    // Without an end-of-block code the block could not end.
    if (lengths[256] == 0) return false;
    Codes literal_codes;
    Codes distance_codes;
    const std::span<const std::uint8_t> all(lengths);
    return literal_codes.build(all.first(literals)) && distance_codes.build(all.subspan(literals, distances)) &&
           block(target, literal_codes, distance_codes);
  }

  bool block(std::vector<std::byte>& target, const Codes& literals, const Codes& distances) {
    for (;;) {
      const int symbol = decode(literals);
      if (symbol < 0) return false;
      if (symbol == 256) return true;
      if (symbol < 256) {
        if (target.size() == size_) return false;
        target.push_back(static_cast<std::byte>(symbol));
        continue;
      }
      const auto length_code = static_cast<std::size_t>(symbol - 257);
      if (length_code >= length_bases.size()) return false;
      const std::size_t length = length_bases[length_code] + bits(length_bits[length_code]);
      const int distance_code = decode(distances);
      if (distance_code < 0 || static_cast<std::size_t>(distance_code) >= distance_bases.size()) return false;
      const auto code = static_cast<std::size_t>(distance_code);
      const std::size_t distance = distance_bases[code] + bits(distance_bits[code]);
      if (is_over_ || distance > target.size() || length > size_ - target.size()) return false;
      for (std::size_t i = 0; i < length; ++i) target.push_back(target[target.size() - distance]);
    }
  }

  std::span<const std::byte> source_;
  std::size_t size_;
  std::size_t at_ = 0;
  std::uint32_t buffer_ = 0;
  std::size_t available_ = 0;
  bool is_over_ = false;
};

std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? 0xEDB88320U ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}

}  // namespace

std::optional<std::vector<std::byte>> inflate(std::span<const std::byte> source, std::size_t size) {
  std::vector<std::byte> target;
  if (!Inflater(source, size).run(target)) return std::nullopt;
  return target;
}

std::uint32_t crc32(std::span<const std::byte> bytes) {
  static const auto table = make_crc_table();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::byte byte : bytes) crc = table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFFU] ^ (crc >> 8);
  return ~crc;
}

}  // namespace lutra::core
