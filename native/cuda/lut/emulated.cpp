#include "lut/emulated.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <set>
#include <span>

#include "core/dtype.h"

namespace lutra::cuda::emulate {
namespace {

constexpr std::size_t lanes = 32;
constexpr std::size_t most_threads = 1024;

/// A fiber cannot throw to where its block was started.
[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated device: %s\n", what);
  std::abort();
}

const std::vector<float>& widened(Scalar type) {
  static const auto make = [](float (*widen)(std::uint16_t)) {
    std::vector<float> values(std::size_t{1} << 16);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = widen(static_cast<std::uint16_t>(i));
    return values;
  };
  static const std::vector<float> half = make(core::f16_to_f32);
  static const std::vector<float> brain = make(core::bf16_to_f32);
  return type == Scalar::bf16 ? brain : half;
}

std::size_t own_thread() { return place.thread.x; }

template <typename T>
T read(const unsigned char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

bool is_aligned(const void* address, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

/// What a thread began and has not yet waited for, in groups; the last is still open.
template <typename Thing>
class Pending {
 public:
  void add(Thing thing) { groups_.back().push_back(std::move(thing)); }
  void close() { groups_.emplace_back(); }
  template <typename Do>
  void await(int open, const Do& act) {
    while (groups_.size() - 1 > static_cast<std::size_t>(open)) {
      const std::vector<Thing> group = std::move(groups_.front());
      groups_.pop_front();
      for (const Thing& thing : group) act(thing);
    }
  }

 private:
  std::deque<std::vector<Thing>> groups_ = std::deque<std::vector<Thing>>(1);
};

struct Copy {
  unsigned char* target;
  const void* source;
  bool is_there;
};
struct Product {
  float* d;
  int n;
  std::array<std::uint32_t, 4> a;
  std::uint64_t descriptor;
  Scalar type;
};

std::array<Pending<Copy>, most_threads> copies;
std::array<Pending<Product>, most_threads> products;

/// Row `row`, column `k` of a 16 x 16 A fragment, among the lanes' registers.
float number_of_a(const unsigned char* all, const std::vector<float>& wide, std::size_t row, std::size_t k) {
  const std::size_t lane = row % 8 * 4 + k % 8 / 2;
  const std::size_t place_in_lane = (row / 8 + k / 8 * 2) * 4 + k % 2 * 2;
  return wide[read<std::uint16_t>(all + lane * most_exchanged + place_in_lane)];
}

}  // namespace

void multiply_tile(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Scalar type) {
  const std::vector<float>& wide = widened(type);
  const std::uint32_t own[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const unsigned char* all = exchange(own, sizeof own);
  constexpr std::size_t b_begins = 16;
  const auto lane = static_cast<std::size_t>(own_lane());
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t row = lane / 4 + i / 2 * 8;
    const std::size_t column = lane % 4 * 2 + i % 2;
    for (std::size_t k = 0; k < 16; ++k) {
      const unsigned char* number = all + (column * 4 + k % 8 / 2) * most_exchanged + b_begins + k / 8 * 4 + k % 2 * 2;
      d[i] += number_of_a(all, wide, row, k) * wide[read<std::uint16_t>(number)];
    }
  }
}

std::uint32_t multiply_pairs(std::uint32_t a, std::uint32_t b, Scalar type) {
  const std::vector<float>& wide = widened(type);
  std::uint32_t result = 0;
  for (int shift = 0; shift < 32; shift += 16) {
    const float product = wide[a >> shift & 0xFFFFU] * wide[b >> shift & 0xFFFFU];
    const std::uint16_t bits = type == Scalar::bf16 ? core::f32_to_bf16(product) : core::f32_to_f16(product);
    result |= static_cast<std::uint32_t>(bits) << shift;
  }
  return result;
}

void load_tiles(std::uint32_t (&tiles)[4], const unsigned char* row) {
  if (!is_aligned(row, 16)) fail("ldmatrix from an address that is no multiple of 16");
  note_shared(Site::tiles, row, 16);
  const unsigned char* all = exchange(&row, sizeof row);
  const auto lane = static_cast<std::size_t>(own_lane());
  for (std::size_t tile = 0; tile < 4; ++tile) {
    const auto* source = read<const unsigned char*>(all + (tile * 8 + lane / 4) * most_exchanged);
    tiles[tile] = read<std::uint32_t>(source + lane % 4 * 4);
  }
}

std::uint32_t look_up(std::uint32_t address) {
  const unsigned char* const word = dynamic_shared_memory() + address;
  note_shared(Site::lookup, word, 4);
  return read<std::uint32_t>(word);
}

void copy_later(unsigned char* shared, const void* global, bool is_there) {
  if (!is_aligned(shared, 16) || !is_aligned(global, 16)) fail("cp.async at an address that is no multiple of 16");
  copies[own_thread()].add({shared, global, is_there});
}
void close_copies() { copies[own_thread()].close(); }
void await_copies(int open) {
  copies[own_thread()].await(open, [](const Copy& copy) { copy_sixteen(copy.target, copy.source, copy.is_there); });
}

std::uint32_t shared_address(const void* shared) {
  return static_cast<std::uint32_t>(static_cast<const unsigned char*>(shared) - dynamic_shared_memory());
}

void begin_group_product(float* d, int n, const std::uint32_t (&a)[4], std::uint64_t descriptor, Scalar type) {
  products[own_thread()].add({d, n, {a[0], a[1], a[2], a[3]}, descriptor, type});
}
void close_group_products() { products[own_thread()].close(); }
void await_group_products(int open) {
  products[own_thread()].await(open, [](const Product& product) {
    constexpr std::uint64_t address_mask = 0x3FFF;  // in units of 16 bytes
    constexpr std::uint64_t swizzle_128 = 1;
    if (product.descriptor >> 62 != swizzle_128) fail("a descriptor without the swizzle of 128 bytes");
    const auto begin = static_cast<std::size_t>(product.descriptor & address_mask) * 16;
    const auto stride = static_cast<std::size_t>(product.descriptor >> 32 & address_mask) * 16;
    const std::vector<float>& wide = widened(product.type);
    const unsigned char* all = exchange(product.a.data(), sizeof product.a);
    const auto lane = static_cast<std::size_t>(own_lane());
    float a[2][16];
    for (std::size_t row = 0; row < 2; ++row) {
      for (std::size_t k = 0; k < 16; ++k) a[row][k] = number_of_a(all, wide, lane / 4 + row * 8, k);
    }
    for (std::size_t tile = 0; tile < static_cast<std::size_t>(product.n) / 8; ++tile) {
      for (std::size_t i = 0; i < 2; ++i) {
        const std::size_t column = lane % 4 * 2 + i;
        for (std::size_t k = 0; k < 16; ++k) {
          const std::size_t address = begin + tile * stride + column * 128 + k * 2;
          const std::size_t swizzled = address ^ (address >> 7 & 7U) << 4;
          const float b = wide[read<std::uint16_t>(dynamic_shared_memory() + swizzled)];
          for (std::size_t row = 0; row < 2; ++row) product.d[tile * 4 + row * 2 + i] += a[row][k] * b;
        }
      }
    }
  });
}

namespace {

struct Access {
  std::uintptr_t address;
  std::size_t bytes;
  bool is_shared;
};
/// (site, block, warp) -> for each lane, what it accessed one after the other.
using Log = std::map<std::array<std::size_t, 3>, std::array<std::vector<Access>, lanes>>;
Log log_of_accesses;
bool is_counting = false;

void note(Site site, const void* address, std::size_t bytes, bool is_shared) {
  if (!is_aligned(address, bytes)) fail("an access across its own size");
  if (!is_counting) return;
  const std::array<std::size_t, 3> key = {static_cast<std::size_t>(site), place.block.x, own_thread() / lanes};
  log_of_accesses[key][own_thread() % lanes].push_back({reinterpret_cast<std::uintptr_t>(address), bytes, is_shared});
}

/// Shared memory serves 128 bytes at a time: 32 lanes of 4 bytes, 8 of 16. Words of one bank come one after the other.
std::size_t wavefronts(std::span<const Access> accesses) {
  constexpr std::uintptr_t word = 4;
  constexpr std::uintptr_t banks = 32;
  const std::size_t at_once = 128 / accesses[0].bytes;
  std::size_t total = 0;
  for (std::size_t first = 0; first < accesses.size(); first += at_once) {
    std::array<std::set<std::uintptr_t>, banks> words;
    for (std::size_t i = first; i < std::min(first + at_once, accesses.size()); ++i) {
      for (std::uintptr_t at = accesses[i].address; at < accesses[i].address + accesses[i].bytes; at += word)
        words[at / word % banks].insert(at / word);
    }
    std::size_t most = 0;
    for (const auto& of_bank : words) most = std::max(most, of_bank.size());
    total += most;
  }
  return total;
}

std::size_t sectors(std::span<const Access> accesses) {
  constexpr std::uintptr_t sector = 32;
  std::set<std::uintptr_t> touched;
  for (const Access& access : accesses) {
    touched.insert(access.address / sector);
    touched.insert((access.address + access.bytes - 1) / sector);
  }
  return touched.size();
}

}  // namespace

void note_shared(Site site, const void* address, std::size_t bytes) { note(site, address, bytes, true); }
void note_global(Site site, const void* address, std::size_t bytes) { note(site, address, bytes, false); }

void count_traffic() {
  log_of_accesses.clear();
  is_counting = true;
}

std::vector<Traffic> counted_traffic() {
  is_counting = false;
  std::vector<Traffic> traffic(static_cast<std::size_t>(Site::count));
  for (const auto& [key, of_lanes] : log_of_accesses) {
    for (std::size_t i = 0; i < of_lanes[0].size(); ++i) {
      std::vector<Access> together;
      for (const auto& of_lane : of_lanes) {
        if (i < of_lane.size()) together.push_back(of_lane[i]);
      }
      const std::size_t bytes = together.size() * together[0].bytes;
      Traffic& of_site = traffic[key[0]];
      ++of_site.accesses;
      const bool is_shared = together[0].is_shared;
      of_site.served += is_shared ? wavefronts(together) : sectors(together);
      of_site.fewest += is_shared ? (bytes + 127) / 128 : (bytes + 31) / 32;
    }
  }
  log_of_accesses.clear();
  return traffic;
}

}  // namespace lutra::cuda::emulate
