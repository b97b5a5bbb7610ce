#include "addon/vision_model.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "addon/classes.h"
#include "addon/edge.h"
#include "addon/generation.h"
#include "addon/loading.h"
#include "addon/task.h"
#include "addon/text_options.h"
#include "graph/device.h"
#include "graph/need.h"
#include "vision/evaluate.h"
#include "vision/image.h"
#include "vision/session.h"

namespace lutra::addon {
namespace {

/// A loaded model with its conversation and the pictures it knows; shared with the thread that works on it.
struct Loaded {
  std::unique_ptr<graph::Compute> compute;
  std::unique_ptr<vision::Model> model;
  std::unique_ptr<vision::Session> session;
  std::unique_ptr<core::ThreadPool> threads;
  std::string folder;
  text::CacheType cache_type = text::CacheType::f16;
  vision::PictureStore pictures;
  std::mutex busy;
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

std::shared_ptr<Loaded> load(const LoadRequest& request, const core::Progress& progress) {
  auto loaded = std::make_shared<Loaded>();
  const graph::Ggml& ggml = graph::Ggml::instance();
  const int usable = static_cast<int>(core::usable_cores());
  const int threads = request.threads > 0 ? request.threads : usable;
  loaded->compute = std::make_unique<graph::Compute>(ggml, ggml.cpu_device(), threads);
  loaded->threads = std::make_unique<core::ThreadPool>(static_cast<std::size_t>(threads));
  loaded->folder = request.folder;
  loaded->model = vision::Model::load(request.folder, *loaded->compute, request.precision, progress);
  return loaded;
}

const char* name_of(vision::Pieces pieces) {
  switch (pieces) {
    case vision::Pieces::none:
      return "none";
    case vision::Pieces::named:
      return "named";
    case vision::Pieces::marked:
      return "marked";
  }
  return "";
}

/// A picture's bytes, held for the thread that looks at it.
struct HeldPicture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> rgb;

  [[nodiscard]] vision::Picture view() const { return {width, height, rgb}; }
};

HeldPicture picture_of(const Napi::Value& value) {
  if (!value.IsObject()) throw GraphError("bad-input", "A picture is expected.", {}, "picture");
  const auto object = value.As<Napi::Object>();
  constexpr double most_side = 1 << 16;
  const double width = field<double>(object, "width");
  const double height = field<double>(object, "height");
  const Napi::Value bytes = object.Get("rgb");
  if (!bytes.IsTypedArray() || bytes.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    throw GraphError("bad-input", "rgb must be a Uint8Array.", {}, "picture");
  const auto array = bytes.As<Napi::Uint8Array>();
  if (!(width >= 1 && width <= most_side && height >= 1 && height <= most_side) ||
      static_cast<double>(array.ElementLength()) != width * height * 3)
    throw GraphError("bad-input", "A picture has 3 bytes for each pixel.", {}, "picture");
  return {static_cast<std::int64_t>(width),
          static_cast<std::int64_t>(height),
          {array.Data(), array.Data() + array.ElementLength()}};
}

vision::Prepared prepared(const std::string& folder, const HeldPicture& picture, bool cut, core::ThreadPool& threads) {
  return graph::need(vision::Preprocessor::read(folder))(picture.view(), cut, threads);
}

Napi::Float32Array to_js_array(Napi::Env env, std::span<const float> values) {
  auto array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

class VisionModel : public Napi::ObjectWrap<VisionModel> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "VisionModel",
        {InstanceMethod<&VisionModel::info>("info"), InstanceMethod<&VisionModel::see>("see"),
         InstanceMethod<&VisionModel::generate>("generate"), InstanceMethod<&VisionModel::forget>("forget"),
         InstanceMethod<&VisionModel::stop>("stop"), InstanceMethod<&VisionModel::close>("close")});
  }

  explicit VisionModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<VisionModel>(info) {}
  void hold(std::shared_ptr<Loaded> loaded) { loaded_ = std::move(loaded); }

 private:
  [[nodiscard]] Loaded& loaded() const {
    if (!loaded_) throw GraphError("internal", "The model is closed.");
    return *loaded_;
  }

