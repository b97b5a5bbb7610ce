#pragma once
#include <string>
#include <vector>

#include "graph/shared_library.h"
#include "lutra_cuda.h"

namespace lutra::cuda {

/// A graphics card that our kernels run on.
struct Card {
  std::int32_t index = 0;
  DeviceFacts facts{};
};

/// The shared library lutra-cuda, which alone knows CUDA. Where it, the driver or a card is missing, that is no error:
/// `reason` says so.
class Library {
 public:
  /// Opens the file, which need not be there; an empty path is not looked for.
  explicit Library(const std::string& path);
  /// Takes the functions from a library that is in the program already; for tests.
  explicit Library(const Interface& functions) : functions_(&functions) { look_for_cards(); }

  /// The one of this process; `open` must have been called.
  static const Library& instance();
  /// Opens the one of this process. Later calls change nothing.
  static const Library& open(const std::string& path);

  /// Null where `reason` is not empty.
  [[nodiscard]] const Interface* functions() const { return cards_.empty() ? nullptr : functions_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  /// With their memory as it is now.
  [[nodiscard]] std::vector<Card> cards() const;

 private:
  void look_for_cards();

  graph::SharedLibrary library_;
  const Interface* functions_ = nullptr;
  std::vector<std::int32_t> cards_;
  std::string reason_;
};

/// Throws `graph::GraphError` unless all went well.
void require(Code code, const Problem& problem);

}  // namespace lutra::cuda
