#include "lut/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/threads.h"
#include "lut/tables.h"

namespace lutra::lut {
namespace {

using core::Error;
using core::Result;

constexpr std::int64_t largest_group = 1 << 20;
constexpr std::int64_t largest_length = 1 << 28;
constexpr double largest_f16 = 65504;
constexpr std::size_t lanes = 8;
constexpr std::size_t most_entries = 16;
/// The table is learned from about so many weights.
constexpr std::int64_t sample_weights = 1 << 18;
constexpr int table_rounds = 20;
constexpr int row_table_rounds = 3;
constexpr int scale_rounds = 3;
/// What the absmax is multiplied with to begin the fit of a scale. Above 1 too: an outer entry of the table need not
/// serve the largest weight.
constexpr std::array<float, 9> multiples = {1.12F, 1.06F, 1.0F, 0.95F, 0.9F, 0.85F, 0.79F, 0.72F, 0.63F};

float to_f16_and_back(float value) { return core::f16_to_f32(core::f32_to_f16(value)); }

Error bad_input(const std::string& what, const std::string& field) {
  return Error{"bad-input", "A weight cannot be quantized: " + what + ".", "Correct " + field + ".", field};
}

/// A table with what finding the nearest entry needs. Entries ascend.
struct Table {
  std::size_t entries = 0;
  std::array<float, most_entries> values{};
  std::array<float, most_entries> middles{};  ///< between an entry and the next
  std::array<float, most_entries> steps{};    ///< from an entry to the next
  float largest = 0;                          ///< magnitude

  explicit Table(std::span<const float> from) : entries(from.size()) {
    for (std::size_t i = 0; i < entries; ++i) {
      values[i] = from[i];
      largest = std::max(largest, std::abs(from[i]));
    }
    for (std::size_t i = 0; i + 1 < entries; ++i) {
      middles[i] = (values[i] + values[i + 1]) / 2;
      steps[i] = values[i + 1] - values[i];
    }
  }

  [[nodiscard]] std::uint8_t code_of(float x) const {
    unsigned code = 0;
    for (std::size_t i = 0; i + 1 < entries; ++i) code += x > middles[i] ? 1U : 0U;
    return static_cast<std::uint8_t>(code);
  }
};

/// The weights of a group, filled up to whole lanes with what counts for nothing.
struct Group {
  std::vector<float> weights;
  std::vector<float> importance;
  std::vector<float> products;  ///< importance times weight
  float absmax = 0;
  double energy = 0;  ///< sum of importance times weight squared

  void load(const float* from, const float* important, std::size_t count) {
    const std::size_t filled_up = (count + lanes - 1) / lanes * lanes;
    weights.assign(filled_up, 0.0F);
    importance.assign(filled_up, 0.0F);
    products.assign(filled_up, 0.0F);
    absmax = 0;
    energy = 0;
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      absmax = std::max(absmax, std::abs(from[i]));
      sum += important == nullptr ? 1.0F : important[i];
    }
    for (std::size_t i = 0; i < count; ++i) {
      // Where no input of the group matters, all matter alike.
      const float h = important == nullptr || sum <= 0 ? 1.0F : important[i];
      weights[i] = from[i];
      importance[i] = h;
      products[i] = h * from[i];
      energy += static_cast<double>(products[i]) * from[i];
    }
  }
};

/// With the codes that a scale leads to: the sums over a group of h w t and of h t t.
struct Sums {
  double weight_table = 0;
  double table_table = 0;

