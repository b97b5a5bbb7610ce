#pragma once
#include <string>

#include "audio/pipeline.h"
#include "core/npy.h"

namespace lutra::audio {

struct EvaluateOptions {
  std::string sampler;  ///< empty: the model's default
  double guidance = 1;  ///< for `denoised_latents`; the other branch is the one without a prompt
};

/// Every stage that the inputs determine, for comparison with another implementation. All arrays have a batch
/// dimension first; one of numbers may lack it.
///   input_ids, attention_mask (n, tokens)            -> text_states (n, tokens, width)
///   + seconds_start, seconds_total (n)               -> cross_states (n, tokens', width), global_states (n, width')
///   + latents (n, channels, frames), timestep (n)    -> velocity (n, channels, frames)
///   + sigmas (steps + 1), step_noise (steps, n, …)   -> denoised_latents; latents are then the noise, not yet scaled
///   latents                                          -> decoded_audio (n, audio channels, samples), of
///                                                       denoised_latents where there are any
///   audio (n, audio channels, samples)               -> encoded_mean, encoded_std (n, channels, frames)
/// `text_states`, `cross_states` and `global_states` may be given instead of what they are made from.
/// Throws GraphError `bad-input` that names the array.
core::NpzArchive evaluate(Pipeline& pipeline, const core::NpzArchive& inputs, const EvaluateOptions& options,
                          const core::Progress& progress);

}  // namespace lutra::audio
