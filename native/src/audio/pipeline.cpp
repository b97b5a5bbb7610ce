#include "audio/pipeline.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "audio/t5.h"
#include "core/philox.h"
#include "graph/error.h"

namespace lutra::audio {

using graph::GraphError;

namespace {

/// Latent frames of a tile: large enough that its surroundings cost little, small enough for a gigabyte.
constexpr std::int64_t decode_tile = 256;
constexpr std::int64_t encode_tile = 128;

constexpr std::size_t most_known_prompts = 8;

/// The rows of random values that a take uses; a step has its own behind the last of these.
enum Stream : std::uint64_t { start_noise = 0, kept_noise = 1ULL << 32, step_noise = 1ULL << 33 };

}  // namespace

Pipeline::Pipeline(Checkpoint checkpoint, std::string text_encoder, const graph::Compute& compute, WeightType type,
                   const core::Progress& progress)
    : checkpoint_(std::move(checkpoint)),
      text_encoder_(text_encoder.empty() ? checkpoint_.text_encoder() : std::move(text_encoder)),
      compute_(&compute),
      dit_(checkpoint_, compute, type, progress) {}

std::unique_ptr<Pipeline> Pipeline::load(const std::string& path, const std::string& text_encoder,
                                         const graph::Compute& compute, WeightType type,
                                         const core::Progress& progress) {
  return std::unique_ptr<Pipeline>(new Pipeline(Checkpoint::open(path), text_encoder, compute, type, progress));
}

const std::vector<float>& Pipeline::text_states(const Prompt& prompt, const core::Progress& progress) {
  const auto known = std::find_if(known_.begin(), known_.end(), [&](const auto& one) { return one.first == prompt; });
  if (known != known_.end()) {
    known_.splice(known_.begin(), known_, known);
    return known_.front().second;
  }
  if (text_encoder_.empty()) {
    throw GraphError("not-found", "There is no T5 text encoder beside this model.",
                     "Put the folder of t5-base into the model's folder, or choose it once in the model's settings.",
                     "text_encoder");
  }
  auto states = T5(text_encoder_, *compute_, core::Progress(progress.stop_token()))
                    .encode(prompt.ids, prompt.mask, progress.stop_token());
  known_.emplace_front(prompt, std::move(states));
  if (known_.size() > most_known_prompts) known_.pop_back();
  return known_.front().second;
}

std::vector<float> Pipeline::number_state(const std::string& id, double value) const {
  const auto& numbers = config().numbers;
  const auto found = std::find_if(numbers.begin(), numbers.end(), [&](const auto& one) { return one.id == id; });
  if (found == numbers.end()) throw GraphError("bad-input", "The model is not told \"" + id + "\".", {}, id);
  const double unit =
      (std::clamp(value, found->minimum, found->maximum) - found->minimum) / (found->maximum - found->minimum);
  const auto frequencies = checkpoint_.number(id, "0.weights");
  const auto weight = checkpoint_.number(id, "1.weight");
  auto state = checkpoint_.number(id, "1.bias");
  std::vector<double> features = {unit};
  for (const float w : frequencies) features.push_back(std::sin(2 * std::numbers::pi * unit * static_cast<double>(w)));
  for (const float w : frequencies) features.push_back(std::cos(2 * std::numbers::pi * unit * static_cast<double>(w)));
  if (weight.size() != state.size() * features.size()) {
    throw GraphError("bad-file", "The conditioner \"" + id + "\" has tensors that do not go together.",
                     "Get the model's files again.", id);
  }
  for (std::size_t row = 0; row < state.size(); ++row) {
    double sum = state[row];
    for (std::size_t i = 0; i < features.size(); ++i)
      sum += features[i] * static_cast<double>(weight[row * features.size() + i]);
    state[row] = static_cast<float>(sum);
  }
  return state;
}

Dit::Condition Pipeline::condition(std::span<const float> text, const std::map<std::string, double>& numbers) const {
  const auto value = [&](const std::string& id) {
    const auto found = numbers.find(id);
    if (found == numbers.end()) throw GraphError("bad-input", "The model wants to be told \"" + id + "\".", {}, id);
    return found->second;
  };
  Dit::Condition result;
  for (const std::string& id : config().cross_ids) {
    const auto state = id == "prompt" ? std::vector<float>(text.begin(), text.end()) : number_state(id, value(id));
    result.cross.insert(result.cross.end(), state.begin(), state.end());
  }
  for (const std::string& id : config().global_ids) {
    const auto state = number_state(id, value(id));
    result.global.insert(result.global.end(), state.begin(), state.end());
  }
  return result;
}

std::vector<float> Pipeline::generate(const Request& request, const core::Progress& progress) {
  const std::int64_t frames = request.frames;
  constexpr std::int64_t most_steps = 1000;
  if (frames < 1 || frames > config().most_latents())
    throw GraphError("bad-input", "The length is beyond the model's window.", "Choose a shorter one.", "seconds");
  if (request.schedule.steps < 1 || request.schedule.steps > most_steps)
    throw GraphError("bad-input", "The number of steps is not between 1 and 1000.", {}, "steps");
  const auto& samplers = samplers_of(config().objective);
  const std::string sampler = request.sampler.empty() ? std::string(samplers.front()) : request.sampler;
  if (std::find(samplers.begin(), samplers.end(), sampler) == samplers.end())
    throw GraphError("bad-input", "The sampler \"" + sampler + "\" does not go with this model.", {}, "sampler");

  const std::map<std::string, double> numbers = {{"seconds_start", request.seconds_start},
                                                 {"seconds_total", request.seconds_total}};
  const core::Progress quiet(progress.stop_token());
  Dit::Condition condition = this->condition(text_states(request.prompt, quiet), numbers);
  const bool guided = request.guidance != 1;
  if (guided && request.negative)
    condition.negative = this->condition(text_states(*request.negative, quiet), numbers).cross;

  const auto size = static_cast<std::size_t>(dit_.channels() * frames);
  std::vector<float> latents;
  if (!request.init.empty()) {
    const auto channels = static_cast<std::size_t>(config().audio_channels);
    auto encoded = encode(request.init, static_cast<std::int64_t>(request.init.size() / channels), quiet).mean;
    const std::size_t had = encoded.size() / static_cast<std::size_t>(dit_.channels());
    latents.resize(size);
    for (std::size_t c = 0; c < static_cast<std::size_t>(dit_.channels()); ++c)
      std::copy_n(encoded.begin() + static_cast<std::ptrdiff_t>(c * had),
                  std::min(had, static_cast<std::size_t>(frames)),
                  latents.begin() + static_cast<std::ptrdiff_t>(c * static_cast<std::size_t>(frames)));
  }
  const bool keeps = !request.change.empty();
  if (keeps && (latents.empty() || static_cast<std::int64_t>(request.change.size()) != frames))
    throw GraphError("bad-input", "The region does not go with the sound to change.", {}, "region");

  const auto row = [&](std::uint64_t stream, std::span<float> target) {
    core::RandomRow(request.seed, stream).normal(0, target);
  };
  Schedule schedule = request.schedule;
  if (latents.empty() || keeps) schedule.strength = 1;
  const auto levels = levels_of(sampler, schedule);
  std::vector<float> noise(size);
  row(start_noise, noise);
  const Keep keep{latents, request.change, [&](std::int64_t, std::span<float> target) { row(kept_noise, target); }};
  auto x = start_of(sampler, levels.front(), noise, latents);
  if (keeps) x = start_of(sampler, levels.front(), noise, {});
  const Velocity velocity = [&](std::span<const float> at, double t) {
    auto both = dit_(at, frames, t, condition, guided, progress.stop_token());
    auto v = guided ? guide(both.conditional, both.unconditional, frames, request.guidance, request.guidance_rescale)
                    : std::move(both.conditional);
    if (request.watch) {
      const bool is_flow = config().objective == Objective::rectified_flow;
      const double angle = t * std::numbers::pi / 2;
      std::vector<float> clean(v.size());
      for (std::size_t i = 0; i < v.size(); ++i)
        clean[i] = static_cast<float>(is_flow ? at[i] - t * v[i] : at[i] * std::cos(angle) - v[i] * std::sin(angle));
      request.watch(clean);
    }
    return v;
  };
  return sample(
      sampler, levels, std::move(x), velocity,
      [&](std::int64_t step, std::span<float> target) { row(step_noise + static_cast<std::uint64_t>(step), target); },
      keeps ? &keep : nullptr, progress);
}

std::vector<float> Pipeline::decode(std::span<const float> latents, const core::Progress& progress) {
  Oobleck& half = decoder(core::Progress(progress.stop_token()));
  const std::int64_t frames = static_cast<std::int64_t>(latents.size()) / half.latent_channels();
  auto samples = half.decode(latents, frames, decode_tile, progress);
  if (!std::all_of(samples.begin(), samples.end(), [](float value) { return std::isfinite(value); })) {
    throw GraphError("internal", "The model made numbers that are no sound.",
                     "Choose another seed, fewer steps or less guidance; the checkpoint may be damaged.");
  }
  return samples;
}

Oobleck::Encoded Pipeline::encode(std::span<const float> audio, std::int64_t samples, const core::Progress& progress) {
  Oobleck& half = encoder(core::Progress(progress.stop_token()));
  const std::int64_t whole = (samples + half.hop() - 1) / half.hop() * half.hop();
  const auto channels = static_cast<std::size_t>(half.audio_channels());
  std::vector<float> filled(static_cast<std::size_t>(whole) * channels);
  for (std::size_t c = 0; c < channels; ++c)
    std::copy_n(audio.begin() + static_cast<std::ptrdiff_t>(c * static_cast<std::size_t>(samples)), samples,
                filled.begin() + static_cast<std::ptrdiff_t>(c * static_cast<std::size_t>(whole)));
  return half.encode(filled, whole, encode_tile, progress);
}

Oobleck& Pipeline::decoder(const core::Progress& progress) {
  if (!decoder_) decoder_ = std::make_unique<Oobleck>(checkpoint_, Oobleck::Half::decoder, *compute_, progress);
  return *decoder_;
}

Oobleck& Pipeline::encoder(const core::Progress& progress) {
  if (!encoder_) encoder_ = std::make_unique<Oobleck>(checkpoint_, Oobleck::Half::encoder, *compute_, progress);
  return *encoder_;
}

}  // namespace lutra::audio