  /// The scale that is best for those codes; 0 where none is.
  [[nodiscard]] double best_scale() const { return table_table > 0 ? weight_table / table_table : 0; }
  /// How much of the group's energy that scale takes away.
  [[nodiscard]] double best_gain() const { return weight_table * best_scale(); }
  [[nodiscard]] double gain(double scale) const { return scale * (2 * weight_table - scale * table_table); }
};

#if defined(__GNUC__) || defined(__clang__)
// Eight values at once, in what registers there are.
using Lanes = float __attribute__((vector_size(32)));
using Bits = std::int32_t __attribute__((vector_size(32)));
#define LUTRA_INLINE inline __attribute__((always_inline))

LUTRA_INLINE void load_lanes(Lanes& target, const float* from) { std::memcpy(&target, from, sizeof(Lanes)); }
LUTRA_INLINE void add_step_above(Lanes& value, const Lanes& x, float middle, float step) {
  const Lanes steps = Lanes{} + step;
  const Bits above = x > middle;
  value += reinterpret_cast<Lanes>(reinterpret_cast<Bits>(steps) & above);
}
#else
struct Lanes {
  std::array<float, lanes> at{};
  float& operator[](std::size_t i) { return at[i]; }
  float operator[](std::size_t i) const { return at[i]; }
  Lanes& operator+=(const Lanes& other) {
    for (std::size_t i = 0; i < lanes; ++i) at[i] += other.at[i];
    return *this;
  }
  friend Lanes operator*(Lanes left, const Lanes& right) {
    for (std::size_t i = 0; i < lanes; ++i) left.at[i] *= right.at[i];
    return left;
  }
  friend Lanes operator*(Lanes left, float right) {
    for (std::size_t i = 0; i < lanes; ++i) left.at[i] *= right;
    return left;
  }
  friend Lanes operator+(Lanes left, float right) {
    for (std::size_t i = 0; i < lanes; ++i) left.at[i] += right;
    return left;
  }
};
#define LUTRA_INLINE inline

LUTRA_INLINE void load_lanes(Lanes& target, const float* from) { std::memcpy(&target, from, sizeof(Lanes)); }
LUTRA_INLINE void add_step_above(Lanes& value, const Lanes& x, float middle, float step) {
  for (std::size_t i = 0; i < lanes; ++i) value[i] += x[i] > middle ? step : 0.0F;
}
#endif

template <std::size_t entries>
LUTRA_INLINE Sums sums_of(const Group& group, const Table& table, float scale) {
  const float inverse = 1 / scale;
  Lanes weight_table{};
  Lanes table_table{};
  for (std::size_t i = 0; i < group.weights.size(); i += lanes) {
    Lanes x;
    Lanes importance;
    Lanes products;
    load_lanes(x, group.weights.data() + i);
    load_lanes(importance, group.importance.data() + i);
    load_lanes(products, group.products.data() + i);
    x = x * inverse;
    Lanes value = Lanes{} + table.values[0];
    for (std::size_t entry = 0; entry + 1 < entries; ++entry) {
      add_step_above(value, x, table.middles[entry], table.steps[entry]);
    }
    weight_table += products * value;
    table_table += importance * value * value;
  }
  Sums sums;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    sums.weight_table += weight_table[lane];
    sums.table_table += table_table[lane];
  }
  return sums;
}

LUTRA_INLINE Sums sums_of_any(const Group& group, const Table& table, float scale) {
  switch (table.entries) {
    case 4:
      return sums_of<4>(group, table, scale);
    case 8:
      return sums_of<8>(group, table, scale);
    default:
      return sums_of<16>(group, table, scale);
  }
}

// The same operations in the same order, without fused ones: the same result.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
__attribute__((target("avx2"))) Sums sums_at_avx2(const Group& group, const Table& table, float scale) {
  return sums_of_any(group, table, scale);
}
Sums sums_at_plain(const Group& group, const Table& table, float scale) { return sums_of_any(group, table, scale); }

Sums sums_at(const Group& group, const Table& table, float scale) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? sums_at_avx2(group, table, scale) : sums_at_plain(group, table, scale);
}
#else
Sums sums_at(const Group& group, const Table& table, float scale) { return sums_of_any(group, table, scale); }
#endif

/// The least that f16 holds apart from 0, and half of it, below which a scale becomes 0.
bool vanishes(float scale) { return to_f16_and_back(scale) == 0; }

