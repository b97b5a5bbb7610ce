#pragma once
#include <stdexcept>
#include <string>

#include "launch.h"
#include "lutra_cuda.h"

namespace lutra::cuda {

/// What a call of the interface fails with.
class Failure : public std::runtime_error {
 public:
  Failure(Code code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] Code code() const { return code_; }

 private:
  Code code_;
};

/// Throws `Failure` unless all went well. `what` ends a sentence: "... while it <what>".
inline void ensure(int error, const char* what) {
  if (error == cudaSuccess) return;
  const auto known = static_cast<cudaError_t>(error);
  const std::string reason = cudaGetErrorString(known);
  if (known == cudaErrorMemoryAllocation)
    throw Failure(Code::out_of_memory, std::string("The graphics card has no memory left while it ") + what + ".");
  if (known == cudaErrorInsufficientDriver)
    throw Failure(Code::no_driver, "NVIDIA's driver is missing or too old: " + reason + ".");
  if (known == cudaErrorNoDevice) throw Failure(Code::no_device, "NVIDIA's driver found no graphics card.");
  throw Failure(Code::failed, std::string("The graphics card failed while it ") + what + ": " + reason + ".");
}

}  // namespace lutra::cuda
