#include "core/result.h"

namespace lutra::core {

Error bad_file(const std::string& path, const std::string& what, std::string subject) {
  const auto slash = path.find_last_of("/\\");
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return Error{"bad-file", name + ": " + what + ".", "Get the file again from where it came from.",
               subject.empty() ? path : std::move(subject)};
}

}  // namespace lutra::core
