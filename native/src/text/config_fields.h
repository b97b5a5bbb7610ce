#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "core/json.h"
#include "core/result.h"

namespace lutra::text {

/// `bad-file` that names the field of config.json.
[[nodiscard]] core::Error wrong_field(const std::string& field, const std::string& what);

/// Reads fields of an object in config.json and keeps the first that is wrong.
class Fields {
 public:
  /// `place`: what stands before the names in messages, such as `vision_config.`.
  explicit Fields(const core::Json& json, std::string place = {}) : json_(&json), place_(std::move(place)) {}

  /// Between 1 and `most`; `otherwise` where it is not there, 0 where it has to be.
  std::int64_t whole(const char* name, std::int64_t most, std::int64_t otherwise = 0);
  /// Above 0.
  double number(const char* name, double otherwise);
  [[nodiscard]] std::string text(const char* name, std::string otherwise) const;
  [[nodiscard]] bool flag(const char* name, bool otherwise) const;
  /// Null where there is none.
  [[nodiscard]] const core::Json* object(const char* name) const;
  [[nodiscard]] const core::Json* list(const char* name) const;
  /// There, and not null.
  [[nodiscard]] bool has(const char* name) const;
  void fail(const std::string& field, const std::string& what);

  core::Error problem;

 private:
  const core::Json* json_;
  std::string place_;
};

/// A folder's config.json, an object.
core::Result<core::Json> read_config_json(const std::string& folder);

}  // namespace lutra::text
