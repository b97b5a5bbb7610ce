#pragma once
#include <napi.h>

#include <string>

#include "addon/task.h"
#include "lut/packed_matrix.h"
#include "text/cache.h"

namespace lutra::addon {

inline lut::Precision precision_of(const Napi::Object& options) {
  return field<std::string>(options, "precision") == "exact" ? lut::Precision::exact : lut::Precision::fast;
}

inline text::CacheType cache_type_of(const Napi::Object& options) {
  const auto name = field<std::string>(options, "cacheType");
  if (name == "f32") return text::CacheType::f32;
  return name == "q8" ? text::CacheType::q8 : text::CacheType::f16;
}

}  // namespace lutra::addon
