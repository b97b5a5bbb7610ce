#pragma once
#include <napi.h>

namespace lutra::addon {

/// loadVisionModel, describeVision, preprocessPicture, evalVision and the class VisionModel; typed in
/// main/engine/addon.ts.
void export_vision_model(Napi::Env env, Napi::Object exports);

}  // namespace lutra::addon
