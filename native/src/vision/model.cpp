#include "vision/model.h"

#include "graph/need.h"
#include "text/config_fields.h"
#include "vision/evlm.h"
#include "vision/mllama.h"
#include "vision/mplugowl3.h"

namespace lutra::vision {

using graph::need;

std::unique_ptr<Model> Model::load(const std::string& folder, const graph::Compute& compute, lut::Precision precision,
                                   const core::Progress& progress) {
  const core::Json json = need(text::read_config_json(folder));
  const Family family = need(family_of(json));
  // The config first: a wrong one is refused before a byte of the weights is looked at.
  if (family == Family::evlm) {
    EvlmConfig config = need(EvlmConfig::read(json));
    return std::make_unique<Evlm>(folder, std::move(config), need(core::Safetensors::open(folder)), compute, precision,
                                  progress);
  }
  if (family == Family::mllama) {
    MllamaConfig config = need(MllamaConfig::read(json));
    return std::make_unique<Mllama>(folder, std::move(config), need(core::Safetensors::open(folder)), compute,
                                    precision, progress);
  }
  MplugOwl3Config config = need(MplugOwl3Config::read(json, folder));
  return std::make_unique<MplugOwl3>(folder, std::move(config), need(core::Safetensors::open(folder)), compute,
                                     precision, progress);
}

Description describe(const std::string& folder) {
  const core::Json json = need(text::read_config_json(folder));
  Description result;
  result.family = need(family_of(json));
  text::Config text;
  if (result.family == Family::evlm) {
    const EvlmConfig config = need(EvlmConfig::read(json));
    text = config.text;
    result.image_token_id = config.media_token_id;
    result.image_tokens = config.cross.media_tokens;
    result.vision_tokens = config.vision.tokens();
  } else if (result.family == Family::mllama) {
    const MllamaConfig config = need(MllamaConfig::read(json));
    text = config.text;
    result.image_token_id = config.image_token_id;
    result.vision_tokens = config.max_num_tiles * config.tokens_per_tile();
  } else {
    const MplugOwl3Config config = need(MplugOwl3Config::read(json, folder));
    text = config.text;
    result.image_token_id = config.image_token_id;
    result.vision_tokens = config.vision.patches();
  }
  result.vocab_size = text.vocab_size;
  result.context_size = text.max_position_embeddings;
  const core::Safetensors file = need(core::Safetensors::open(folder));
  for (const auto& [name, view] : file.tensors()) result.weight_bytes += view.bytes.size();
  return result;
}

}  // namespace lutra::vision