/// The best scale found for a group, as f16 holds it; 0 for a group of zeros.
float fit_scale(const Group& group, const Table& table) {
  const float whole = group.absmax / table.largest;
  if (vanishes(whole)) return 0;
  double best_gain = -1;
  double fitted = whole;
  for (const float sign : {1.0F, -1.0F}) {
    for (const float multiple : multiples) {
      const float tried = sign * multiple * whole;
      if (vanishes(tried)) continue;
      const Sums sums = sums_at(group, table, tried);
      if (sums.best_gain() > best_gain) {
        best_gain = sums.best_gain();
        fitted = sums.best_scale();
      }
    }
  }
  float best = 0;
  best_gain = -1;
  for (int round = 0; round < scale_rounds; ++round) {
    const float scale = to_f16_and_back(static_cast<float>(std::clamp(fitted, -largest_f16, largest_f16)));
    if (scale == 0 || scale == best) break;
    const Sums sums = sums_at(group, table, scale);
    if (sums.gain(scale) > best_gain) {
      best_gain = sums.gain(scale);
      best = scale;
    }
    fitted = sums.best_scale();
  }
  return best;
}

/// Least squares for the table's entries: sums of h s w and of h s s by code.
struct TableSums {
  std::array<double, most_entries> weight{};
  std::array<double, most_entries> scale{};

  void add(const Group& group, std::size_t count, const Table& table, float group_scale) {
    if (group_scale == 0) return;
    const float s = group_scale;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t code = table.code_of(group.weights[i] / s);
      weight[code] += static_cast<double>(group.products[i]) * s;
      scale[code] += static_cast<double>(group.importance[i]) * s * s;
    }
  }
  void add(const TableSums& other) {
    for (std::size_t i = 0; i < most_entries; ++i) {
      weight[i] += other.weight[i];
      scale[i] += other.scale[i];
    }
  }
  [[nodiscard]] Table solve(const Table& before) const {
    std::array<float, most_entries> values = before.values;
    for (std::size_t i = 0; i < before.entries; ++i) {
      if (scale[i] > 0) values[i] = to_f16_and_back(static_cast<float>(weight[i] / scale[i]));
    }
    const std::span<float> used(values.data(), before.entries);
    std::sort(used.begin(), used.end());
    // Nothing to fit to but zeros.
    if (used.front() == 0 && used.back() == 0) return before;
    return Table(used);
  }
};

/// One call of quantize().
class Quantizer {
 public:
  Quantizer(std::span<const float> weight, const QuantizeOptions& options, std::span<const float> importance,
            LutMatrix& matrix, int threads, const core::Progress& progress)
      : weight_(weight),
        options_(options),
        importance_(importance),
        matrix_(matrix),
        normal_float_(normal_float_table(options.bits)),
        pool_(static_cast<std::size_t>(std::max(1, threads))),
        progress_(progress) {}

  /// False where it was cancelled.
  bool run() {
    Table table = first_table();
    const bool learned = options_.table == QuantizeOptions::Table::learned;
    if (learned && !learn_table(table)) return false;
    const bool per_row = learned && options_.table_per_row;
    const auto entries = static_cast<std::size_t>(matrix_.table_entries());
    matrix_.codes.assign(static_cast<std::size_t>(matrix_.rows * matrix_.row_bytes()), 0);
    matrix_.scales.assign(static_cast<std::size_t>(matrix_.rows * matrix_.groups_per_row()), 0.0F);
    matrix_.table.assign(per_row ? entries * static_cast<std::size_t>(matrix_.rows) : entries, 0.0F);
    if (!per_row) std::copy_n(table.values.begin(), entries, matrix_.table.begin());
    errors_.assign(static_cast<std::size_t>(matrix_.rows), {});
    return each_row(matrix_.rows, true, [&](std::int64_t row, Group& group) {
      if (per_row) {
        const Table own = learn_row_table(row, table, group);
        std::copy_n(own.values.begin(), entries, matrix_.table.begin() + row * matrix_.table_entries());
        quantize_row(row, own, group);
      } else {
        quantize_row(row, table, group);
      }
    });
  }

  [[nodiscard]] double relative_error() const {
    double wrong = 0;
    double whole = 0;
    for (const auto& [row_wrong, row_whole] : errors_) {
      wrong += row_wrong;
      whole += row_whole;
    }
    return whole > 0 ? std::sqrt(wrong / whole) : 0;
  }

