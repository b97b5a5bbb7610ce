#include "audio/evaluate.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"

namespace lutra::audio {
namespace {

using core::NpyArray;
using core::NpzArchive;
using graph::GraphError;

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw GraphError("bad-input", "The array \"" + name + "\" " + what + ".", "", name);
}

/// An array in pieces along its first dimension.
class Batch {
 public:
  Batch(const NpzArchive& inputs, std::string name, std::size_t dimensions) : name_(std::move(name)) {
    const auto found = inputs.find(name_);
    if (found == inputs.end()) return;
    is_there_ = true;
    values_ = found->second.to_floats();
    shape_ = found->second.shape;
    if (shape_.size() + 1 == dimensions) shape_.insert(shape_.begin(), 1);
    if (shape_.size() != dimensions || values_.empty())
      refuse(name_, "should have " + std::to_string(dimensions) + " dimensions, none of them empty");
  }

  explicit operator bool() const { return is_there_; }
  [[nodiscard]] std::int64_t count() const { return shape_[0]; }
  [[nodiscard]] std::int64_t size(std::size_t dimension) const { return shape_[dimension]; }
  [[nodiscard]] std::span<const float> operator[](std::int64_t i) const {
    const auto n = values_.size() / static_cast<std::size_t>(shape_[0]);
    if (shape_[0] == 1) i = 0;  // one for all
    if (i >= shape_[0]) refuse(name_, "has fewer entries than the others");
    return {values_.data() + static_cast<std::size_t>(i) * n, n};
  }

 private:
  std::string name_;
  bool is_there_ = false;
  std::vector<float> values_;
  std::vector<std::int64_t> shape_;
};

/// Collects the entries of an output.
class Output {
 public:
  void add(std::span<const float> values) {
    values_.insert(values_.end(), values.begin(), values.end());
    ++count_;
  }
  void write(NpzArchive& archive, const std::string& name, std::vector<std::int64_t> shape) const {
    if (count_ == 0) return;
    shape.insert(shape.begin(), count_);
    archive.emplace(name, core::npy_from_floats(values_, std::move(shape)));
  }

 private:
  std::vector<float> values_;
  std::int64_t count_ = 0;
};

std::vector<std::int32_t> whole_numbers(std::span<const float> values) {
  std::vector<std::int32_t> result;
  for (const float value : values) result.push_back(static_cast<std::int32_t>(value));
  return result;
}

float softplus(float x) { return x > 20.0F ? x : std::log1p(std::exp(x)); }

}  // namespace

