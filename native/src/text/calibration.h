#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "text/llama.h"

namespace lutra::text {

/// Mean products of the inputs of every projection, by the module's name, while the model reads `tokens` in windows of
/// `window`: what lut::feed_errors_forward() takes. The model must be loaded in fast mode. `progress` counts tokens.
/// Throws `graph::GraphError`.
std::map<std::string, std::vector<float>> input_covariance(Llama& model, std::span<const std::int32_t> tokens,
                                                           std::int64_t window, const core::Progress& progress);

}  // namespace lutra::text
