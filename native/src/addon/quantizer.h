#pragma once
#include <napi.h>

namespace lutra::addon {

/// predictQuantized and quantizeFolder; typed in main/engine/addon.ts.
void export_quantizer(Napi::Env env, Napi::Object exports);

}  // namespace lutra::addon