NpzArchive evaluate(Pipeline& pipeline, const NpzArchive& inputs, const EvaluateOptions& options,
                    const core::Progress& progress) {
  NpzArchive result;
  const Batch ids(inputs, "input_ids", 2);
  const Batch mask(inputs, "attention_mask", 2);
  const Batch given_text(inputs, "text_states", 3);
  const Batch given_cross(inputs, "cross_states", 3);
  const Batch given_global(inputs, "global_states", 2);
  const Batch latents(inputs, "latents", 3);
  const Batch timestep(inputs, "timestep", 1);
  const Batch audio(inputs, "audio", 3);
  const Batch noise(inputs, "step_noise", 4);
  std::vector<double> sigmas;
  if (inputs.contains("sigmas")) {
    for (const float value : inputs.find("sigmas")->second.to_floats()) sigmas.push_back(static_cast<double>(value));
    if (noise && noise.count() + 1 < static_cast<std::int64_t>(sigmas.size()))
      refuse("step_noise", "has fewer steps than the sigmas");
  }
  std::map<std::string, Batch> numbers;
  for (const auto& number : pipeline.config().numbers) numbers.emplace(number.id, Batch(inputs, number.id, 1));
  const bool knows_numbers =
      std::all_of(numbers.begin(), numbers.end(), [](const auto& one) { return static_cast<bool>(one.second); });

  std::int64_t n = 1;
  for (const Batch* batch : {&ids, &given_text, &given_cross, &latents}) {
    if (*batch) n = std::max(n, batch->count());
  }
  Output text_out, cross_out, global_out, velocity_out, denoised_out, decoded_out;
  const std::int64_t channels = pipeline.dit().channels();
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<float> text;
    if (given_text) {
      text.assign(given_text[i].begin(), given_text[i].end());
    } else if (ids) {
      Prompt prompt{whole_numbers(ids[i]), {}};
      prompt.mask = mask ? whole_numbers(mask[i]) : std::vector<std::int32_t>(prompt.ids.size(), 1);
      text = pipeline.text_states(prompt, progress);
      text_out.add(text);
    }
    Dit::Condition condition;
    if (!text.empty() && knows_numbers) {
      std::map<std::string, double> values;
      for (const auto& [id, batch] : numbers) values[id] = static_cast<double>(batch[i][0]);
      condition = pipeline.condition(text, values);
      cross_out.add(condition.cross);
      global_out.add(condition.global);
    }
    if (given_cross) condition.cross.assign(given_cross[i].begin(), given_cross[i].end());
    if (given_global) condition.global.assign(given_global[i].begin(), given_global[i].end());
    std::vector<float> clean;
    if (latents) {
      if (latents.size(1) != channels) refuse("latents", "should have " + std::to_string(channels) + " channels");
      clean.assign(latents[i].begin(), latents[i].end());
    }
    const bool can_predict = latents && !condition.cross.empty() && !condition.global.empty();
    if (can_predict && timestep) {
      velocity_out.add(pipeline
                           .dit()(clean, latents.size(2), static_cast<double>(timestep[i][0]), condition, false,
                                  progress.stop_token())
                           .conditional);
    }
    if (can_predict && !sigmas.empty()) {
      const std::string sampler =
          options.sampler.empty() ? std::string(samplers_of(pipeline.config().objective).front()) : options.sampler;
      const bool guided = options.guidance != 1;
      const Velocity velocity = [&](std::span<const float> x, double t) {
        auto both = pipeline.dit()(x, latents.size(2), t, condition, guided, progress.stop_token());
        return guided ? guide(both.conditional, both.unconditional, latents.size(2), options.guidance, 0)
                      : both.conditional;
      };
      const StepNoise recorded = [&](std::int64_t step, std::span<float> target) {
        if (!noise) refuse("step_noise", "is missing");
        const auto all = noise[step];
        const std::size_t first = all.size() > target.size() ? static_cast<std::size_t>(i) * target.size() : 0;
        if (first + target.size() > all.size()) refuse("step_noise", "is not of the latents' size");
        std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(first), target.size(), target.begin());
      };
      clean =
          sample(sampler, sigmas, start_of(sampler, sigmas.front(), clean, {}), velocity, recorded, nullptr, progress);
      denoised_out.add(clean);
    }
    if (latents) decoded_out.add(pipeline.decode(clean, core::Progress(progress.stop_token())));
  }
  if (ids || given_text) {
    const std::int64_t tokens = given_text ? given_text.size(1) : ids.size(1);
    const auto others = static_cast<std::int64_t>(pipeline.config().cross_ids.size()) - 1;
    text_out.write(result, "text_states", {tokens, pipeline.dit().cross_width()});
    cross_out.write(result, "cross_states", {tokens + others, pipeline.dit().cross_width()});
    global_out.write(result, "global_states", {pipeline.dit().global_width()});
  }
  if (latents) {
    velocity_out.write(result, "velocity", {channels, latents.size(2)});
    denoised_out.write(result, "denoised_latents", {channels, latents.size(2)});
    Oobleck& decoder = pipeline.decoder(progress);
    decoded_out.write(result, "decoded_audio", {decoder.audio_channels(), latents.size(2) * decoder.hop()});
  }
  if (audio) {
    Oobleck& encoder = pipeline.encoder(progress);
    if (audio.size(1) != encoder.audio_channels())
      refuse("audio", "should have " + std::to_string(encoder.audio_channels()) + " channels");
    Output mean, deviation;
    for (std::int64_t i = 0; i < audio.count(); ++i) {
      auto encoded = pipeline.encode(audio[i], audio.size(2), core::Progress(progress.stop_token()));
      mean.add(encoded.mean);
      constexpr float least = 1e-4F;
      for (float& value : encoded.scale) value = softplus(value) + least;
      deviation.add(encoded.scale);
    }
    const std::int64_t frames = (audio.size(2) + encoder.hop() - 1) / encoder.hop();
    mean.write(result, "encoded_mean", {encoder.latent_channels(), frames});
    deviation.write(result, "encoded_std", {encoder.latent_channels(), frames});
  }
  if (result.empty()) {
    throw GraphError("bad-input", "The inputs determine no stage of the model.",
                     "Give input_ids and attention_mask, latents, or audio.", "inputs");
  }
  return result;
}

}  // namespace lutra::audio
