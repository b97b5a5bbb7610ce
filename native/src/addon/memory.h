#pragma once
#include <cstdint>

namespace lutra::addon {

struct Memory {
  uint64_t process_bytes = 0;        ///< resident memory of this process
  uint64_t machine_free_bytes = 0;   ///< what a program can still get without paging
  uint64_t machine_total_bytes = 0;  ///< physical memory
};

/// Zeros stand for what the system does not tell.
Memory read_memory();

}  // namespace lutra::addon