 private:
  /// NormalFloat, as f16 stores it.
  [[nodiscard]] Table first_table() const {
    std::vector<float> values(normal_float_.values.begin(), normal_float_.values.begin() + matrix_.table_entries());
    for (float& value : values) value = to_f16_and_back(value);
    return Table(values);
  }

  template <typename Work>
  bool each_row(std::int64_t count, bool tell, const Work& work) {
    // Between the parts the caller's thread tells how far it is.
    const std::int64_t part = std::max<std::int64_t>(pool_.size(), (count + 31) / 32);
    for (std::int64_t begin = 0; begin < count; begin += part) {
      const std::int64_t end = std::min(count, begin + part);
      pool_.for_each(static_cast<std::size_t>(end - begin), 1, [&](std::size_t from, std::size_t to) {
        Group group;
        for (std::size_t i = from; i < to && !progress_.cancelled(); ++i) {
          work(begin + static_cast<std::int64_t>(i), group);
        }
      });
      if (progress_.cancelled()) return false;
      if (tell) {
        progress_.tell(static_cast<std::uint64_t>(end * matrix_.columns),
                       static_cast<std::uint64_t>(count * matrix_.columns));
      }
    }
    return true;
  }

  template <typename Work>
  void each_group(std::int64_t row, Group& group, const Work& work) const {
    for (std::int64_t column = 0; column < matrix_.columns; column += matrix_.group_size) {
      const std::int64_t count = std::min(matrix_.group_size, matrix_.columns - column);
      group.load(weight_.data() + row * matrix_.columns + column,
                 importance_.empty() ? nullptr : importance_.data() + column, static_cast<std::size_t>(count));
      work(column, static_cast<std::size_t>(count));
    }
  }

  bool learn_table(Table& table) {
    const std::int64_t wanted = std::max<std::int64_t>(1, sample_weights / matrix_.columns);
    const std::int64_t sampled = std::min(matrix_.rows, wanted);
    std::vector<TableSums> sums(static_cast<std::size_t>(sampled));
    for (int round = 0; round < table_rounds; ++round) {
      const bool done = each_row(sampled, false, [&](std::int64_t i, Group& group) {
        TableSums& own = sums[static_cast<std::size_t>(i)];
        own = {};
        each_group(i * matrix_.rows / sampled, group,
                   [&](std::int64_t, std::size_t count) { own.add(group, count, table, fit_scale(group, table)); });
      });
      if (!done) return false;
      // In the order of rows, so that threads do not matter.
      TableSums all;
      for (const TableSums& own : sums) all.add(own);
      table = all.solve(table);
    }
    return true;
  }

  [[nodiscard]] Table learn_row_table(std::int64_t row, Table table, Group& group) const {
    for (int round = 0; round < row_table_rounds; ++round) {
      TableSums sums;
      each_group(row, group,
                 [&](std::int64_t, std::size_t count) { sums.add(group, count, table, fit_scale(group, table)); });
      table = sums.solve(table);
    }
    return table;
  }

  void quantize_row(std::int64_t row, const Table& table, Group& group) {
    std::uint8_t* target = matrix_.codes.data() + row * matrix_.row_bytes();
    const bool learned = options_.table == QuantizeOptions::Table::learned;
    // FLUTE chooses codes before it rounds table and scale.
    const Table& chooser = learned ? table : normal_float_;
    auto& [wrong, whole] = errors_[static_cast<std::size_t>(row)];
    unsigned pending = 0;
    int filled = 0;
    each_group(row, group, [&](std::int64_t column, std::size_t count) {
      const float scale = learned ? fit_scale(group, table) : to_f16_and_back(group.absmax);
      const float divisor = learned ? scale : group.absmax;
      matrix_.scales[static_cast<std::size_t>(row * matrix_.groups_per_row() + column / matrix_.group_size)] = scale;
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t code = chooser.code_of(scale == 0 ? 0.0F : group.weights[i] / divisor);
        const double off = static_cast<double>(group.weights[i]) - table.values[code] * scale;
        wrong += group.importance[i] * off * off;
        pending |= static_cast<unsigned>(code) << filled;
        filled += matrix_.bits;
        if (filled >= 8) {
          *target++ = static_cast<std::uint8_t>(pending);
          pending >>= 8;
          filled -= 8;
        }
      }
      whole += group.energy;
    });
    if (filled > 0) *target = static_cast<std::uint8_t>(pending);
  }

  std::span<const float> weight_;
  const QuantizeOptions& options_;
  std::span<const float> importance_;
  LutMatrix& matrix_;
  Table normal_float_;  ///< in f32
  core::ThreadPool pool_;
  const core::Progress& progress_;
  std::vector<std::pair<double, double>> errors_;  ///< of each row: what is lost, and the whole
};