  Napi::Value info(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      Loaded& now = loaded();
      auto result = Napi::Object::New(call.Env());
      result.Set("family", vision::name_of(now.model->family()));
      result.Set("imageTokenId", now.model->image_token_id());
      result.Set("imageTokens", static_cast<double>(now.model->image_tokens()));
      result.Set("visionTokens", static_cast<double>(now.model->vision_tokens()));
      result.Set("pieces", name_of(now.model->pieces()));
      result.Set("vocabSize", static_cast<double>(now.model->text().config().vocab_size));
      result.Set("kernel", now.model->text().kernel());
      result.Set("weightBytes", static_cast<double>(now.model->weight_bytes()));
      result.Set("cacheBytes", static_cast<double>(now.session->cache_bytes()));
      result.Set("pictureBytes", static_cast<double>(now.pictures.size_bytes()));
      result.Set("contextSize", static_cast<double>(now.session->context_size()));
      result.Set("usedTokens", static_cast<double>(now.session->tokens().size()));
      return result;
    });
  }

  /// see(key, {width, height, rgb, cut}, listener(done, total))
  Napi::Value see(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      if (call.Length() < 3 || !call[0].IsString() || !call[2].IsFunction())
        throw GraphError("bad-input", "see() takes a name, a picture and a function.");
      auto key = call[0].As<Napi::String>().Utf8Value();
      auto picture = std::make_shared<HeldPicture>(picture_of(call[1]));
      const bool cut = field<bool>(call[1].As<Napi::Object>(), "cut");
      static_cast<void>(loaded());
      stop_ = std::stop_source();
      return Task::start(
          call.Env(), call[2].As<Napi::Function>(), stop_.get_token(),
          [held = loaded_, key = std::move(key), picture, cut](const std::stop_token& stop, const Task::Tell& tell) {
            return look(*held, key, *picture, cut, stop, tell);
          });
    });
  }

  static Finish look(Loaded& now, const std::string& key, const HeldPicture& picture, bool cut,
                     const std::stop_token& stop, const Task::Tell& tell) {
    const std::lock_guard lock(now.busy);
    std::shared_ptr<const vision::Seen> seen = now.pictures.find(key);
    const bool is_cached = seen != nullptr;
    if (!is_cached) {
      seen = seen_anew(now, prepared(now.folder, picture, cut, *now.threads), stop, tell);
      now.pictures.put(key, seen);
    }
    return [is_cached, seen](Napi::Env env) -> Napi::Value {
      auto result = Napi::Object::New(env);
      result.Set("cached", is_cached);
      result.Set("visionTokens", static_cast<double>(seen->real_tokens()));
      result.Set("rows", static_cast<double>(seen->rows));
      result.Set("columns", static_cast<double>(seen->columns));
      return result;
    };
  }

  static std::shared_ptr<const vision::Seen> seen_anew(Loaded& now, const vision::Prepared& prepared,
                                                       const std::stop_token& stop, const Task::Tell& tell) {
    auto seen = std::make_shared<vision::Seen>();
    seen->rows = prepared.rows;
    seen->columns = prepared.columns;
    const auto parts = static_cast<double>(prepared.pictures.size());
    for (const vision::Pixels& pixels : prepared.pictures) {
      const auto before = static_cast<double>(seen->parts.size());
      const core::Progress progress(stop, [&](std::uint64_t done, std::uint64_t total) {
        tell(before * static_cast<double>(total) + static_cast<double>(done), parts * static_cast<double>(total));
      });
      const auto features = now.model->look(pixels, progress);
      seen->parts.push_back(now.model->keys_of(features, now.cache_type, core::Progress(stop)));
    }
    return seen;
  }

  /// generate({…, pictures}, listener(kind, value)): as TextModel's, with the names of the pictures in their places.
  Napi::Value generate(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      if (call.Length() < 2 || !call[0].IsObject() || !call[1].IsFunction())
        throw GraphError("bad-input", "generate() takes an object and a function.");
      const auto options = call[0].As<Napi::Object>();
      auto request = generate_request(options);
      auto names = field<std::vector<std::string>>(options, "pictures");
      static_cast<void>(loaded());
      stop_ = std::stop_source();
      return Task::start(call.Env(), call[1].As<Napi::Function>(), stop_.get_token(),
                         [held = loaded_, request = std::move(request), names = std::move(names)](
                             const std::stop_token& stop, const Task::Tell& tell) {
                           return answer(*held, request, names, stop, tell);
                         });
    });
  }

  static Finish answer(Loaded& now, const GenerateRequest& request, const std::vector<std::string>& names,
                       const std::stop_token& stop, const Task::Tell& tell) {
    const std::lock_guard lock(now.busy);
    vision::Pictures pictures;
    for (const std::string& name : names) {
      const auto seen = now.pictures.find(name);
      if (!seen) {
        throw GraphError("not-found", "The picture \"" + name + "\" has not been looked at, or was forgotten.",
                         "Look at it again.", name);
      }
      pictures.insert(pictures.end(), seen->parts.begin(), seen->parts.end());
    }
    const std::int64_t cached = now.session->begin(request.prompt, std::move(pictures));
    return write_answer(now.session->conversation(), cached, request, stop, tell);
  }

  Napi::Value forget(const Napi::CallbackInfo& call) {
    return at_the_edge(call.Env(), [&]() -> Napi::Value {
      if (call.Length() < 1 || !call[0].IsString()) throw GraphError("bad-input", "forget() takes a name.");
      Loaded& now = loaded();
      const std::lock_guard lock(now.busy);
      now.pictures.forget(call[0].As<Napi::String>().Utf8Value());
      return call.Env().Undefined();
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

/// loadVisionModel({folder, threads, precision, contextSize, cacheType}, listener(doneBytes, totalBytes))
Napi::Value load_vision_model(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    const auto options = call[0].As<Napi::Object>();
    const auto cache_type = cache_type_of(options);
    const auto context_size = static_cast<std::int64_t>(field<double>(options, "contextSize"));
    return Loading<VisionModel>::start(
        call.Env(), call[1].As<Napi::Function>(), call.Env().GetInstanceData<Classes>()->vision_model,
        [request, cache_type, context_size](const core::Progress& progress) {
          auto loaded = load(request, progress);
          loaded->cache_type = cache_type;
          const std::int64_t longest = loaded->model->text().config().max_position_embeddings;
          loaded->session =
              std::make_unique<vision::Session>(*loaded->model, std::min(context_size, longest), cache_type);
          return loaded;
        });
  });
}

/// describeVision({folder}): what the files say; reads config.json and headers only.
Napi::Value describe_vision(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    if (call.Length() < 1 || !call[0].IsObject()) throw GraphError("bad-input", "An object is expected.");
    const auto description = vision::describe(field<std::string>(call[0].As<Napi::Object>(), "folder"));
    auto result = Napi::Object::New(call.Env());
    result.Set("family", vision::name_of(description.family));
    result.Set("imageTokenId", description.image_token_id);
    result.Set("imageTokens", static_cast<double>(description.image_tokens));
    result.Set("visionTokens", static_cast<double>(description.vision_tokens));
    result.Set("vocabSize", static_cast<double>(description.vocab_size));
    result.Set("contextSize", static_cast<double>(description.context_size));
    result.Set("weightBytes", static_cast<double>(description.weight_bytes));
    return result;
  });
}

