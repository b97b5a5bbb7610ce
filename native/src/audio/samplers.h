#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audio/config.h"
#include "core/progress.h"

namespace lutra::audio {

/// The samplers of an objective, its default first. For v: `dpmpp-3m-sde`, `dpmpp-2m-sde` (Lu et al. 2022, as
/// k-diffusion has them), `cosine-dpm` (diffusers' CosineDPMSolverMultistep), `v-ddim`; for rectified flow: `pingpong`,
/// `euler`, `dpmpp` (stable-audio-tools).
[[nodiscard]] std::span<const std::string_view> samplers_of(Objective objective);

/// Where a trajectory passes: levels of noise, falling, the last 0. For v-prediction a level is sigma (x = z + sigma
/// e); for `v-ddim` and rectified flow it is time in [0, 1].
struct Schedule {
  std::int64_t steps = 100;
  double sigma_min = 0.3;
  double sigma_max = 500;
  double rho = 1;
  /// How much of the way is gone, for a start from a sound: sigma_min^(1 - strength) * sigma_max^strength.
  double strength = 1;
};
[[nodiscard]] std::vector<double> levels_of(std::string_view sampler, const Schedule& schedule);

/// What the network predicts, guidance applied: for x scaled as it wants it, at time t in [0, 1].
using Velocity = std::function<std::vector<float>(std::span<const float> x, double t)>;
/// Fills with the standard normal noise of a step.
using StepNoise = std::function<void(std::int64_t step, std::span<float> noise)>;

/// Latents of which some frames stay as they are: those are put back, noised to the level of the moment, after every
/// step, and exactly at the end (Lugmayr et al., RePaint, 2022, without its returns).
struct Keep {
  std::vector<float> latents;  ///< (channels, frames)
  std::vector<float> change;   ///< (frames): 1 where it is made anew, 0 where it stays; between: mixed
  StepNoise noise;
};

/// From noise (standard normal) to where a trajectory begins; `latents` empty: from nothing.
[[nodiscard]] std::vector<float> start_of(std::string_view sampler, double level, std::span<const float> noise,
                                          std::span<const float> latents);

/// Walks the levels. Throws GraphError: `bad-input` for an unknown sampler or levels that do not fall to 0,
/// `cancelled`.
[[nodiscard]] std::vector<float> sample(std::string_view sampler, std::span<const double> levels, std::vector<float> x,
                                        const Velocity& velocity, const StepNoise& noise, const Keep* keep,
                                        const core::Progress& progress);

/// Guidance (Ho and Salimans 2022) with the rescaling of Lin et al. 2023: deviations over channels, per frame.
[[nodiscard]] std::vector<float> guide(std::span<const float> conditional, std::span<const float> unconditional,
                                       std::int64_t frames, double scale, double rescale);

}  // namespace lutra::audio
