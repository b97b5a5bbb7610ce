#include "audio/samplers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "graph/error.h"

namespace lutra::audio {
namespace {

using graph::GraphError;

constexpr std::array<std::string_view, 4> v_samplers = {"dpmpp-3m-sde", "dpmpp-2m-sde", "cosine-dpm", "v-ddim"};
constexpr std::array<std::string_view, 3> flow_samplers = {"pingpong", "euler", "dpmpp"};

bool is_flow(std::string_view sampler) {
  return std::find(flow_samplers.begin(), flow_samplers.end(), sampler) != flow_samplers.end();
}

bool is_known(std::string_view sampler) {
  return is_flow(sampler) || std::find(v_samplers.begin(), v_samplers.end(), sampler) != v_samplers.end();
}

/// a x + b y, elementwise, into x
void mix(std::vector<float>& x, double a, std::span<const float> y, double b) {
  const auto fa = static_cast<float>(a);
  const auto fb = static_cast<float>(b);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = fa * x[i] + fb * y[i];
}

std::vector<float> difference(std::span<const float> a, std::span<const float> b, double divisor) {
  std::vector<float> result(a.size());
  const auto factor = static_cast<float>(1 / divisor);
  for (std::size_t i = 0; i < a.size(); ++i) result[i] = (a[i] - b[i]) * factor;
  return result;
}

/// One way through the levels. `step` moves x from level i to i + 1.
class Walk {
 public:
  Walk(std::span<const double> levels, const Velocity& velocity, const StepNoise& noise)
      : levels_(levels), velocity_(&velocity), noise_(&noise) {}

  void step(std::string_view sampler, std::size_t i, std::vector<float>& x) {
    if (sampler == "v-ddim") return ddim(i, x);
    if (sampler == "euler") return euler(i, x);
    if (sampler == "pingpong") return pingpong(i, x);
    if (sampler == "dpmpp") return flow_multistep(i, x);
    multistep(i, x, sampler == "dpmpp-3m-sde");
  }

 private:
  /// Adds a step's noise times `scale`.
  void stir(std::size_t i, std::vector<float>& x, double scale) {
    std::vector<float> noise(x.size());
    (*noise_)(static_cast<std::int64_t>(i), noise);
    mix(x, 1, noise, scale);
  }

  /// The clean latents that x is taken for (Karras et al. 2022, for v-prediction).
  std::vector<float> denoised(double sigma, std::span<const float> x) {
    const double variance = sigma * sigma + 1;
    const double root = std::sqrt(variance);
    std::vector<float> scaled(x.begin(), x.end());
    for (float& value : scaled) value = static_cast<float>(value / root);
    auto v = (*velocity_)(scaled, 2 / std::numbers::pi * std::atan(sigma));
    for (std::size_t k = 0; k < v.size(); ++k) v[k] = static_cast<float>(x[k] / variance - sigma / root * v[k]);
    return v;
  }

  /// DPM-Solver++ (SDE) of second or third order, with eta 1.
  void multistep(std::size_t i, std::vector<float>& x, bool has_third_order) {
    const double sigma = levels_[i];
    const double next = levels_[i + 1];
    auto clean = denoised(sigma, x);
    if (next == 0) {
      x = std::move(clean);
      return;
    }
    const double h = std::log(sigma / next);
    const double twice = 2 * h;
    mix(x, std::exp(-twice), clean, -std::expm1(-twice));
    if (has_third_order && before_last_.size() == x.size()) {
      const double r0 = last_h_ / h;
      const double r1 = before_last_h_ / h;
      const auto a = difference(clean, last_, r0);
      const auto b = difference(last_, before_last_, r1);
      const double phi2 = std::expm1(-twice) / twice + 1;
      const double phi3 = phi2 / twice - 0.5;
      for (std::size_t k = 0; k < x.size(); ++k) {
        const double bend = a[k] - b[k];
        const double d1 = a[k] + bend * r0 / (r0 + r1);
        const double d2 = bend / (r0 + r1);
        x[k] = static_cast<float>(x[k] + phi2 * d1 - phi3 * d2);
      }
    } else if (last_.size() == x.size()) {
      const double factor = has_third_order ? std::expm1(-twice) / twice + 1 : -std::expm1(-twice) / 2;
      mix(x, 1, difference(clean, last_, last_h_ / h), factor);
    }
    stir(i, x, next * std::sqrt(-std::expm1(-twice)));
    before_last_ = std::move(last_);
    before_last_h_ = last_h_;
    last_ = std::move(clean);
    last_h_ = h;
  }

