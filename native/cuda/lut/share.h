#pragma once
#include "lut/shapes.h"

namespace lutra::cuda::product {

/// How the steps of one slice of the columns fall to the blocks (`parts`) that share it: as even as can be, in order,
/// the first ones with one more. Made by the host; both sides reckon with it.
struct Share {
  int steps_of_group = 1;  ///< a group is the row blocks that one block takes side by side
  int quantum = 1;         ///< steps that stay together
  int quanta = 0;
  int parts = 1;
  int each = 0;   ///< quanta of a part
  int extra = 0;  ///< parts that have one more

  Share() = default;
  Share(int column_blocks, int groups, int column_warps, int n_parts, bool whole_groups)
      : steps_of_group((column_blocks + column_warps - 1) / column_warps),
        quantum(whole_groups ? steps_of_group : 1),
        quanta(groups * (steps_of_group / quantum)),
        parts(n_parts),
        each(quanta / parts),
        extra(quanta % parts) {}

  [[nodiscard]] LUTRA_BOTH_SIDES int first_step(int part) const {
    return (part * each + (part < extra ? part : extra)) * quantum;
  }
  [[nodiscard]] LUTRA_BOTH_SIDES int part_of(int step) const {
    const int at = step / quantum;
    const int of_larger = extra * (each + 1);
    return at < of_larger ? at / (each + 1) : extra + (at - of_larger) / each;
  }
  [[nodiscard]] LUTRA_BOTH_SIDES int first_part(int group) const { return part_of(group * steps_of_group); }
  [[nodiscard]] LUTRA_BOTH_SIDES int parts_of(int group) const {
    return part_of((group + 1) * steps_of_group - 1) - first_part(group) + 1;
  }
};

}  // namespace lutra::cuda::product
