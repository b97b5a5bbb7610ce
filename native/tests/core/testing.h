#pragma once
#include <functional>
#include <iostream>
#include <source_location>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

/// A test's name is what it promises. `CHECK` goes on after a failure, `REQUIRE` ends that test.
namespace lutra::testing {

struct Test {
  std::string promise;
  std::function<void()> body;
};

struct Abandoned {};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Registered {
  Registered(std::string promise, std::function<void()> body) {
    tests().push_back({std::move(promise), std::move(body)});
  }
};

inline bool check(bool holds, const char* text, std::source_location at = std::source_location::current()) {
  if (holds) return true;
  ++failures();
  std::cerr << at.file_name() << ':' << at.line() << ": " << text << '\n';
  return false;
}

template <typename Left, typename Right>
void check_equal(const Left& left, const Right& right, const char* text,
                 std::source_location at = std::source_location::current()) {
  if (left == right) return;
  std::ostringstream message;
  message << text << " (" << left << " is not " << right << ')';
  check(false, message.str().c_str(), at);
}

inline int run_all() {
  for (const Test& test : tests()) {
    const int before = failures();
    try {
      test.body();
    } catch (const Abandoned&) {
    } catch (const std::exception& error) {
      check(false, error.what());
    }
    std::cout << (failures() == before ? "ok    " : "WRONG ") << test.promise << '\n';
  }
  std::cout << tests().size() << " promises, " << failures() << " failures\n";
  return failures() == 0 ? 0 : 1;
}

}  // namespace lutra::testing

#define LUTRA_JOIN_(a, b) a##b
#define LUTRA_JOIN(a, b) LUTRA_JOIN_(a, b)
#define TEST(promise)                                                                                              \
  static void LUTRA_JOIN(test_, __LINE__)();                                                                       \
  static const lutra::testing::Registered LUTRA_JOIN(registered_, __LINE__)(promise, LUTRA_JOIN(test_, __LINE__)); \
  static void LUTRA_JOIN(test_, __LINE__)()
#define CHECK(condition) lutra::testing::check((condition), #condition)
#define CHECK_EQUAL(left, right) lutra::testing::check_equal((left), (right), #left " == " #right)
#define REQUIRE(condition)                                                                  \
  do {                                                                                      \
    if (!lutra::testing::check((condition), #condition)) throw lutra::testing::Abandoned{}; \
  } while (false)