  void ddim(std::size_t i, std::vector<float>& x) {
    const double angle = levels_[i] * std::numbers::pi / 2;
    const double next = levels_[i + 1] * std::numbers::pi / 2;
    const auto v = (*velocity_)(x, levels_[i]);
    for (std::size_t k = 0; k < x.size(); ++k) {
      const double clean = x[k] * std::cos(angle) - v[k] * std::sin(angle);
      const double noise = x[k] * std::sin(angle) + v[k] * std::cos(angle);
      x[k] = static_cast<float>(clean * std::cos(next) + noise * std::sin(next));
    }
  }

  void euler(std::size_t i, std::vector<float>& x) {
    const auto v = (*velocity_)(x, levels_[i]);
    mix(x, 1, v, levels_[i + 1] - levels_[i]);
  }

  void pingpong(std::size_t i, std::vector<float>& x) {
    const double next = levels_[i + 1];
    const auto v = (*velocity_)(x, levels_[i]);
    mix(x, 1, v, -levels_[i]);
    if (next == 0) return;
    for (float& value : x) value = static_cast<float>(value * (1 - next));
    stir(i, x, next);
  }

  /// DPM-Solver++ (2M) over log-SNR, for straight paths.
  void flow_multistep(std::size_t i, std::vector<float>& x) {
    const double t = levels_[i];
    const double next = levels_[i + 1];
    const auto v = (*velocity_)(x, t);
    std::vector<float> clean = x;
    mix(clean, 1, v, -t);
    const auto log_snr = [](double time) { return std::log((1 - time) / time); };
    const double h = log_snr(next) - log_snr(t);
    std::vector<float> target = clean;
    if (next > 0 && last_.size() == x.size()) {
      const double weight = h / (2 * last_h_);  // 0 after a first step from pure noise
      mix(target, 1 + weight, last_, -weight);
    }
    mix(x, next / t, target, -(1 - next) * std::expm1(-h));
    last_ = std::move(clean);
    last_h_ = h;
  }

