#include "graph/shared_library.h"

#ifdef _WIN32
#define NOMINMAX
#include <windows.h>

#include <filesystem>
#else
#include <dlfcn.h>
#endif

namespace lutra::graph {

#ifdef _WIN32

namespace {
std::string last_error() {
  const DWORD code = GetLastError();
  char text[512] = {};
  const DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, code, 0,
                                      text, sizeof text - 1, nullptr);
  return length == 0 ? "error " + std::to_string(code) : std::string(text, length);
}
std::wstring wide(const std::string& utf8) {
  return std::filesystem::path(reinterpret_cast<const char8_t*>(utf8.c_str())).wstring();
}
}  // namespace

SharedLibrary SharedLibrary::open(const std::string& path, std::string& error) {
  SharedLibrary library;
  const DWORD old_mode = SetErrorMode(SEM_FAILCRITICALERRORS);
  library.handle_ = LoadLibraryExW(wide(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (library.handle_ == nullptr) error = last_error();
  SetErrorMode(old_mode);
  return library;
}

void* SharedLibrary::symbol(const char* name) const {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle_), name));
}

std::string loaded_library_path(const std::string& file_name) {
  const HMODULE module = GetModuleHandleW(wide(file_name).c_str());
  if (module == nullptr) return {};
  wchar_t path[4096] = {};
  const DWORD length = GetModuleFileNameW(module, path, 4095);
  const auto text = std::filesystem::path(std::wstring(path, length)).u8string();
  return {text.begin(), text.end()};
}

std::string module_file_name(const std::string& stem) { return stem + ".dll"; }

#else

SharedLibrary SharedLibrary::open(const std::string& path, std::string& error) {
  SharedLibrary library;
  library.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library.handle_ == nullptr) {
    const char* reason = dlerror();
    error = reason == nullptr ? "the system's loader gave no reason" : reason;
  }
  return library;
}

void* SharedLibrary::symbol(const char* name) const { return dlsym(handle_, name); }

std::string loaded_library_path(const std::string& file_name) {
  void* handle = dlopen(file_name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (handle == nullptr) return {};
  std::string path;
  Dl_info info{};
  // Any exported symbol tells which file the handle stands for.
  if (void* address = dlsym(handle, "ggml_version"); address != nullptr && dladdr(address, &info) != 0) {
    path = info.dli_fname;
  }
  dlclose(handle);
  return path;
}

// ggml's modules end in .so on macOS too.
std::string module_file_name(const std::string& stem) { return "lib" + stem + ".so"; }

#endif

}  // namespace lutra::graph
