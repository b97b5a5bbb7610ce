#include "addon/quantizer.h"

#include <algorithm>

#include "addon/task.h"
#include "core/threads.h"
#include "graph/device.h"
#include "lut/quantize_folder.h"
#include "text/calibration.h"

namespace lutra::addon {
namespace {

template <typename Value>
Value need(core::Result<Value> result) {
  if (!result) {
    const core::Error& error = result.error();
    throw GraphError(error.code, error.message, error.hint, error.subject);
  }
  return std::move(result).value();
}

lut::QuantizeFolderOptions options_of(const Napi::Object& options) {
  lut::QuantizeFolderOptions result;
  result.weights.bits = static_cast<int>(field<double>(options, "bits"));
  result.weights.group_size = static_cast<std::int64_t>(field<double>(options, "groupSize"));
  const bool is_plain = field<std::string>(options, "table") == "nf";
  result.weights.table = is_plain ? lut::QuantizeOptions::Table::nf : lut::QuantizeOptions::Table::learned;
  result.skip = field<std::vector<std::string>>(options, "skip");
  const auto threads = static_cast<int>(field<double>(options, "threads"));
  result.threads = threads > 0 ? threads : static_cast<int>(core::usable_cores());
  return result;
}

/// predictQuantized({source, bits, groupSize, table, skip, threads}): reads headers only.
Napi::Value predict_quantized(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    if (call.Length() < 1 || !call[0].IsObject()) throw GraphError("bad-input", "An object is expected.");
    const auto options = call[0].As<Napi::Object>();
    const auto size = need(lut::predict_size(field<std::string>(options, "source"), options_of(options)));
    auto result = Napi::Object::New(call.Env());
    result.Set("sourceBytes", static_cast<double>(size.source_bytes));
    result.Set("weightBytes", static_cast<double>(size.weight_bytes));
    result.Set("quantizedTensors", static_cast<double>(size.quantized_tensors));
    return result;
  });
}

/// One quantizer runs at a time.
std::stop_source& running() {
  static std::stop_source source;
  return source;
}

/// The first half of the progress, where there is a text to calibrate with.
void calibrate(const std::string& source, const std::vector<std::int32_t>& tokens, lut::QuantizeFolderOptions& options,
               const std::stop_token& stop, const Task::Tell& tell) {
  constexpr std::int64_t window = 512;
  const graph::Ggml& ggml = graph::Ggml::instance();
  const graph::Compute compute(ggml, ggml.cpu_device(), options.threads);
  const auto model = text::Llama::load(source, compute, lut::Precision::fast, core::Progress(stop));
  const core::Progress progress(stop, [&](std::uint64_t done, std::uint64_t total) {
    tell(static_cast<double>(done) / static_cast<double>(total) / 2, 1);
  });
  options.covariance = text::input_covariance(*model, tokens, window, progress);
  std::uint64_t sum = tokens.size();
  for (const std::int32_t token : tokens) sum = sum * 1099511628211ULL + static_cast<std::uint64_t>(token);
  options.covariance_source = std::to_string(sum);
}

/// quantizeFolder({source, destination, bits, groupSize, table, skip, threads, calibration}, listener(done, total)):
/// `calibration` is an Int32Array of tokens, empty for none.
Napi::Value quantize_folder(const Napi::CallbackInfo& call) {
  return at_the_edge(call.Env(), [&]() -> Napi::Value {
    if (call.Length() < 2 || !call[0].IsObject() || !call[1].IsFunction())
      throw GraphError("bad-input", "An object and a function are expected.");
    const auto js = call[0].As<Napi::Object>();
    auto options = options_of(js);
    auto tokens = field<std::vector<std::int32_t>>(js, "calibration");
    running() = std::stop_source();
    return Task::start(call.Env(), call[1].As<Napi::Function>(), running().get_token(),
                       [source = field<std::string>(js, "source"), destination = field<std::string>(js, "destination"),
                        options = std::move(options),
                        tokens = std::move(tokens)](const std::stop_token& stop, const Task::Tell& tell) mutable {
                         if (!tokens.empty()) calibrate(source, tokens, options, stop, tell);
                         const double start = tokens.empty() ? 0 : 0.5;
                         const core::Progress progress(stop, [&](std::uint64_t done, std::uint64_t total) {
                           tell(start + (1 - start) * static_cast<double>(done) /
                                            static_cast<double>(std::max<std::uint64_t>(1, total)),
                                1);
                         });
                         const auto report = need(lut::quantize_folder(source, destination, options, progress));
                         return Finish([report](Napi::Env env) -> Napi::Value {
                           auto tensors = Napi::Array::New(env);
                           for (const lut::TensorReport& tensor : report.tensors) {
                             if (!tensor.quantized) continue;
                             auto entry = Napi::Object::New(env);
                             entry.Set("name", tensor.name);
                             entry.Set("relativeError", tensor.relative_error);
                             tensors.Set(tensors.Length(), entry);
                           }
                           auto result = Napi::Object::New(env);
                           result.Set("tensors", tensors);
                           result.Set("sourceBytes", static_cast<double>(report.source_bytes));
                           result.Set("bytes", static_cast<double>(report.bytes));
                           return result;
                         });
                       });
  });
}

Napi::Value stop_quantizing(const Napi::CallbackInfo& call) {
  running().request_stop();
  return call.Env().Undefined();
}

}  // namespace

void export_quantizer(Napi::Env env, Napi::Object exports) {
  exports.Set("predictQuantized", Napi::Function::New(env, predict_quantized, "predictQuantized"));
  exports.Set("quantizeFolder", Napi::Function::New(env, quantize_folder, "quantizeFolder"));
  exports.Set("stopQuantizing", Napi::Function::New(env, stop_quantizing, "stopQuantizing"));
}

}  // namespace lutra::addon
