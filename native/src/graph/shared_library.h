#pragma once
#include <string>

namespace lutra::graph {

/// A dynamic library. It stays loaded until the process ends: ggml's modules own threads and driver state that
/// cannot be taken down safely.
class SharedLibrary {
 public:
  /// `error` receives the loader's own words when the result is empty.
  static SharedLibrary open(const std::string& path, std::string& error);

  explicit operator bool() const { return handle_ != nullptr; }

  [[nodiscard]] void* symbol(const char* name) const;

  template <typename Function>
  [[nodiscard]] Function function(const char* name) const {
    return reinterpret_cast<Function>(symbol(name));
  }

 private:
  void* handle_ = nullptr;
};

/// Path of a library of that file name that is in the process already, or empty.
std::string loaded_library_path(const std::string& file_name);

/// A library's file name on this platform: `libggml-cuda.so`, `ggml-cuda.dll`.
std::string module_file_name(const std::string& stem);

}  // namespace lutra::graph
