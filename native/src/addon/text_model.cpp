#include "addon/text_model.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "addon/classes.h"
#include "addon/edge.h"
#include "addon/generation.h"
#include "addon/loading.h"
#include "addon/memory.h"
#include "addon/task.h"
#include "addon/text_options.h"
#include "cuda/device_session.h"
#include "graph/device.h"
#include "text/session.h"

namespace lutra::addon {
namespace {

using graph::GraphError;

/// A loaded model with its chat; shared with the thread that works on it. The model lies in the machine's memory, or on
/// a graphics card, or its first layers here and the others there.
struct Loaded {
  std::unique_ptr<graph::Compute> compute;
  std::unique_ptr<text::Llama> model;
  std::unique_ptr<cuda::DeviceLlama> device_model;
  std::unique_ptr<text::Conversation> chat;
  std::mutex busy;

  [[nodiscard]] const text::Config& config() const { return model ? model->config() : device_model->config(); }
};

std::shared_ptr<Loaded> with_compute(const graph::Ggml& ggml, int threads) {
  auto loaded = std::make_shared<Loaded>();
  const int usable = static_cast<int>(core::usable_cores());
  loaded->compute = std::make_unique<graph::Compute>(ggml, ggml.cpu_device(), threads > 0 ? threads : usable);
  return loaded;
}

std::shared_ptr<Loaded> load(const graph::Ggml& ggml, const std::string& folder, int threads, lut::Precision precision,
                             const core::Progress& progress) {
  auto loaded = with_compute(ggml, threads);
  loaded->model = text::Llama::load(folder, *loaded->compute, precision, progress);
  return loaded;
}

/// On the card with the most free memory, as far as it goes.
std::shared_ptr<Loaded> load_on_card(const graph::Ggml& ggml, const std::string& folder, int threads,
                                     lut::Precision precision, cuda::Room room, const core::Progress& progress) {
  const cuda::Library& library = cuda::Library::instance();
  auto cards = library.cards();
  if (cards.empty()) throw GraphError("engine-unavailable", library.reason(), "Choose the CPU in the settings.");
  const auto roomiest = std::max_element(cards.begin(), cards.end(), [](const auto& a, const auto& b) {
    return a.facts.memory_free_bytes < b.facts.memory_free_bytes;
  });
  auto loaded = with_compute(ggml, threads);
  room.computer_bytes = read_memory().machine_free_bytes;
  loaded->device_model =
      cuda::DeviceLlama::load(library, *roomiest, folder, room, *loaded->compute, precision, progress);
  return loaded;
}

class TextModel : public Napi::ObjectWrap<TextModel> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "TextModel",
                       {InstanceMethod<&TextModel::info>("info"), InstanceMethod<&TextModel::generate>("generate"),
                        InstanceMethod<&TextModel::stop>("stop"), InstanceMethod<&TextModel::close>("close")});
  }

  explicit TextModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TextModel>(info) {}
  void hold(std::shared_ptr<Loaded> loaded) { loaded_ = std::move(loaded); }

 private:
  [[nodiscard]] Loaded& loaded() const {
    if (!loaded_) throw GraphError("internal", "The model is closed.");
    return *loaded_;
  }

  Napi::Value info(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      const Loaded& now = loaded();
      auto result = Napi::Object::New(call.Env());
      result.Set("vocabSize", static_cast<double>(now.config().vocab_size));
      result.Set("kernel", now.model ? now.model->kernel() : now.device_model->kernel());
      result.Set("device", now.model ? "CPU" : now.device_model->card_name());
      if (!now.model) {
        result.Set("cardLayers", static_cast<double>(now.device_model->layers_on_card()));
        result.Set("layers", static_cast<double>(now.config().num_hidden_layers));
      }
      const auto weights = now.model ? now.model->weight_bytes() : now.device_model->weight_bytes();
      result.Set("weightBytes", static_cast<double>(weights));
      result.Set("cacheBytes", static_cast<double>(now.chat->cache_bytes()));
      result.Set("contextSize", static_cast<double>(now.chat->context_size()));
      result.Set("usedTokens", static_cast<double>(now.chat->tokens().size()));
      return result;
    });
  }

  /// generate({prompt, endIds, maxTokens, temperature, topK, topP, minP, repeatPenalty, seed}, listener(kind, value))
  Napi::Value generate(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      if (call.Length() < 2 || !call[0].IsObject() || !call[1].IsFunction())
        throw GraphError("bad-input", "generate() takes an object and a function.");
      auto request = generate_request(call[0].As<Napi::Object>());
      static_cast<void>(loaded());
      stop_ = std::stop_source();
      return Task::start(
          call.Env(), call[1].As<Napi::Function>(), stop_.get_token(),
          [held = loaded_, request = std::move(request)](const std::stop_token& stop, const Task::Tell& tell) {
            return answer(*held, request, stop, tell);
          });
    });
  }

  static Finish answer(Loaded& now, const GenerateRequest& request, const std::stop_token& stop,
                       const Task::Tell& tell) {
    const std::lock_guard lock(now.busy);
    text::Conversation& chat = *now.chat;
    return write_answer(chat, chat.keep_prefix(request.prompt), request, stop, tell);
  }

  Napi::Value stop(const Napi::CallbackInfo& call) {
    stop_.request_stop();
    return call.Env().Undefined();
  }

  Napi::Value close(const Napi::CallbackInfo& call) {
    stop_.request_stop();
    loaded_.reset();
    return call.Env().Undefined();
  }

  std::shared_ptr<Loaded> loaded_;
  std::stop_source stop_;
};

