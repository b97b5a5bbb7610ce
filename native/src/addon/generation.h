#pragma once
#include <napi.h>

#include <cstdint>
#include <vector>

#include "addon/task.h"
#include "text/conversation.h"

namespace lutra::addon {

/// What an answer is asked for with.
struct GenerateRequest {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> end_ids;
  std::int64_t most_tokens = 0;
  text::SamplerOptions sampler;
};

/// {prompt, endIds, maxTokens, temperature, topK, topP, minP, repeatPenalty, seed}
GenerateRequest generate_request(const Napi::Object& options);

/// Reads the prompt from `cached` on, which the conversation has already, and writes an answer; tells (0, prompt tokens
/// read) and (1, token) -> {cachedTokens, generatedTokens, reason: 'end' | 'length' | 'context-full' | 'stopped'}
Finish write_answer(text::Conversation& conversation, std::int64_t cached, const GenerateRequest& request,
                    const std::stop_token& stop, const Task::Tell& tell);

}  // namespace lutra::addon