  std::span<const double> levels_;
  const Velocity* velocity_;
  const StepNoise* noise_;
  std::vector<float> last_, before_last_;
  double last_h_ = 0;
  double before_last_h_ = 0;
};

/// How much of the clean latents and of noise there is at a level.
std::pair<double, double> shares(std::string_view sampler, double level) {
  if (is_flow(sampler)) return {1 - level, level};
  const double angle = level * std::numbers::pi / 2;
  if (sampler == "v-ddim") return {std::cos(angle), std::sin(angle)};
  return {1, level};
}

void put_back(std::string_view sampler, const Keep& keep, double level, std::int64_t step, std::vector<float>& x) {
  std::vector<float> noise(x.size());
  if (level > 0) keep.noise(step, noise);
  const auto [clean, noisy] = shares(sampler, level);
  const std::size_t frames = keep.change.size();
  for (std::size_t k = 0; k < x.size(); ++k) {
    const double known = keep.latents[k] * clean + noise[k] * noisy;
    const double change = keep.change[k % frames];
    x[k] = static_cast<float>(change * x[k] + (1 - change) * known);
  }
}

}  // namespace

std::span<const std::string_view> samplers_of(Objective objective) {
  if (objective == Objective::rectified_flow) return flow_samplers;
  return v_samplers;
}

std::vector<double> levels_of(std::string_view sampler, const Schedule& schedule) {
  const auto n = static_cast<std::size_t>(schedule.steps);
  std::vector<double> levels;
  if (is_flow(sampler)) {
    // Even in log-SNR from -6 to 2; the first is the beginning itself. Fewer levels of noise for a start from a sound.
    constexpr double least_snr = -6;
    constexpr double most_snr = 2;
    constexpr double least_time = 0.01;
    constexpr double least_rise = 2;
    const double first = std::pow(least_time, 1 - schedule.strength);
    const double from = first < 1 ? std::log((1 - first) / first) : least_snr;
    const double to = std::max(most_snr, from + least_rise);
    for (std::size_t i = 0; i < n; ++i) {
      const double snr = from + (to - from) * static_cast<double>(i) / static_cast<double>(n);
      levels.push_back(i == 0 ? first : 1 / (1 + std::exp(snr)));
    }
  } else {
    const double low = std::log(schedule.sigma_min);
    const double high = low + schedule.strength * (std::log(schedule.sigma_max) - low);
    if (sampler == "v-ddim") {
      const double first = schedule.strength >= 1 ? 1 : 2 / std::numbers::pi * std::atan(std::exp(high));
      for (std::size_t i = 0; i < n; ++i)
        levels.push_back(first * (1 - static_cast<double>(i) / static_cast<double>(n)));
    } else {
      for (std::size_t i = 0; i < n; ++i) {
        const double share = n == 1 ? 1 : 1 - static_cast<double>(i) / static_cast<double>(n - 1);
        levels.push_back(std::exp(low + std::pow(share, schedule.rho) * (high - low)));
      }
    }
  }
  levels.push_back(0);
  return levels;
}

std::vector<float> start_of(std::string_view sampler, double level, std::span<const float> noise,
                            std::span<const float> latents) {
  auto [clean, noisy] = shares(sampler, level);
  if (latents.empty() && sampler == "cosine-dpm") noisy = std::sqrt(level * level + 1);
  std::vector<float> x(noise.begin(), noise.end());
  for (std::size_t k = 0; k < x.size(); ++k)
    x[k] = static_cast<float>(x[k] * noisy + (latents.empty() ? 0 : latents[k] * clean));
  return x;
}

std::vector<float> sample(std::string_view sampler, std::span<const double> levels, std::vector<float> x,
                          const Velocity& velocity, const StepNoise& noise, const Keep* keep,
                          const core::Progress& progress) {
  if (!is_known(sampler))
    throw GraphError("bad-input", "There is no sampler called \"" + std::string(sampler) + "\".", {}, "sampler");
  const bool falls =
      levels.size() >= 2 && levels.back() == 0 &&
      std::adjacent_find(levels.begin(), levels.end(), [](double a, double b) { return !(a > b); }) == levels.end() &&
      std::isfinite(levels.front()) && (sampler == "v-ddim" || is_flow(sampler) ? levels.front() <= 1 : true);
  if (!falls) throw GraphError("bad-input", "The levels of noise do not fall step by step to 0.", {}, "sigmas");
  Walk walk(levels, velocity, noise);
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    if (progress.cancelled()) throw GraphError("cancelled", "Cancelled.");
    walk.step(sampler, i, x);
    if (keep != nullptr) put_back(sampler, *keep, levels[i + 1], static_cast<std::int64_t>(i), x);
    progress.tell(i + 1, levels.size() - 1);
  }
  return x;
}

std::vector<float> guide(std::span<const float> conditional, std::span<const float> unconditional, std::int64_t frames,
                         double scale, double rescale) {
  std::vector<float> result(conditional.size());
  for (std::size_t k = 0; k < result.size(); ++k)
    result[k] = static_cast<float>(unconditional[k] + scale * (conditional[k] - unconditional[k]));
  if (rescale == 0) return result;
  const auto n = static_cast<std::size_t>(frames);
  const std::size_t channels = result.size() / n;
  const auto deviation = [&](std::span<const float> x, std::size_t frame) {
    double sum = 0;
    double squares = 0;
    for (std::size_t c = 0; c < channels; ++c) sum += x[c * n + frame];
    const double mean = sum / static_cast<double>(channels);
    for (std::size_t c = 0; c < channels; ++c) squares += (x[c * n + frame] - mean) * (x[c * n + frame] - mean);
    return std::sqrt(squares / static_cast<double>(channels - 1));
  };
  for (std::size_t frame = 0; frame < n; ++frame) {
    const double is = deviation(result, frame);
    const double factor = is > 0 ? rescale * deviation(conditional, frame) / is + 1 - rescale : 1;
    for (std::size_t c = 0; c < channels; ++c)
      result[c * n + frame] = static_cast<float>(result[c * n + frame] * factor);
  }
  return result;
}

}  // namespace lutra::audio
