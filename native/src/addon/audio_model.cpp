#include "addon/audio_model.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "addon/classes.h"
#include "addon/edge.h"
#include "addon/loading.h"
#include "addon/task.h"
#include "audio/evaluate.h"
#include "audio/pipeline.h"
#include "graph/device.h"
#include "graph/need.h"

namespace lutra::addon {
namespace {

/// A loaded model; shared with the thread that works on it.
struct Loaded {
  std::unique_ptr<graph::Compute> compute;
  std::unique_ptr<audio::Pipeline> pipeline;
  std::mutex busy;
  std::mutex preview_lock;
  std::vector<float> preview;
};

struct LoadRequest {
  std::string path;
  std::string text_encoder;
  audio::WeightType weights;
  int threads;
};

LoadRequest load_request(const Napi::CallbackInfo& call) {
  if (call.Length() < 2 || !call[0].IsObject() || !call[1].IsFunction())
    throw GraphError("bad-input", "An object and a function are expected.");
  const auto options = call[0].As<Napi::Object>();
  static const std::map<std::string, audio::WeightType> types = {{"f32", audio::WeightType::f32},
                                                                 {"bf16", audio::WeightType::bf16},
                                                                 {"q8", audio::WeightType::q8},
                                                                 {"lut4", audio::WeightType::lut4}};
  const auto type = types.find(field<std::string>(options, "weights"));
  if (type == types.end()) throw GraphError("bad-input", "weights must be f32, bf16, q8 or lut4.", {}, "weights");
  return {field<std::string>(options, "path"), field<std::string>(options, "textEncoder"), type->second,
          static_cast<int>(field<double>(options, "threads"))};
}

std::shared_ptr<Loaded> load(const LoadRequest& request, ggml_backend_dev_t device, const core::Progress& progress) {
  auto loaded = std::make_shared<Loaded>();
  const int usable = static_cast<int>(core::usable_cores());
  loaded->compute =
      std::make_unique<graph::Compute>(graph::Ggml::instance(), device, request.threads > 0 ? request.threads : usable);
  loaded->pipeline =
      audio::Pipeline::load(request.path, request.text_encoder, *loaded->compute, request.weights, progress);
  return loaded;
}

std::vector<float> floats_of(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (value.IsUndefined() || value.IsNull()) return {};
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    throw GraphError("bad-input", std::string(name) + " must be a Float32Array.", {}, name);
  const auto array = value.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

audio::Prompt prompt_of(const Napi::Object& object) {
  return {field<std::vector<std::int32_t>>(object, "ids"), field<std::vector<std::int32_t>>(object, "mask")};
}

Napi::Float32Array to_js_array(Napi::Env env, std::span<const float> values) {
  auto array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Object describe(Napi::Env env, const audio::Checkpoint& checkpoint, const std::string& text_encoder) {
  const audio::Config& config = checkpoint.config();
  auto result = Napi::Object::New(env);
  result.Set("objective", config.objective == audio::Objective::v ? "v" : "rectified_flow");
  result.Set("sampleRate", static_cast<double>(config.sample_rate));
  result.Set("channels", static_cast<double>(config.audio_channels));
  result.Set("hop", static_cast<double>(config.vae.hop()));
  result.Set("mostFrames", static_cast<double>(config.most_latents()));
  result.Set("promptTokens", static_cast<double>(config.prompt_length));
  result.Set("tokenizer", checkpoint.tokenizer().empty() ? text_encoder : checkpoint.tokenizer());
  result.Set("textEncoder", text_encoder);
  result.Set("hasEncoder", checkpoint.has_encoder());
  auto samplers = Napi::Array::New(env);
  for (const auto name : audio::samplers_of(config.objective)) samplers.Set(samplers.Length(), std::string(name));
  result.Set("samplers", samplers);
  return result;
}

class AudioModel : public Napi::ObjectWrap<AudioModel> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "AudioModel",
                       {InstanceMethod<&AudioModel::info>("info"), InstanceMethod<&AudioModel::generate>("generate"),
                        InstanceMethod<&AudioModel::preview>("preview"), InstanceMethod<&AudioModel::stop>("stop"),
                        InstanceMethod<&AudioModel::close>("close")});
  }

  explicit AudioModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<AudioModel>(info) {}
  void hold(std::shared_ptr<Loaded> loaded) { loaded_ = std::move(loaded); }

 private:
  [[nodiscard]] Loaded& loaded() const {
    if (!loaded_) throw GraphError("internal", "The model is closed.");
    return *loaded_;
  }

