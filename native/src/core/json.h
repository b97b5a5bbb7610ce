#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/result.h"

namespace lutra::core {

/// A JSON value (RFC 8259). Objects keep their order; a name that is there twice is refused when it is parsed.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  explicit Json(bool value) : content_(value) {}
  explicit Json(double value) : content_(value) {}
  explicit Json(std::int64_t value) : content_(value) {}
  explicit Json(std::string value) : content_(std::move(value)) {}
  explicit Json(Array value) : content_(std::move(value)) {}
  explicit Json(Object value) : content_(std::move(value)) {}

  // Null where the value is of another kind.
  [[nodiscard]] const bool* boolean() const { return std::get_if<bool>(&content_); }
  [[nodiscard]] const std::string* string() const { return std::get_if<std::string>(&content_); }
  [[nodiscard]] const Array* array() const { return std::get_if<Array>(&content_); }
  [[nodiscard]] const Object* object() const { return std::get_if<Object>(&content_); }
  /// A whole number that was written as one and fits.
  [[nodiscard]] std::optional<std::int64_t> whole() const;
  [[nodiscard]] std::optional<double> number() const;
  [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(content_); }
  /// The member of that name; null where there is none or this is no object.
  [[nodiscard]] const Json* find(std::string_view name) const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> content_;
};

struct JsonLimits {
  std::size_t depth = 64;
  std::size_t values = 20'000'000;
};

/// Strict: one value, valid UTF-8, no trailing text, no name twice in an object. The error says at which byte.
Result<Json> parse_json(std::string_view text, const std::string& path, JsonLimits limits = {});

}  // namespace lutra::core
