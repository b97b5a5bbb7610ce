#pragma once
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace lutra::core {

/// Physical cores that this process may use: at most its affinity mask, and its cgroup's quota rounded up. At least 1.
[[nodiscard]] std::size_t usable_cores();

/// Threads that wait asleep between calls. Not for calls from its own workers.
class ThreadPool {
 public:
  /// `threads` includes the caller's: with 1 everything runs on the caller.
  explicit ThreadPool(std::size_t threads = usable_cores());
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  [[nodiscard]] std::size_t size() const { return workers_.size() + 1; }

  /// Calls `work(begin, end)` for parts that cover [0, count), each of at least `grain`, and waits for all. The first
  /// exception of any part is thrown here, after all have ended.
  void for_each(std::size_t count, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& work);

 private:
  struct Task;
  void serve(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable done_;
  Task* task_ = nullptr;
  std::size_t generation_ = 0;
  std::vector<std::jthread> workers_;
};

}  // namespace lutra::core
