// Prints the best CPU level among ggml's CPU modules, by asking each module itself.
// usage: cpu_level <module>...   (paths of libggml-cpu-<level>.so)
#include <dlfcn.h>

#include <cstdio>
#include <string>

int main(int count, char** arguments) {
  int best_score = 0;
  std::string best;
  for (int i = 1; i < count; ++i) {
    void* module = dlopen(arguments[i], RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) continue;
    const auto score = reinterpret_cast<int (*)()>(dlsym(module, "ggml_backend_score"));
    if (score != nullptr && score() > best_score) {
      best_score = score();
      best = arguments[i];
    }
  }
  if (best.empty()) return 1;
  const std::string mark = "ggml-cpu-";
  const auto start = best.rfind(mark) + mark.size();
  std::puts(best.substr(start, best.rfind('.') - start).c_str());
  return 0;
}
