#include "emulate/blocks.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "emulate/device.h"

namespace lutra::cuda::emulate {

Place place;
bool runs_backwards = false;

namespace {

constexpr std::size_t stack_bytes = std::size_t{256} << 10;
constexpr std::size_t warp_lanes = 32;

enum class State { ready, at_warp, at_block, ended };

struct Warp {
  /// Two, used in turn: whoever is ahead cannot touch what the others still read.
  std::array<std::array<unsigned char, warp_lanes * most_exchanged>, 2> slots;
  std::array<unsigned, warp_lanes> turns{};
};

/// A thread. Its stack and its loop live on; each block gives it another thing to do.
struct Fiber {
  Fiber();
  void resume();

  std::unique_ptr<unsigned char[]> stack = std::make_unique<unsigned char[]>(stack_bytes);
  ucontext_t start{};
  jmp_buf here{};
  bool has_begun = false;
  State state = State::ended;
  dim3 thread;
  std::size_t lane = 0;
  Warp* warp = nullptr;
};

jmp_buf scheduler;
Fiber* current = nullptr;
const std::function<void()>* work = nullptr;
std::vector<unsigned char> shared_memory;
std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
std::size_t fiber_count = 0;

void give_way() {
  if (_setjmp(current->here) == 0) _longjmp(scheduler, 1);
}

[[noreturn]] void live() {
  for (;;) {
    (*work)();
    current->state = State::ended;
    give_way();
  }
}

Fiber::Fiber() {
  getcontext(&start);
  start.uc_stack.ss_sp = stack.get();
  start.uc_stack.ss_size = stack_bytes;
  start.uc_link = nullptr;
  makecontext(&start, live, 0);
}

void Fiber::resume() {
  current = this;
  place.thread = thread;
  state = State::ready;
  // The fast way does not touch the signal mask; a fiber's first step needs its own stack.
  if (_setjmp(scheduler) != 0) return;
  if (has_begun) _longjmp(here, 1);
  has_begun = true;
  setcontext(&start);
}

/// Runs a warp until each of its lanes has ended or waits for the block.
void run_warp(std::size_t first) {
  const std::size_t last = std::min(first + warp_lanes, fiber_count);
  for (;;) {
    std::size_t waiting = 0;
    std::size_t at_block = 0;
    for (std::size_t at = first; at < last; ++at) {
      Fiber& fiber = *fibers[runs_backwards ? first + last - 1 - at : at];
      if (fiber.state == State::ready) fiber.resume();
      waiting += fiber.state == State::at_warp ? 1U : 0U;
      at_block += fiber.state == State::at_block ? 1U : 0U;
    }
    if (waiting == 0) return;
    if (at_block != 0) throw std::logic_error("Some lanes of a warp wait for the warp, others for the block.");
    for (std::size_t i = first; i < last; ++i) {
      if (fibers[i]->state == State::at_warp) fibers[i]->state = State::ready;
    }
  }
}

void run_block(dim3 size) {
  std::size_t i = 0;
  for (unsigned z = 0; z < size.z; ++z) {
    for (unsigned y = 0; y < size.y; ++y) {
      for (unsigned x = 0; x < size.x; ++x, ++i) {
        Fiber& fiber = *fibers[i];
        fiber.thread = {x, y, z};
        fiber.lane = i % warp_lanes;
        fiber.warp = &warps[i / warp_lanes];
        fiber.state = State::ready;
      }
    }
  }
  for (Warp& warp : warps) warp.turns = {};
  for (;;) {
    bool is_over = true;
    for (std::size_t i = 0; i < warps.size(); ++i) run_warp((runs_backwards ? warps.size() - 1 - i : i) * warp_lanes);
    for (std::size_t at = 0; at < fiber_count; ++at) {
      Fiber& fiber = *fibers[at];
      if (fiber.state == State::ended) continue;
      fiber.state = State::ready;
      is_over = false;
    }
    if (is_over) return;
  }
}

}  // namespace

void wait_for_block() {
  current->state = State::at_block;
  give_way();
}

void wait_for_warp() {
  current->state = State::at_warp;
  give_way();
}

const unsigned char* exchange(const void* bytes, std::size_t count) {
  Fiber& fiber = *current;
  auto& slots = fiber.warp->slots[fiber.warp->turns[fiber.lane]++ % 2];
  std::memcpy(slots.data() + fiber.lane * most_exchanged, bytes, count);
  wait_for_warp();
  return slots.data();
}

unsigned live_lanes() {
  unsigned lanes = 0;
  for (std::size_t i = 0; i < fiber_count; ++i) {
    if (fibers[i]->warp == current->warp && fibers[i]->state != State::ended) lanes |= 1U << fibers[i]->lane;
  }
  return lanes;
}

unsigned char* dynamic_shared_memory() { return shared_memory.data(); }

void run_blocks(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  fiber_count = std::size_t{block.x} * block.y * block.z;
  while (fibers.size() < fiber_count) fibers.push_back(std::make_unique<Fiber>());
  warps.resize((fiber_count + warp_lanes - 1) / warp_lanes);
  shared_memory.resize(shared_bytes);
  work = &thread;
  place.block_size = block;
  place.grid_size = grid;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        place.block = runs_backwards ? dim3{grid.x - 1 - x, grid.y - 1 - y, grid.z - 1 - z} : dim3{x, y, z};
        // Nobody may count on what an earlier block left.
        std::fill(shared_memory.begin(), shared_memory.end(), std::uint8_t{0xFF});
        run_block(block);
      }
    }
  }
}

void multiply(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
              float (*widen)(std::uint16_t)) {
  struct Fragment {
    float a[4][2];
    float b[2][2];
  };
  const auto widened = [&](std::uint32_t pair, float (&both)[2]) {
    both[0] = widen(static_cast<std::uint16_t>(pair & 0xFFFFU));
    both[1] = widen(static_cast<std::uint16_t>(pair >> 16));
  };
  Fragment own;
  for (std::size_t i = 0; i < 4; ++i) widened(a[i], own.a[i]);
  widened(b0, own.b[0]);
  widened(b1, own.b[1]);
  const unsigned char* all = exchange(&own, sizeof own);
  const auto number = [&](std::size_t lane, std::size_t index) {
    float result = 0;
    std::memcpy(&result, all + lane * most_exchanged + index * sizeof result, sizeof result);
    return result;
  };
  constexpr std::size_t b_begins = 8;
  const auto lane = static_cast<std::size_t>(own_lane());
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t row = lane / 4 + i / 2 * 8;
    const std::size_t column = lane % 4 * 2 + i % 2;
    for (std::size_t k = 0; k < 16; ++k) {
      d[i] += number(row % 8 * 4 + k % 8 / 2, (row / 8 + k / 8 * 2) * 2 + k % 2) *
              number(column * 4 + k % 8 / 2, b_begins + k / 8 * 2 + k % 2);
    }
  }
}

void load_transposed(std::uint32_t (&tiles)[2], const std::uint16_t* row) {
  const unsigned char* all = exchange(&row, sizeof row);
  const auto lane = static_cast<std::size_t>(own_lane());
  for (std::size_t tile = 0; tile < 2; ++tile) {
    std::uint32_t pair = 0;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::uint16_t* source = nullptr;
      std::memcpy(&source, all + (tile * 8 + lane % 4 * 2 + i) * most_exchanged, sizeof source);
      pair |= static_cast<std::uint32_t>(source[lane / 4]) << (16 * i);
    }
    tiles[tile] = pair;
  }
}

}  // namespace lutra::cuda::emulate
