#include "addon/memory.h"

#if defined(_WIN32)
#define NOMINMAX
#include <psapi.h>
#include <windows.h>
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <sys/sysctl.h>
#else
#include <unistd.h>

#include <fstream>
#include <string>
#endif

namespace lutra::addon {

#if defined(_WIN32)

Memory read_memory() {
  Memory memory;
  PROCESS_MEMORY_COUNTERS counters{};
  if (GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) != 0) {
    memory.process_bytes = counters.WorkingSetSize;
  }
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  if (GlobalMemoryStatusEx(&status) != 0) {
    memory.machine_free_bytes = status.ullAvailPhys;
    memory.machine_total_bytes = status.ullTotalPhys;
  }
  return memory;
}

#elif defined(__APPLE__)

Memory read_memory() {
  Memory memory;
  mach_task_basic_info info{};
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, reinterpret_cast<task_info_t>(&info), &count) == KERN_SUCCESS) {
    memory.process_bytes = info.resident_size;
  }
  size_t size = sizeof memory.machine_total_bytes;
  sysctlbyname("hw.memsize", &memory.machine_total_bytes, &size, nullptr, 0);
  vm_statistics64 statistics{};
  mach_msg_type_number_t n_fields = HOST_VM_INFO64_COUNT;
  if (host_statistics64(mach_host_self(), HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&statistics), &n_fields) ==
      KERN_SUCCESS) {
    memory.machine_free_bytes =
        (uint64_t{statistics.free_count} + statistics.inactive_count + statistics.purgeable_count) * vm_page_size;
  }
  return memory;
}

#else

namespace {

/// The value of a `Name:  123 kB` line, in bytes.
uint64_t field_bytes(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if (word == name && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

Memory read_memory() {
  return {
      field_bytes("/proc/self/status", "VmRSS:"),
      field_bytes("/proc/meminfo", "MemAvailable:"),
      field_bytes("/proc/meminfo", "MemTotal:"),
  };
}

#endif

}  // namespace lutra::addon
