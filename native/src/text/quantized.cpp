#include "text/quantized.h"

#include "graph/need.h"

namespace lutra::text {

using graph::need;

lut::LutMatrix QuantizedReader::read(lut::Storage storage, const std::string& prefix, std::int64_t rows,
                                     std::int64_t columns) {
  if (storage == lut::Storage::flute && config_->quant_method == "higgs") {
    if (!higgs_) higgs_ = need(lut::read_higgs_config(folder_));
    return need(lut::read_higgs(*file_, prefix, rows, columns, *higgs_));
  }
  if (storage == lut::Storage::flute) {
    if (!flute_) flute_ = need(lut::read_flute_config(folder_));
    return need(
        lut::read_flute(*file_, prefix, rows, columns, flute_->bits, flute_->group_size, flute_->tile_p.of(prefix)));
  }
  if (storage == lut::Storage::bitsandbytes) return need(lut::read_bitsandbytes(*file_, prefix, rows, columns));
  return need(lut::read_lut(*file_, prefix, rows, columns, config_->lut_bits, config_->lut_group_size));
}

}  // namespace lutra::text
