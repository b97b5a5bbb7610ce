#include "cuda/device_llama.h"

#include <algorithm>

#include "cuda/device_loader.h"
#include "graph/need.h"

namespace lutra::cuda {

using graph::need;

DeviceLlama::DeviceLlama(const Library& library, const Card& card, text::Config config)
    : functions_(library.functions()),
      config_(std::move(config)),
      card_name_(card.facts.name),
      architecture_("sm_" + std::to_string(card.facts.major) + std::to_string(card.facts.minor)),
      model_(nullptr, Free{library.functions()}) {
  const auto whole = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  const ModelShape shape = {whole(config_.vocab_size),
                            whole(config_.hidden_size),
                            whole(config_.intermediate_size),
                            whole(config_.num_hidden_layers),
                            whole(config_.num_attention_heads),
                            whole(config_.num_key_value_heads),
                            whole(config_.head_dim),
                            static_cast<float>(config_.rms_norm_eps)};
  Model* model = nullptr;
  Problem problem{};
  require(functions_->create_model(card.index, &shape, &model, &problem), problem);
  model_.reset(model);
}

std::unique_ptr<DeviceLlama> DeviceLlama::load(const Library& library, const Card& card, const std::string& folder,
                                               const Room& room, const graph::Compute& compute,
                                               lut::Precision precision, const core::Progress& progress) {
  text::Config config = need(text::Config::read(folder));
  core::Safetensors file = need(core::Safetensors::open(folder));
  std::unique_ptr<DeviceLlama> model(new DeviceLlama(library, card, config));
  const auto threads = static_cast<std::size_t>(compute.n_threads());
  Room wanted = room;
  wanted.context_size = std::min(room.context_size, config.max_position_embeddings);
  Loader loader(*model, file, folder, card, wanted, threads, progress);
  const std::int64_t first = loader.load();
  if (first == 0) return model;
  loader.require_computer_room(first);
  config.num_hidden_layers = first;
  text::LlamaSource source{std::move(config), std::move(file), folder};
  source.has_head = false;
  const core::Progress rest(progress.stop_token(), [&](std::uint64_t done, std::uint64_t total) {
    progress.tell(std::min(loader.done_bytes() + done, total), total);
  });
  model->first_layers_ = text::Llama::load(std::move(source), compute, precision, rest);
  return model;
}

std::string DeviceLlama::kernel() const {
  std::string result = std::to_string(bits_) + "-bit CUDA " + architecture_;
  if (expanded_ > 0) result += ", " + std::to_string(expanded_) + " weights kept in 16 bits";
  if (first_layers_) result += "; " + first_layers_->kernel();
  return result;
}

}  // namespace lutra::cuda
