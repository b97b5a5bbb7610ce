#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "text/llama.h"

namespace lutra::text {

/// The mean squared activation of each input of every projection, by the module's name, while the model reads `tokens`
/// in windows of `window`: the diagonal of the Hessian of a layer's squared output error, as AWQ (Lin et al., 2023) and
/// GPTQ (Frantar et al., 2022) use it. The model must be loaded in fast mode. `progress` counts tokens. Throws
/// `graph::GraphError`.
std::map<std::string, std::vector<float>> input_importance(Llama& model, std::span<const std::int32_t> tokens,
                                                           std::int64_t window, const core::Progress& progress);

}  // namespace lutra::text