/// preprocessPicture({folder, picture}): the values that the tower would get.
Napi::Value preprocess_picture(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    if (call.Length() < 1 || !call[0].IsObject()) throw GraphError("bad-input", "An object is expected.");
    const auto options = call[0].As<Napi::Object>();
    core::ThreadPool threads;
    const auto pixels = prepared(field<std::string>(options, "folder"), picture_of(options.Get("picture")), false, threads)
                            .pictures.front();
    auto shape = Napi::Array::New(call.Env());
    for (const std::int64_t length : pixels.shape) shape.Set(shape.Length(), static_cast<double>(length));
    auto result = Napi::Object::New(call.Env());
    result.Set("pixelValues", to_js_array(call.Env(), pixels.values));
    result.Set("shape", shape);
    if (pixels.aspect_ratio_id > 0) {
      result.Set("aspectRatioId", pixels.aspect_ratio_id);
      result.Set("numTiles", static_cast<double>(std::count(pixels.tiles.begin(), pixels.tiles.end(), true)));
    }
    return result;
  });
}

/// The arrays of an .npz, where there is one, and of a picture.
core::NpzArchive eval_inputs(const std::string& folder, const std::string& inputs, const HeldPicture* picture) {
  core::NpzArchive archive;
  if (!inputs.empty()) archive = graph::need(core::read_npz(inputs));
  if (picture == nullptr) return archive;
  core::ThreadPool threads;
  for (auto& [name, array] : vision::arrays_of(prepared(folder, *picture, true, threads))) archive.insert_or_assign(name, std::move(array));
  return archive;
}

/// evalVision({folder, threads, precision, inputs, output, picture}, listener): the names written. Without inputs only
/// the picture's own arrays, for which no weights are read.
Napi::Value eval_vision(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    const LoadRequest request = load_request(call);
    const auto options = call[0].As<Napi::Object>();
    std::shared_ptr<HeldPicture> picture;
    if (options.Get("picture").IsObject()) picture = std::make_shared<HeldPicture>(picture_of(options.Get("picture")));
    return Task::start(
        call.Env(), call[1].As<Napi::Function>(), {},
        [request, picture, inputs = field<std::string>(options, "inputs"),
         output = field<std::string>(options, "output")](const std::stop_token& stop, const Task::Tell&) {
          const core::Progress progress(stop);
          const auto archive = eval_inputs(request.folder, inputs, picture.get());
          core::NpzArchive stages;
          if (!inputs.empty()) stages = vision::evaluate(*load(request, progress)->model, archive, progress);
          for (const char* name : {"pixel_values", "aspect_ratio_ids", "aspect_ratio_mask"}) {
            if (picture && archive.contains(name)) stages.emplace(name, archive.at(name));
          }
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

void export_vision_model(Napi::Env env, Napi::Object exports) {
  env.GetInstanceData<Classes>()->vision_model = Napi::Persistent(VisionModel::define(env));
  exports.Set("loadVisionModel", Napi::Function::New(env, load_vision_model, "loadVisionModel"));
  exports.Set("stopLoadingVision", Napi::Function::New(env, Loading<VisionModel>::stop, "stopLoadingVision"));
  exports.Set("describeVision", Napi::Function::New(env, describe_vision, "describeVision"));
  exports.Set("preprocessPicture", Napi::Function::New(env, preprocess_picture, "preprocessPicture"));
  exports.Set("evalVision", Napi::Function::New(env, eval_vision, "evalVision"));
}

}  // namespace lutra::addon