struct LoadRequest {
  std::string folder;
  int threads;
  lut::Precision precision;
};

LoadRequest load_request(const Napi::CallbackInfo& call) {
  if (call.Length() < 2 || !call[0].IsObject() || !call[1].IsFunction())
    throw GraphError("bad-input", "An object and a function are expected.");
  const auto options = call[0].As<Napi::Object>();
  return {field<std::string>(options, "folder"), static_cast<int>(field<double>(options, "threads")),
          precision_of(options)};
}

/// loadTextModel({folder, threads, precision, cacheType, contextSize, device}, listener(doneBytes, totalBytes))
Napi::Value load_text_model(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    const auto options = call[0].As<Napi::Object>();
    const auto cache_type = cache_type_of(options);
    const auto context_size = static_cast<std::int64_t>(field<double>(options, "contextSize"));
    const bool is_on_card = field<std::string>(options, "device") == "cuda";
    return Loading<TextModel>::start(
        call.Env(), call[1].As<Napi::Function>(), call.Env().GetInstanceData<Classes>()->text_model,
        [request, cache_type, context_size, is_on_card](const core::Progress& progress) {
          const graph::Ggml& ggml = graph::Ggml::instance();
          auto loaded = is_on_card ? load_on_card(ggml, request.folder, request.threads, request.precision,
                                                  {.context_size = context_size, .cache_type = cache_type}, progress)
                                   : load(ggml, request.folder, request.threads, request.precision, progress);
          const std::int64_t longest = std::min(context_size, loaded->config().max_position_embeddings);
          if (is_on_card) {
            loaded->chat = std::make_unique<cuda::DeviceSession>(*loaded->device_model, longest, cache_type);
          } else {
            loaded->chat = std::make_unique<text::Session>(*loaded->model, longest, cache_type);
          }
          return loaded;
        });
  });
}

std::stop_source& evaluating() {
  static std::stop_source source;
  return source;
}

Napi::Value stop_evaluating(const Napi::CallbackInfo& call) {
  evaluating().request_stop();
  return call.Env().Undefined();
}

/// A model for a whole text at once, on the processor.
struct Evaluated {
  std::shared_ptr<Loaded> loaded;
  std::unique_ptr<text::Session> session;
};

Evaluated load_for_evaluation(const LoadRequest& request, const std::stop_token& stop, std::int64_t tokens) {
  auto loaded = load(graph::Ggml::instance(), request.folder, request.threads, request.precision, core::Progress(stop));
  const std::int64_t longest = loaded->model->config().max_position_embeddings;
  const auto type = request.precision == lut::Precision::exact ? text::CacheType::f32 : text::CacheType::f16;
  auto session = std::make_unique<text::Session>(*loaded->model, std::min(tokens, longest), type);
  return {std::move(loaded), std::move(session)};
}

