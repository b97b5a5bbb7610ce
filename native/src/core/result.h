#pragma once
#include <string>
#include <utility>
#include <variant>

namespace lutra::core {

/// What went wrong, in the words of the contract: `code` is one of contract/errors.ts.
struct Error {
  std::string code;
  std::string message;  ///< one sentence: what happened, to which file or field
  std::string hint;     ///< one sentence: what to do next; may be empty
  std::string subject;  ///< the file, tensor or field; may be empty
};

/// A value, or why there is none. At the file boundary nothing is thrown for what a file may do.
template <typename Value>
class [[nodiscard]] Result {
 public:
  Result(Value value) : content_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: meant to be implicit
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: meant to be implicit

  [[nodiscard]] bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// Only when `ok()`; `std::bad_variant_access` otherwise.
  [[nodiscard]] Value& value() & { return std::get<0>(content_); }
  [[nodiscard]] const Value& value() const& { return std::get<0>(content_); }
  [[nodiscard]] Value&& value() && { return std::get<0>(std::move(content_)); }
  /// Only when not `ok()`.
  [[nodiscard]] const Error& error() const { return std::get<1>(content_); }

  Value* operator->() { return &value(); }
  const Value* operator->() const { return &value(); }
  Value& operator*() & { return value(); }
  const Value& operator*() const& { return value(); }

 private:
  std::variant<Value, Error> content_;
};

/// Success without a value.
using Status = Result<std::monostate>;
inline Status success() { return std::monostate{}; }

/// A file that is damaged, hostile, or not what it says: "name: what."
Error bad_file(const std::string& path, const std::string& what, std::string subject = {});

}  // namespace lutra::core
