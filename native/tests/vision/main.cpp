#include "files.h"
#include "testing.h"

namespace lutra::testing {
std::string golden_folder;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: vision-image-test <folder tests/golden/vision>\n";
    return 2;
  }
  lutra::testing::golden_folder = argv[1];
  return lutra::testing::run_all();
}
