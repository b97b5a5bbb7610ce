#pragma once
#include <cstdint>
#include <span>

#include "core/threads.h"
#include "lut/lut_matrix.h"

namespace lutra::lut {

/// Inputs whose errors make up for each other.
inline constexpr std::int64_t feedback_block = 128;

/// Chooses the codes of a quantized weight anew, with its table and scales as they are: column by column, and what a
/// column is off by is made up for in those after it, as far as the inputs go together. GPTQ (Frantar et al., 2022),
/// within blocks of `feedback_block` inputs. `weight` (rows, columns) is what was quantized; `covariance`
/// (ceil(columns / block), block, block) holds mean products of inputs. Plain tables only.
void feed_errors_forward(std::span<const float> weight, std::span<const float> covariance, LutMatrix& matrix,
                         core::ThreadPool& threads);

}  // namespace lutra::lut
