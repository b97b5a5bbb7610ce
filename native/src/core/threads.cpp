#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#ifdef __linux__
#include <sched.h>
#endif

namespace lutra::core {
namespace {

#ifdef __linux__
/// Distinct (package, core) pairs among the processors of the affinity mask.
std::size_t physical_cores_in_mask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return std::thread::hardware_concurrency();
  std::set<std::pair<int, int>> cores;
  std::size_t processors = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    ++processors;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    int package = 0;
    int core = 0;
    if ((std::ifstream(folder + "physical_package_id") >> package) && (std::ifstream(folder + "core_id") >> core)) {
      cores.emplace(package, core);
    }
  }
  return cores.empty() ? processors : cores.size();
}

/// cgroup v2's `cpu.max`, in processors; 0 where there is no limit.
std::size_t quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string limit;
  double period = 0;
  if (!(file >> limit >> period) || limit == "max" || period <= 0) return 0;
  return static_cast<std::size_t>(std::ceil(std::strtod(limit.c_str(), nullptr) / period));
}
#endif

}  // namespace

std::size_t usable_cores() {
#ifdef __linux__
  const std::size_t limit = quota();
  const std::size_t cores = physical_cores_in_mask();
  return std::max<std::size_t>(1, limit == 0 ? cores : std::min(cores, limit));
#else
  return std::max(1U, std::thread::hardware_concurrency());
#endif
}

struct ThreadPool::Task {
  const std::function<void(std::size_t, std::size_t)>& work;
  std::size_t count;
  std::size_t part;
  std::atomic<std::size_t> next{0};
  std::size_t helpers = 0;  // under the pool's mutex
  std::exception_ptr fault = nullptr;
  std::mutex fault_mutex{};

  void run() {
    for (;;) {
      const std::size_t begin = next.fetch_add(part);
      if (begin >= count) return;
      try {
        work(begin, std::min(count, begin + part));
      } catch (...) {
        const std::lock_guard lock(fault_mutex);
        if (!fault) fault = std::current_exception();
      }
    }
  }
};

ThreadPool::ThreadPool(std::size_t threads) {
  for (std::size_t i = 1; i < threads; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }
}

ThreadPool::~ThreadPool() {
  for (std::jthread& worker : workers_) worker.request_stop();
  wake_.notify_all();
}

void ThreadPool::serve(const std::stop_token& stop) {
  std::size_t seen = 0;
  std::unique_lock lock(mutex_);
  while (wake_.wait(lock, stop, [&] { return task_ != nullptr && generation_ != seen; })) {
    seen = generation_;
    Task& task = *task_;
    ++task.helpers;
    lock.unlock();
    task.run();
    lock.lock();
    --task.helpers;
    done_.notify_all();
  }
}

void ThreadPool::for_each(std::size_t count, std::size_t grain,
                          const std::function<void(std::size_t, std::size_t)>& work) {
  if (count == 0) return;
  // Several parts per thread, so that a slow one does not hold up the rest.
  const std::size_t part = std::max({grain, std::size_t{1}, count / (4 * size())});
  Task task{work, count, part};
  if (workers_.empty() || part >= count) {
    task.run();
  } else {
    {
      const std::lock_guard lock(mutex_);
      task_ = &task;
      ++generation_;
    }
    wake_.notify_all();
    task.run();
    std::unique_lock lock(mutex_);
    // No worker may join any more; those that did must leave before `task` ends.
    task_ = nullptr;
    done_.wait(lock, [&] { return task.helpers == 0; });
  }
  if (task.fault) std::rethrow_exception(task.fault);
}

}  // namespace lutra::core
