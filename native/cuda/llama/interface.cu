#include <cstdio>
#include <memory>
#include <new>

#include "llama/session.h"

#ifdef _WIN32
#define LUTRA_EXPORT __declspec(dllexport)
#else
#define LUTRA_EXPORT __attribute__((visibility("default")))
#endif

namespace lutra::cuda {
namespace {

#ifdef __CUDACC__
#define LUTRA_TEXT_OF(number) LUTRA_TEXT(number)
#define LUTRA_TEXT(number) #number
constexpr const char* build = "CUDA " LUTRA_TEXT_OF(__CUDACC_VER_MAJOR__) "." LUTRA_TEXT_OF(__CUDACC_VER_MINOR__);
#else
constexpr const char* build = "emulation";
#endif

Code tell(Problem* problem, Code code, const char* text) {
  std::snprintf(problem->text, sizeof problem->text, "%s", text);
  return code;
}

/// No exception leaves the library.
template <typename Work>
Code at_the_edge(Problem* problem, Work work) {
  try {
    work();
    return Code::ok;
  } catch (const Failure& failure) {
    return tell(problem, failure.code(), failure.what());
  } catch (const std::bad_alloc&) {
    return tell(problem, Code::out_of_memory, "The computer has no memory left.");
  } catch (const std::exception& error) {
    return tell(problem, Code::failed, error.what());
  }
}

Code count_devices(std::int32_t* count, Problem* problem) {
  *count = 0;
  return at_the_edge(problem, [&] {
    int found = 0;
    ensure(cudaGetDeviceCount(&found), "is looked for");
    *count = found;
  });
}

Code describe(std::int32_t device, DeviceFacts* facts, Problem* problem) {
  return at_the_edge(problem, [&] {
    cudaDeviceProp properties{};
    ensure(cudaGetDeviceProperties(&properties, device), "tells what it is");
    *facts = {};
    std::snprintf(facts->name, sizeof facts->name, "%s", properties.name);
    facts->major = properties.major;
    facts->minor = properties.minor;
    facts->multiprocessors = properties.multiProcessorCount;
    ensure(cudaSetDevice(device), "is chosen");
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    ensure(cudaMemGetInfo(&free_bytes, &total_bytes), "tells its memory");
    facts->memory_free_bytes = free_bytes;
    facts->memory_total_bytes = total_bytes;
  });
}

Code create_model(std::int32_t device, const ModelShape* shape, Model** model, Problem* problem) {
  return at_the_edge(problem, [&] { *model = std::make_unique<Model>(device, *shape).release(); });
}

void free_model(Model* model) { const std::unique_ptr<Model> ended(model); }

/// Work on a model, whose device is the thread's from here on.
template <typename Work>
Code with_model(Model* model, Problem* problem, Work work) {
  return at_the_edge(problem, [&] {
    model->enter();
    work(*model);
  });
}

Code set_embedding(Model* model, TableType type, const void* bytes, Problem* problem) {
  return with_model(model, problem, [&](Model& m) { m.set_embedding(type, bytes); });
}

Code set_norm(Model* model, Norm norm, std::int32_t layer, const float* weight, std::int32_t length, Problem* problem) {
  return with_model(model, problem, [&](Model& m) { m.set_norm(norm, layer, weight, length); });
}

Code set_window(Model* model, std::int32_t layer, std::int32_t positions, Problem* problem) {
  return with_model(model, problem, [&](Model& m) { m.set_window(layer, positions); });
}

Code add_dense(Model* model, const DenseWeight* weight, Problem* problem) {
  return with_model(model, problem, [&](Model& m) { m.add(*weight); });
}

Code add_packed(Model* model, const PackedWeight* weight, Problem* problem) {
  return with_model(model, problem, [&](Model& m) { m.add(*weight); });
}

Code begin_at(Model* model, std::int32_t layer, Problem* problem) {
  return with_model(model, problem, [&](Model& m) { m.begin_at(layer); });
}

std::uint64_t model_bytes(const Model* model) { return model->bytes(); }

Code create_session(Model* model, std::int32_t context_size, bool bytes_cache, Session** session, Problem* problem) {
  return with_model(model, problem,
                    [&](Model& m) { *session = std::make_unique<Session>(m, context_size, bytes_cache).release(); });
}

void free_session(Session* session) { const std::unique_ptr<Session> ended(session); }

std::int32_t session_tokens(const Session* session) { return session->tokens(); }
std::uint64_t cache_bytes(const Session* session) { return session->cache_bytes(); }
std::uint64_t room_bytes(const Session* session) { return session->room_bytes(); }
std::int32_t positions(const Session* session) { return session->positions(); }

template <typename Work>
Code with_session(Session* session, Problem* problem, Work work) {
  return at_the_edge(problem, [&] {
    session->model().enter();
    work(*session);
  });
}

Code add_page(Session* session, const float* cosines, const float* sines, Problem* problem) {
  return with_session(session, problem, [&](Session& s) { s.add_page(cosines, sines); });
}

Code prefill(Session* session, const std::int32_t* tokens, const float* residual, std::int32_t count,
             std::int32_t position, bool all_logits, float* logits, const Tap* tap, Problem* problem) {
  return with_session(session, problem,
                      [&](Session& s) { s.prefill(tokens, residual, count, position, all_logits, logits, tap); });
}

Code draw(Session* session, const StepInput* step, std::int32_t* token, Problem* problem) {
  return with_session(session, problem, [&](Session& s) { *token = s.draw(*step); });
}

Code step(Session* session, const StepInput* input, const float* residual, std::int32_t* token, float* logits,
          Problem* problem) {
  return with_session(session, problem, [&](Session& s) { *token = s.step(*input, residual, logits); });
}

constexpr Interface the_interface = {
    interface_version, build,      count_devices, describe, create_model, free_model,     set_embedding, set_norm,
    set_window,        add_dense,  add_packed,    begin_at, model_bytes,  create_session, free_session,  session_tokens,
    cache_bytes,       room_bytes, positions,     add_page, prefill,      draw,           step,
};

}  // namespace
}  // namespace lutra::cuda

extern "C" LUTRA_EXPORT const lutra::cuda::Interface* lutra_cuda_interface() { return &lutra::cuda::the_interface; }
