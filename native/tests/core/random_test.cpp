#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "core/philox.h"
#include "core/progress.h"
#include "core/threads.h"
#include "testing.h"

using namespace lutra;

TEST("Philox4x32-10 gives the published known answers") {
  // Random123's kat_vectors, philox4x32 with 10 rounds.
  using Words = std::array<std::uint32_t, 4>;
  CHECK((core::philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t all = 0xffffffff;
  CHECK((core::philox4x32({all, all, all, all}, {all, all}) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((core::philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
         Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST("a row is the same however it is cut and whoever fills it") {
  constexpr std::size_t count = 10'007;
  const core::RandomRow row(42, 7);
  std::vector<float> whole(count);
  row.normal(3, whole);
  core::ThreadPool pool(4);
  std::vector<float> pieces(count);
  pool.for_each(count, 1, [&](std::size_t begin, std::size_t end) {
    row.normal(3 + begin, std::span(pieces).subspan(begin, end - begin));
  });
  CHECK(whole == pieces);
  std::vector<float> other(count);
  core::RandomRow(42, 8).normal(3, other);
  CHECK(whole != other);
}

TEST("normal values have mean 0, variance 1 and thin tails; uniform ones stay below 1") {
  constexpr std::size_t count = 1 << 20;
  std::vector<float> values(count);
  core::RandomRow(1, 0).normal(0, values);
  double sum = 0;
  double squares = 0;
  double fourths = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
    fourths += value * value * value * value;
  }
  CHECK(std::abs(sum / count) < 0.004);
  CHECK(std::abs(squares / count - 1) < 0.006);
  CHECK(std::abs(fourths / count - 3) < 0.05);
  core::RandomRow(1, 0).uniform(0, values);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  CHECK(*least >= 0.0F && *most < 1.0F);
  CHECK(std::abs(std::accumulate(values.begin(), values.end(), 0.0) / count - 0.5) < 0.002);
}

TEST("a pool covers every index once, again and again, and passes on what was thrown") {
  core::ThreadPool pool(3);
  CHECK_EQUAL(pool.size(), 3U);
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{1000}}) {
    for (int round = 0; round < 200; ++round) {
      std::vector<std::atomic<int>> seen(count);
      pool.for_each(count, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
      });
      CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& times) { return times == 1; }));
    }
  }
  bool is_thrown = false;
  try {
    pool.for_each(100, 1, [](std::size_t begin, std::size_t) {
      if (begin >= 50) throw std::runtime_error("half way");
    });
  } catch (const std::runtime_error&) {
    is_thrown = true;
  }
  CHECK(is_thrown);
  CHECK(core::usable_cores() >= 1);
}

TEST("work learns that it should stop, and tells how far it is") {
  std::stop_source source;
  std::uint64_t told = 0;
  const core::Progress progress(source.get_token(), [&](std::uint64_t done, std::uint64_t) { told = done; });
  progress.tell(5, 10);
  CHECK_EQUAL(told, 5U);
  CHECK(!progress.cancelled());
  source.request_stop();
  CHECK(progress.cancelled());
  core::Progress().tell(1, 2);
  CHECK(!core::Progress().cancelled());
}
