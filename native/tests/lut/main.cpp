#include "files.h"
#include "testing.h"

namespace lutra::testing {
std::string golden_folder;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: lut-test <folder tests/golden/lut>\n";
    return 2;
  }
  lutra::testing::golden_folder = argv[1];
  return lutra::testing::run_all();
}
