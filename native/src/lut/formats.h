#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "core/safetensors.h"
#include "lut/lut_matrix.h"

namespace lutra::lut {

/// How a weight lies in a checkpoint; told by which tensors are there, not by the config.
/// `flute` is HIGGS' layout too.
enum class Storage { dense, bitsandbytes, lut, flute, missing };

/// `prefix` is the module's name, e.g. `model.layers.0.self_attn.q_proj`.
[[nodiscard]] Storage storage_of(const core::Safetensors& file, const std::string& prefix);

/// bitsandbytes NF4 or FP4: `P.weight` with `.absmax`, `.quant_map` and `.quant_state.bitsandbytes__nf4|fp4`, plain or
/// double-quantized (`.nested_absmax`, `.nested_quant_map`), any block size. Source: bitsandbytes/functional.py,
/// QuantState. Fails with `bad-file` that names the tensor.
core::Result<LutMatrix> read_bitsandbytes(const core::Safetensors& file, const std::string& prefix, std::int64_t rows,
                                          std::int64_t columns);

/// Lutra's own layout: `P.weight.lut_codes` U8 (N, ceil(K b / 8)), `.lut_scales` F16 (N, ceil(K / group)),
/// `.lut_table` F16 (2^b) or (N, 2^b). `bits` and `group_size` come from config.json's quantization_config.
core::Result<LutMatrix> read_lut(const core::Safetensors& file, const std::string& prefix, std::int64_t rows,
                                 std::int64_t columns, int bits, std::int64_t group_size);

}  // namespace lutra::lut