/// evalLogits({folder, threads, precision, tokens}, listener): the logits of every position.
Napi::Value eval_logits(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    auto tokens = field<std::vector<std::int32_t>>(call[0].As<Napi::Object>(), "tokens");
    return Task::start(call.Env(), call[1].As<Napi::Function>(), {},
                       [request, tokens = std::move(tokens)](const std::stop_token& stop, const Task::Tell&) {
                         const auto [loaded, session] =
                             load_for_evaluation(request, stop, static_cast<std::int64_t>(tokens.size()));
                         auto logits = std::make_shared<std::vector<float>>(session->add_all_logits(tokens, stop));
                         const auto vocab_size = static_cast<double>(loaded->model->config().vocab_size);
                         return Finish([logits, vocab_size](Napi::Env env) -> Napi::Value {
                           auto array = Napi::Float32Array::New(env, logits->size());
                           std::copy(logits->begin(), logits->end(), array.Data());
                           auto result = Napi::Object::New(env);
                           result.Set("logits", array);
                           result.Set("vocabSize", vocab_size);
                           return result;
                         });
                       });
  });
}

/// -log p of each next token, in nats, summed over rows of logits.
double surprise(std::span<const float> logits, std::int64_t width, std::span<const std::int32_t> next) {
  double total = 0;
  for (size_t i = 0; i < next.size(); ++i) {
    const auto row = logits.subspan(i * static_cast<size_t>(width), static_cast<size_t>(width));
    const float top = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float value : row) sum += std::exp(static_cast<double>(value - top));
    total += std::log(sum) - static_cast<double>(row[static_cast<size_t>(next[i])] - top);
  }
  return total;
}

/// evalPerplexity({folder, threads, precision, tokens, windowTokens}, listener(done, total)): windows one after the
/// other, each begun afresh; every token but a window's first is judged.
Napi::Value eval_perplexity(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    const auto options = call[0].As<Napi::Object>();
    auto tokens = field<std::vector<std::int32_t>>(options, "tokens");
    const auto window = static_cast<std::int64_t>(field<double>(options, "windowTokens"));
    if (tokens.size() < 2 || window < 2)
      throw GraphError("bad-input", "The text is too short to be judged.", {}, "text");
    evaluating() = std::stop_source();
    return Task::start(
        call.Env(), call[1].As<Napi::Function>(), evaluating().get_token(),
        [request, window, tokens = std::move(tokens)](const std::stop_token& stop, const Task::Tell& tell) {
          const auto [loaded, session] = load_for_evaluation(request, stop, window);
          const std::int64_t step = session->context_size();
          const std::int64_t width = loaded->model->config().vocab_size;
          constexpr size_t piece = 64;
          double total = 0;
          double judged = 0;
          for (size_t first = 0; first + 1 < tokens.size(); first += static_cast<size_t>(step)) {
            static_cast<void>(session->keep_prefix({}));
            const size_t end = std::min(tokens.size(), first + static_cast<size_t>(step));
            for (size_t at = first; at < end; at += piece) {
              const size_t count = std::min(piece, end - at);
              const auto logits = session->add_all_logits(std::span(tokens).subspan(at, count), stop);
              const size_t known = std::min(count, end - at - 1);  // nothing follows a window's last
              total += surprise(logits, width, std::span(tokens).subspan(at + 1, known));
              judged += static_cast<double>(known);
              tell(static_cast<double>(at + count), static_cast<double>(tokens.size()));
            }
          }
          const std::string kernel = loaded->model->kernel();
          return Finish([total, judged, kernel](Napi::Env env) -> Napi::Value {
            auto result = Napi::Object::New(env);
            result.Set("perplexity", std::exp(total / judged));
            result.Set("tokens", judged);
            result.Set("kernel", kernel);
            return result;
          });
        });
  });
}

}  // namespace

void export_text_model(Napi::Env env, Napi::Object exports) {
  env.GetInstanceData<Classes>()->text_model = Napi::Persistent(TextModel::define(env));
  exports.Set("loadTextModel", Napi::Function::New(env, load_text_model, "loadTextModel"));
  exports.Set("stopLoading", Napi::Function::New(env, Loading<TextModel>::stop, "stopLoading"));
  exports.Set("evalLogits", Napi::Function::New(env, eval_logits, "evalLogits"));
  exports.Set("stopEvaluating", Napi::Function::New(env, stop_evaluating, "stopEvaluating"));
  exports.Set("evalPerplexity", Napi::Function::New(env, eval_perplexity, "evalPerplexity"));
}

}  // namespace lutra::addon
