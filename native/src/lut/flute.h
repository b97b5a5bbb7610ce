#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/safetensors.h"
#include "lut/lut_matrix.h"

namespace lutra::lut {

/// FLUTE's TileP: how many packed rows one tile has. Each of FLUTE's kernel templates has one, and the packing depends
/// on nothing else of it. 32, and 64 for the 4-bit templates 0-15, 48-63 and 96-111 and the 2-bit templates 0-3, 12-15
/// and 24-27; 3-bit weights are always packed with 32. Source: flute/data's template configurations, v0.4.2.
[[nodiscard]] int flute_tile_p(int bits, std::int64_t template_id);

/// TileP of each module: what its own metadata says, or the checkpoint's.
struct TileSizes {
  int otherwise = 32;
  std::map<std::string, int, std::less<>> by_module;  ///< module name -> TileP

  [[nodiscard]] int of(std::string_view module) const;
};

/// `flute_config.json`.
struct FluteConfig {
  int bits = 4;
  std::int64_t group_size = 64;
  TileSizes tile_p;
};

/// Reads `flute_config.json` of a checkpoint's folder: `num_bits`, `group_size`; `template_id` or `tune_metadata` (one
/// object, or one per module) decides TileP, 32 where there is none; `num_sms` does not matter. Fails with `bad-file`
/// that names the field, `file-access` where there is no such file.
core::Result<FluteConfig> read_flute_config(const std::string& folder);

/// FLUTE's layout: `P.weight` I16 (N b / 16, K), `P.scales` (N, K / group) and `P.tables` (2^b) F16, BF16 or F32;
/// `P.tables2` is ignored, as it repeats `P.tables`. N is `rows`, K is `columns`. Fails with `bad-file` that names the
/// tensor. Source: flute/utils.py, `pack`.
core::Result<LutMatrix> read_flute(const core::Safetensors& file, const std::string& prefix, std::int64_t rows,
                                   std::int64_t columns, int bits, std::int64_t group_size, int tile_p);

/// `quantization_config` of a HIGGS checkpoint; the defaults are those of transformers' HiggsConfig.
struct HiggsConfig {
  int bits = 4;
  int p = 2;  ///< weights per codebook entry: 1 or 2
  std::int64_t group_size = 256;
  std::int64_t hadamard_size = 512;
  std::vector<std::string> modules_to_not_convert = {"lm_head"};
  TileSizes tile_p;

  /// Whether `module` stays as it is: it is named in `modules_to_not_convert`, whole or as its last parts.
  [[nodiscard]] bool skips(std::string_view module) const;
};

/// Reads `quantization_config` from `config.json` of a checkpoint's folder. Fails with `bad-file` that names the field.
core::Result<HiggsConfig> read_higgs_config(const std::string& folder);

/// HIGGS' layout: FLUTE's tensors, K filled up to a multiple of `hadamard_size`; with p = 2 `P.tables2` is the
/// codebook, F16 or BF16 (2^b, 2^b, 2) or the same bytes as F32 (2^b, 2^b, 1), and `P.tables` is ignored. The result
/// has that filled-up number of columns: activations are filled up with zeros and transformed first. Source:
/// transformers' integrations/higgs.py and flute/integrations/higgs.py.
core::Result<LutMatrix> read_higgs(const core::Safetensors& file, const std::string& prefix, std::int64_t rows,
                                   std::int64_t columns, const HiggsConfig& config);

}  // namespace lutra::lut
