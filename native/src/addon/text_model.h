#pragma once
#include <napi.h>

namespace lutra::addon {

/// loadTextModel, evalLogits, evalPerplexity and the class TextModel; typed in main/engine/addon.ts.
void export_text_model(Napi::Env env, Napi::Object exports);

}  // namespace lutra::addon
