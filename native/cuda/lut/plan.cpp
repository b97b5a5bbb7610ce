#include "lut/plan.h"

#include <algorithm>
#include <limits>

#include "lut/shapes.h"
#include "lut/share.h"

namespace lutra::cuda::product {
namespace {

template <typename T>
T divide_up(T value, T unit) {
  return (value + unit - 1) / unit;
}

// What a step costs beside its bytes, told in bytes of the weight that one multiprocessor could have read in that time.
// Reckoned from an H100's rates (about 14 bytes a clock from memory, 128 from shared memory), not measured.
constexpr double input_byte = 0.5;  // the second cache is about twice as fast
constexpr double partial_byte = 0.5;
constexpr double shared_byte = 0.11;
constexpr double barrier = 4096;    // of a block, with what it holds up
constexpr double exchange = 28672;  // from the last sum to the last of several blocks' sums

struct FewSizes {
  int warps;
  int tokens;
  std::size_t fixed_shared;  // beside tables and inputs
};

template <int token_tiles>
FewSizes few_sizes() {
  using Shape = FewShape<token_tiles>;
  return {Shape::warps, Shape::tokens, Shape::slots_bytes + Shape::notes_bytes};
}

std::size_t tables_of(const LutLayout& layout, int row_warps) {
  const bool has_row_tables = layout.tables == Tables::rows;
  const std::size_t one = static_cast<std::size_t>(table_words(layout.bits, has_row_tables)) * copy_stride;
  if (has_row_tables) return one * static_cast<std::size_t>(row_warps);
  return layout.bits < 4 ? 2 * one : one;  // where it begins at a multiple of its size
}

Share share_of(const FewPlan& plan, int column_blocks, int warps) {
  return {column_blocks, plan.groups, warps / plan.row_warps, plan.parts, plan.whole_groups};
}

double few_cost(const FewPlan& plan, const LutLayout& layout, const FewSizes& sizes, int tokens, int processors) {
  const Share share = share_of(plan, plan.slice_blocks, sizes.warps);
  const double steps = static_cast<double>(divide_up(share.quanta, plan.parts)) * share.quantum;
  const double runs = std::max(1.0, steps / share.steps_of_group) + (plan.whole_groups ? 0 : 0.5);
  const double waves = divide_up(plan.blocks(), processors);
  const int group_tokens = std::min(tokens, sizes.tokens);
  const double sums = 4.0 * block_side * sizes.tokens;
  const double stream = steps * sizes.warps * static_cast<double>(layout.block_bytes() + 128);
  const double inputs = input_byte * group_tokens * plan.slice_blocks * 128.0;
  const double gather = runs * (barrier + 2 * shared_byte * sums * sizes.warps);
  const bool is_apart = plan.slices > 1 || !plan.whole_groups;
  const double apart = is_apart ? exchange + 2 * partial_byte * runs * sums * plan.row_warps : 0;
  return waves * (stream + inputs + gather) + apart;
}

void finish_few(FewPlan& plan, const LutLayout& layout, const FewSizes& sizes) {
  const int last_blocks = layout.column_blocks() - (plan.slices - 1) * plan.slice_blocks;
  const Share full = plan.share = share_of(plan, plan.slice_blocks, sizes.warps);
  const Share last = plan.last_share = share_of(plan, last_blocks, sizes.warps);
  plan.most_partials = 1;
  for (int group = 0; group < plan.groups; ++group) {
    plan.most_partials = std::max(plan.most_partials, (plan.slices - 1) * full.parts_of(group) + last.parts_of(group));
  }
  if (plan.most_partials > 1) {
    plan.partial_bytes = std::size_t{4} * block_side * static_cast<std::size_t>(sizes.tokens) *
                         static_cast<std::size_t>(plan.row_warps) * static_cast<std::size_t>(plan.most_partials) *
                         static_cast<std::size_t>(plan.groups) * static_cast<std::size_t>(plan.token_groups);
  }
}

struct ManyChoice {
  int tokens;
  int rows;
  std::size_t own_shared;  // beside tables
  double cost;             // of one column block of a tile, in tokens of a full one
};

template <typename Shape>
ManyChoice choice(double efficiency) {
  return {Shape::tokens, Shape::rows, Shape::ring_bytes + Shape::staging_bytes,
          Shape::rows * Shape::tokens / efficiency};
}

}  // namespace

std::int32_t most_few_tokens(const DeviceLimits& limits) { return waits_by_itself(limits) ? 16 : 64; }

FewPlan plan_few(const DeviceLimits& limits, const LutLayout& layout, std::int32_t tokens) {
  FewPlan base;
  base.token_tiles = tokens <= 8 ? 1 : tokens <= 16 ? 2 : 4;
  const FewSizes sizes = base.token_tiles == 1   ? few_sizes<1>()
                         : base.token_tiles == 2 ? few_sizes<2>()
                                                 : few_sizes<4>();
  base.threads = sizes.warps * 32;
  base.token_groups = divide_up(tokens, sizes.tokens);
  const auto group_tokens = static_cast<std::size_t>(std::min(tokens, sizes.tokens));
  FewPlan best;
  best.parts = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int row_warps = 1; sizes.warps % row_warps == 0; row_warps *= 2) {
    const std::size_t fixed = tables_of(layout, row_warps) + sizes.fixed_shared;
    const int column_blocks = layout.column_blocks();
    for (int slices = 1; slices <= column_blocks; ++slices) {
      FewPlan plan = base;
      plan.row_warps = row_warps;
      plan.slice_blocks = divide_up(column_blocks, slices);
      plan.slices = divide_up(column_blocks, plan.slice_blocks);
      if (plan.slices != slices) continue;
      plan.shared_bytes = fixed + group_tokens * (static_cast<std::size_t>(plan.slice_blocks) * 128 + 16);
      if (plan.shared_bytes > static_cast<std::size_t>(limits.shared_bytes)) continue;
      plan.groups = divide_up(layout.row_blocks(), row_warps);
      if (static_cast<std::size_t>(plan.groups) * static_cast<std::size_t>(plan.token_groups) > counters_bytes / 4)
        continue;
      for (const bool whole : {true, false}) {
        plan.whole_groups = whole;
        plan.parts = 1;
        const int quanta = share_of(plan, plan.slice_blocks, sizes.warps).quanta;
        plan.parts = std::clamp(limits.multiprocessors / (slices * plan.token_groups), 1, quanta);
        const double cost = few_cost(plan, layout, sizes, tokens, limits.multiprocessors);
        if (cost < least) {
          least = cost;
          best = plan;
        }
      }
      // Finer slices only make more sums.
      if (slices > 4 * limits.multiprocessors) break;
    }
  }
  if (best.parts > 0) finish_few(best, layout, sizes);
  return best;
}

