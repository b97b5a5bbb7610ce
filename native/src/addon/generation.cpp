#include "addon/generation.h"

#include <algorithm>

namespace lutra::addon {

GenerateRequest generate_request(const Napi::Object& options) {
  GenerateRequest request;
  request.prompt = field<std::vector<std::int32_t>>(options, "prompt");
  request.end_ids = field<std::vector<std::int32_t>>(options, "endIds");
  request.most_tokens = static_cast<std::int64_t>(field<double>(options, "maxTokens"));
  text::SamplerOptions& sampler = request.sampler;
  sampler.temperature = static_cast<float>(field<double>(options, "temperature"));
  sampler.top_k = static_cast<std::int32_t>(field<double>(options, "topK"));
  sampler.top_p = static_cast<float>(field<double>(options, "topP"));
  sampler.min_p = static_cast<float>(field<double>(options, "minP"));
  sampler.repeat_penalty = static_cast<float>(field<double>(options, "repeatPenalty"));
  sampler.seed = static_cast<std::uint32_t>(field<double>(options, "seed"));
  return request;
}

Finish write_answer(text::Conversation& conversation, std::int64_t cached, const GenerateRequest& request,
                    const std::stop_token& stop, const Task::Tell& tell) {
  enum Event { reading = 0, token = 1 };
  std::int64_t generated = 0;
  const char* reason = "length";
  try {
    conversation.read(std::span(request.prompt).subspan(static_cast<size_t>(cached)), stop,
                      [&](std::int64_t done) { tell(reading, static_cast<double>(cached + done)); });
    text::Sampler sampler(request.sampler);
    std::int32_t next = request.most_tokens > 0 ? conversation.draw(sampler) : 0;
    while (generated < request.most_tokens) {
      if (std::find(request.end_ids.begin(), request.end_ids.end(), next) != request.end_ids.end()) {
        reason = "end";
        break;
      }
      ++generated;
      tell(token, next);
      if (static_cast<std::int64_t>(conversation.tokens().size()) >= conversation.context_size()) {
        reason = "context-full";
        break;
      }
      if (generated < request.most_tokens) next = conversation.follow(next, sampler, stop);
    }
  } catch (const GraphError& error) {
    if (error.code() != "cancelled") throw;
    reason = "stopped";
  }
  return [cached, generated, reason](Napi::Env env) {
    auto result = Napi::Object::New(env);
    result.Set("cachedTokens", static_cast<double>(cached));
    result.Set("generatedTokens", static_cast<double>(generated));
    result.Set("reason", reason);
    return result;
  };
}

}  // namespace lutra::addon
