#include "testing.h"

int main() { return lutra::testing::run_all(); }
