#pragma once
#include <string>
#include <vector>

#include "graph/ggml_loader.h"

namespace lutra::addon {

struct Check {
  std::string name;
  bool ok = false;
  std::string detail;
};

/// Whether this build computes rightly on this machine: matrix products against a plain loop on every device, our own
/// kind of node, the random numbers, and cancelling. Never throws; a check that throws has failed.
std::vector<Check> self_test(const graph::Ggml& ggml);

}  // namespace lutra::addon