/// Where a value is that f16 cannot hold.
core::Status check_values(std::span<const float> weight, std::int64_t columns) {
  const auto place = std::find_if(weight.begin(), weight.end(), [](float w) { return !(std::abs(w) <= largest_f16); });
  if (place == weight.end()) return core::success();
  const std::int64_t at = place - weight.begin();
  const std::string what = std::isnan(*place) ? "NaN" : std::isinf(*place) ? "an infinite value" : "a value beyond f16";
  return Error{"bad-file",
               "The weight holds " + what + " in row " + std::to_string(at / columns) + ", column " +
                   std::to_string(at % columns) + ".",
               "Get the file again from where it came from.", "weight"};
}

/// Divided by its mean, so that sums stay within f32; empty where nothing matters.
std::vector<float> normalised(std::span<const float> importance) {
  double sum = 0;
  for (const float value : importance) sum += value;
  if (sum <= 0) return {};
  std::vector<float> result;
  result.reserve(importance.size());
  for (const float value : importance) {
    result.push_back(static_cast<float>(value * static_cast<double>(importance.size()) / sum));
  }
  return result;
}

}  // namespace

core::Status check(const QuantizeOptions& options) {
  if (options.bits < 2 || options.bits > 4) return bad_input("bits has to be 2, 3 or 4", "bits");
  if (options.group_size < 1 || options.group_size > largest_group) {
    return bad_input("group_size has to be from 1 to " + std::to_string(largest_group), "group_size");
  }
  if (options.table_per_row && options.table != QuantizeOptions::Table::learned) {
    return bad_input("only a learned table can be one per row", "table_per_row");
  }
  return core::success();
}

Result<Quantized> quantize(std::span<const float> weight, std::int64_t rows, std::int64_t columns,
                           const QuantizeOptions& options, std::span<const float> importance, int threads,
                           const core::Progress& progress) {
  if (auto checked = check(options); !checked) return checked.error();
  if (rows < 1 || columns < 1 || rows > largest_length || columns > largest_length ||
      weight.size() != static_cast<std::size_t>(rows * columns)) {
    return bad_input("its " + std::to_string(weight.size()) + " values are not " + std::to_string(rows) + " x " +
                         std::to_string(columns),
                     "weight");
  }
  if (!importance.empty() && importance.size() != static_cast<std::size_t>(columns)) {
    return bad_input("importance has " + std::to_string(importance.size()) + " values where there are " +
                         std::to_string(columns) + " columns",
                     "importance");
  }
  if (std::any_of(importance.begin(), importance.end(), [](float h) { return !(h >= 0) || std::isinf(h); })) {
    return bad_input("importance holds a value that is negative, NaN or infinite", "importance");
  }
  if (auto checked = check_values(weight, columns); !checked) return checked.error();
  const std::vector<float> even = normalised(importance);
  Quantized result{LutMatrix{rows, columns, options.bits, options.group_size, false, {}, {}, {}}, 0};
  Quantizer quantizer(weight, options, even, result.matrix, threads, progress);
  if (!quantizer.run()) return Error{"cancelled", "The quantization was stopped.", "", ""};
  result.relative_error = quantizer.relative_error();
  return result;
}

}  // namespace lutra::lut