  Napi::Value info(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      const audio::Pipeline& pipeline = *loaded().pipeline;
      auto result = describe(call.Env(), pipeline.checkpoint(), pipeline.text_encoder());
      result.Set("weightBytes", static_cast<double>(pipeline.weight_bytes()));
      result.Set("device", graph::describe(loaded().compute->device()).name);
      return result;
    });
  }

  enum Event { step = 0, decoding = 1 };

  /// generate({prompt, negative, secondsStart, secondsTotal, frames, sampler, steps, sigmaMin, sigmaMax, rho, strength,
  /// guidance, guidanceRescale, seed, init, change}, listener(kind * 2^20 + done, total))
  Napi::Value generate(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      if (call.Length() < 2 || !call[0].IsObject() || !call[1].IsFunction())
        throw GraphError("bad-input", "generate() takes an object and a function.");
      const auto options = call[0].As<Napi::Object>();
      audio::Request request;
      request.prompt = prompt_of(options.Get("prompt").As<Napi::Object>());
      if (options.Get("negative").IsObject()) request.negative = prompt_of(options.Get("negative").As<Napi::Object>());
      request.seconds_start = field<double>(options, "secondsStart");
      request.seconds_total = field<double>(options, "secondsTotal");
      request.frames = static_cast<std::int64_t>(field<double>(options, "frames"));
      request.sampler = field<std::string>(options, "sampler");
      request.schedule.steps = static_cast<std::int64_t>(field<double>(options, "steps"));
      request.schedule.sigma_min = field<double>(options, "sigmaMin");
      request.schedule.sigma_max = field<double>(options, "sigmaMax");
      request.schedule.rho = field<double>(options, "rho");
      request.schedule.strength = field<double>(options, "strength");
      request.guidance = field<double>(options, "guidance");
      request.guidance_rescale = field<double>(options, "guidanceRescale");
      request.seed = static_cast<std::uint64_t>(field<double>(options, "seed"));
      request.init = floats_of(options, "init");
      request.change = floats_of(options, "change");
      static_cast<void>(loaded());
      stop_ = std::stop_source();
      return Task::start(call.Env(), call[1].As<Napi::Function>(), stop_.get_token(),
                         [held = loaded_, request = std::move(request)](const std::stop_token& stop_token,
                                                                        const Task::Tell& tell) mutable {
                           return make(*held, request, stop_token, tell);
                         });
    });
  }

  static Finish make(Loaded& now, audio::Request& request, const std::stop_token& stop, const Task::Tell& tell) {
    const std::lock_guard lock(now.busy);
    request.watch = [&](std::span<const float> clean) {
      const std::lock_guard preview_guard(now.preview_lock);
      now.preview.assign(clean.begin(), clean.end());
    };
    const auto telling = [&](Event event) {
      constexpr double kind = 1 << 20;
      return core::Progress(stop, [&tell, event](std::uint64_t done, std::uint64_t total) {
        tell(static_cast<double>(event) * kind + static_cast<double>(done), static_cast<double>(total));
      });
    };
    const auto latents = now.pipeline->generate(request, telling(step));
    auto samples = std::make_shared<std::vector<float>>(now.pipeline->decode(latents, telling(decoding)));
    return [samples](Napi::Env env) -> Napi::Value { return to_js_array(env, *samples); };
  }

  /// The clean latents that the last step saw, (channels, frames); empty before the first.
  Napi::Value preview(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      Loaded& now = loaded();
      const std::lock_guard lock(now.preview_lock);
      return to_js_array(call.Env(), now.preview);
    });
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

/// loadAudioModel({path, textEncoder, weights, threads}, listener(done, total))
Napi::Value load_audio_model(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    return Loading<AudioModel>::start(call.Env(), call[1].As<Napi::Function>(),
                                      call.Env().GetInstanceData<Classes>()->audio_model,
                                      [request](const core::Progress& progress) {
                                        return load(request, graph::preferred_device(graph::Ggml::instance()), progress);
                                      });
  });
}

/// describeAudio({path, textEncoder}): what the files say; reads headers only.
Napi::Value describe_audio(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    if (call.Length() < 1 || !call[0].IsObject()) throw GraphError("bad-input", "An object is expected.");
    const auto options = call[0].As<Napi::Object>();
    const auto checkpoint = audio::Checkpoint::open(field<std::string>(options, "path"));
    const auto chosen = field<std::string>(options, "textEncoder");
    return describe(call.Env(), checkpoint, chosen.empty() ? checkpoint.text_encoder() : chosen);
  });
}

/// evalAudio({path, textEncoder, weights, threads, inputs, output, sampler, guidance}, listener): the names written
Napi::Value eval_audio(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    const auto options = call[0].As<Napi::Object>();
    audio::EvaluateOptions evaluate{field<std::string>(options, "sampler"), field<double>(options, "guidance")};
    return Task::start(
        call.Env(), call[1].As<Napi::Function>(), {},
        [request, evaluate, inputs = field<std::string>(options, "inputs"),
         output = field<std::string>(options, "output")](const std::stop_token& stop, const Task::Tell&) {
          const core::Progress progress(stop);
          const auto archive = graph::need(core::read_npz(inputs));
          // On the CPU, whose f32 is exact.
          const auto loaded = load(request, graph::Ggml::instance().cpu_device(), progress);
          const auto stages = audio::evaluate(*loaded->pipeline, archive, evaluate, progress);
          graph::need(core::write_npz(output, stages));
          std::vector<std::string> names;
          for (const auto& [name, array] : stages) names.push_back(name);
          return Finish([names](Napi::Env env) -> Napi::Value {
            auto list = Napi::Array::New(env);
            for (const auto& name : names) list.Set(list.Length(), name);
            return list;
          });
        });
  });
}

}  // namespace

void export_audio_model(Napi::Env env, Napi::Object exports) {
  env.GetInstanceData<Classes>()->audio_model = Napi::Persistent(AudioModel::define(env));
  exports.Set("loadAudioModel", Napi::Function::New(env, load_audio_model, "loadAudioModel"));
  exports.Set("describeAudio", Napi::Function::New(env, describe_audio, "describeAudio"));
  exports.Set("stopLoadingAudio", Napi::Function::New(env, Loading<AudioModel>::stop, "stopLoadingAudio"));
  exports.Set("evalAudio", Napi::Function::New(env, eval_audio, "evalAudio"));
}

}  // namespace lutra::addon
