#pragma once
#include "lut/shapes.h"

namespace lutra::cuda::product {

/// How the steps of one slice of the columns fall to the blocks (`parts`) that share it: as even as can be, in order.
/// Host and device reckon with the same numbers.
struct Share {
  int steps_of_group = 0;  ///< a group is the row blocks that one block takes side by side
  int quantum = 1;         ///< steps that stay together
  long long quanta = 0;
  int parts = 1;

  LUTRA_BOTH_SIDES Share(int column_blocks, int groups, int column_warps, int n_parts, bool whole_groups)
      : steps_of_group((column_blocks + column_warps - 1) / column_warps),
        quantum(whole_groups ? steps_of_group : 1),
        quanta(static_cast<long long>(groups) * (steps_of_group / quantum)),
        parts(n_parts) {}

  [[nodiscard]] LUTRA_BOTH_SIDES int first_step(int part) const {
    return static_cast<int>(quanta * part / parts) * quantum;
  }
  [[nodiscard]] LUTRA_BOTH_SIDES int part_of(int step) const {
    return static_cast<int>(((static_cast<long long>(step / quantum) + 1) * parts - 1) / quanta);
  }
  [[nodiscard]] LUTRA_BOTH_SIDES int first_part(int group) const { return part_of(group * steps_of_group); }
  [[nodiscard]] LUTRA_BOTH_SIDES int parts_of(int group) const {
    return part_of((group + 1) * steps_of_group - 1) - first_part(group) + 1;
  }
};

}  // namespace lutra::cuda::product
