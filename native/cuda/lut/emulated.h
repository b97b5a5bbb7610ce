#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "emulate/device.h"
#include "lut_layout.h"

// The instructions of primitives.cuh on the processor, with what a device would do behind the back: copies and products
// that were begun arrive only when they are waited for, and accesses are counted as the memory's banks and sectors
// would see them.

namespace lutra::cuda::emulate {

void multiply_tile(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Scalar type);
std::uint32_t multiply_pairs(std::uint32_t a, std::uint32_t b, Scalar type);
void load_tiles(std::uint32_t (&tiles)[4], const unsigned char* row);
std::uint32_t look_up(std::uint32_t address);

void copy_later(unsigned char* shared, const void* global, bool is_there);
void close_copies();
void await_copies(int open);

/// wgmma m64nNk16 for one warp of the four: d (16 x N, f32) += a (16 x 16, registers) b (16 x N, shared memory).
/// `descriptor` as PTX has it: swizzled by 128 bytes, columns of b contiguous.
void begin_group_product(float* d, int n, const std::uint32_t (&a)[4], std::uint64_t descriptor, Scalar type);
void close_group_products();
void await_group_products(int open);
/// What a descriptor means by an address.
std::uint32_t shared_address(const void* shared);

/// Places in the kernels whose accesses are counted.
enum class Site : std::uint8_t { lookup, codes, tiles, count };

void note_shared(Site site, const void* address, std::size_t bytes);
void note_global(Site site, const void* address, std::size_t bytes);

/// Of warps' accesses at one site: how often, and in how many wavefronts of 128 bytes of shared memory or sectors of 32
/// bytes of global memory they were served, against the fewest that such an access can need.
struct Traffic {
  std::size_t accesses = 0;
  std::size_t served = 0;
  std::size_t fewest = 0;
};
/// Counts from now on, until `counted` returns what there was.
void count_traffic();
std::vector<Traffic> counted_traffic();

}  // namespace lutra::cuda::emulate
