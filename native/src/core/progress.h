#pragma once
#include <cstdint>
#include <functional>
#include <stop_token>
#include <utility>

namespace lutra::core {

/// How long work says how far it is, and learns that it should stop. Copies share one stop state.
class Progress {
 public:
  /// `total` is 0 while the whole is not known. Called on the thread that works: it should be quick.
  using Sink = std::function<void(std::uint64_t done, std::uint64_t total)>;

  Progress() = default;
  explicit Progress(std::stop_token stop, Sink sink = {}) : stop_(std::move(stop)), sink_(std::move(sink)) {}

  /// Cheap: one atomic load. Work that takes longer should ask at least every 50 ms.
  [[nodiscard]] bool cancelled() const { return stop_.stop_requested(); }
  void tell(std::uint64_t done, std::uint64_t total) const {
    if (sink_) sink_(done, total);
  }
  [[nodiscard]] const std::stop_token& stop_token() const { return stop_; }

 private:
  std::stop_token stop_;
  Sink sink_;
};

}  // namespace lutra::core