ManyPlan plan_many(const DeviceLimits& limits, const LutLayout& layout, std::int32_t tokens) {
  const bool is_hopper = waits_by_itself(limits);
  // The share of the tensor cores' rate that a tile can reach, by what it reads from shared memory: not measured.
  static constexpr double wide = 1;
  static constexpr double middle = 0.93;
  static constexpr double narrow = 0.75;
  const ManyChoice hopper[] = {choice<HopperShape<256>>(wide), choice<HopperShape<128>>(middle),
                               choice<HopperShape<64>>(narrow)};
  const ManyChoice ampere[] = {choice<AmpereShape<128>>(wide), choice<AmpereShape<64>>(middle)};
  ManyPlan best;
  double least = std::numeric_limits<double>::infinity();
  const auto consider = [&](const ManyChoice& choice) {
    constexpr int most_splits = 16;
    for (int splits = 1; splits <= std::min(most_splits, layout.column_blocks()); ++splits) {
      ManyPlan plan;
      plan.is_hopper = is_hopper;
      plan.tokens = choice.tokens;
      plan.rows = choice.rows;
      plan.row_tiles = divide_up(layout.stored_rows, plan.rows);
      plan.token_tiles = divide_up(tokens, plan.tokens);
      plan.split_blocks = divide_up(layout.column_blocks(), splits);
      plan.splits = divide_up(layout.column_blocks(), plan.split_blocks);
      plan.shared_bytes = choice.own_shared + ring_alignment + tables_of(layout, plan.rows / block_side);
      const bool has_counters =
          static_cast<std::size_t>(plan.row_tiles) * static_cast<std::size_t>(plan.token_tiles) <= counters_bytes / 4;
      if (plan.splits != splits || (splits > 1 && !has_counters) ||
          plan.shared_bytes + static_shared_bytes > static_cast<std::size_t>(limits.shared_bytes))
        continue;
      if (splits > 1) {
        plan.partial_bytes = std::size_t{4} * static_cast<std::size_t>(plan.rows * plan.tokens) *
                             static_cast<std::size_t>(plan.blocks());
      }
      constexpr double begin_and_end = 6;  // column blocks' time
      constexpr double of_split = 1.5;
      const double waves = divide_up(plan.blocks(), limits.multiprocessors);
      const double blocks = plan.split_blocks + begin_and_end + (splits > 1 ? of_split * splits : 0);
      const double cost = waves * blocks * choice.cost;
      if (cost < least) {
        least = cost;
        best = plan;
      }
    }
  };
  const bool has_row_tables = layout.tables == Tables::rows;
  for (const ManyChoice& choice : hopper) {
    if (is_hopper && (!has_row_tables || choice.tokens == 128)) consider(choice);
  }
  for (const ManyChoice& choice : ampere) {
    if (!is_hopper && (!has_row_tables || choice.tokens == 64)) consider(choice);
  }
  return best;
}

}  // namespace lutra::cuda::product
