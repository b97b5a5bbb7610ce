#include "text/config_fields.h"

#include <string_view>

#include "core/mapped_file.h"

namespace lutra::text {

using core::Error;
using core::Json;

Error wrong_field(const std::string& field, const std::string& what) {
  return Error{"bad-file", "config.json: \"" + field + "\" " + what + ".", "Get the model's config.json again.", field};
}

std::int64_t Fields::whole(const char* name, std::int64_t most, std::int64_t otherwise) {
  if (!has(name)) {
    if (otherwise == 0) fail(name, "is missing");
    return otherwise;
  }
  const auto number = json_->find(name)->whole();
  if (!number || *number < 1 || *number > most) {
    fail(name, "is not between 1 and " + std::to_string(most));
    return 1;
  }
  return *number;
}

double Fields::number(const char* name, double otherwise) {
  if (!has(name)) return otherwise;
  const auto found = json_->find(name)->number();
  if (!found || !(*found > 0)) fail(name, "is no positive number");
  return found.value_or(otherwise);
}

std::string Fields::text(const char* name, std::string otherwise) const {
  const Json* value = json_->find(name);
  return value != nullptr && value->string() != nullptr ? *value->string() : std::move(otherwise);
}

bool Fields::flag(const char* name, bool otherwise) const {
  const Json* value = json_->find(name);
  return value != nullptr && value->boolean() != nullptr ? *value->boolean() : otherwise;
}

const Json* Fields::object(const char* name) const {
  const Json* value = json_->find(name);
  return value != nullptr && value->object() != nullptr ? value : nullptr;
}

const Json* Fields::list(const char* name) const {
  const Json* value = json_->find(name);
  return value != nullptr && value->array() != nullptr ? value : nullptr;
}

bool Fields::has(const char* name) const {
  const Json* value = json_->find(name);
  return value != nullptr && !value->is_null();
}

void Fields::fail(const std::string& field, const std::string& what) {
  if (problem.code.empty()) problem = wrong_field(place_ + field, what);
}

core::Result<Json> read_config_json(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const auto file = core::MappedFile::open(path);
  if (!file) return file.error();
  constexpr std::size_t most = 20'000'000;
  if (file->bytes().size() > most) return core::bad_file(path, "it is too large");
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  auto json = core::parse_json(text, path);
  if (json && json->object() == nullptr) return core::bad_file(path, "it is no JSON object");
  return json;
}

}  // namespace lutra::text
