#pragma once
#include <napi.h>

namespace lutra::addon {

/// The constructors of our classes, kept with Node's environment.
struct Classes {
  Napi::FunctionReference text_model;
  Napi::FunctionReference audio_model;
  Napi::FunctionReference vision_model;
};

}  // namespace lutra::addon
