#pragma once
#include "core/npy.h"
#include "vision/image.h"
#include "vision/model.h"

namespace lutra::vision {

/// Every stage that the inputs determine, for comparison with another implementation, in f32.
///   mllama, named as transformers names what its forward pass takes:
///     pixel_values (n, pictures, tiles, 3, side, side), aspect_ratio_ids (n, pictures),
///     aspect_ratio_mask (n, pictures, tiles; by the ids where it is missing)
///       -> vision_features (n, pictures, tiles, tokens, width), cross_attention_states (n * pictures * tiles, tokens,
///          text width)
///     + input_ids (n, t), attention_mask (n, t), cross_attention_mask (n, t, pictures, tiles; without it every token
///       sees everything, as in transformers) -> logits (n, t, vocab_size)
///   EVLM:
///     pixel_values (pictures of all rows in order, 3, height, width)
///       -> vision_features (pictures, taps, tokens, width), cross_attention_states (pictures, layers, tokens, width):
///          each layer's tap after its `visual_norm`
///     + input_ids (n, t), attention_mask (n, t) -> logits (n, t, vocab_size)
///   mPLUG-Owl3:
///     pixel_values (pictures of all rows in order, 3, side, side)
///       -> vision_features (pictures, tokens, width), cross_attention_states (pictures, tokens, text width)
///     + input_ids (n, t), attention_mask (n, t), media_offset (n, pictures; where pictures stand, by the tokenizer's
///       `<|image|>` where it is missing; or (n, t, 2), the counts of the older processor) -> logits (n, t, vocab_size)
/// Without pixel_values the text alone is read. Logits of tokens that the attention mask hides are 0.
/// Throws GraphError `bad-input` that names the array.
core::NpzArchive evaluate(Model& model, const core::NpzArchive& inputs, const core::Progress& progress);

/// What the processor makes of a picture, in the names and shapes that `evaluate` takes: pixel_values and, of mllama,
/// aspect_ratio_ids and aspect_ratio_mask.
core::NpzArchive arrays_of(const Prepared& prepared);

}  // namespace lutra::vision
