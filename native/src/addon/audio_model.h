#pragma once
#include <napi.h>

namespace lutra::addon {

/// loadAudioModel, evalAudio and the class AudioModel; typed in main/engine/addon.ts.
void export_audio_model(Napi::Env env, Napi::Object exports);

}  // namespace lutra::addon
