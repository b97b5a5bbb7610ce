#pragma once
#include <optional>
#include <string>

#include "lut/flute.h"
#include "lut/formats.h"
#include "text/config.h"

namespace lutra::text {

/// Reads the quantized weights of one checkpoint, in whichever of the formats it has.
class QuantizedReader {
 public:
  QuantizedReader(const core::Safetensors& file, std::string folder, const Config& config)
      : file_(&file), folder_(std::move(folder)), config_(&config) {}

  /// `storage` is neither `dense` nor `missing`. Throws `graph::GraphError` that names the tensor.
  lut::LutMatrix read(lut::Storage storage, const std::string& prefix, std::int64_t rows, std::int64_t columns);

 private:
  const core::Safetensors* file_;
  std::string folder_;
  const Config* config_;
  std::optional<lut::FluteConfig> flute_;
  std::optional<lut::HiggsConfig> higgs_;
};

}  // namespace lutra::text
