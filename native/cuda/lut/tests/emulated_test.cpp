#include "lut/emulated.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "core/philox.h"
#include "emulate/blocks.h"
#include "emulate/runtime.h"
#include "lut/plan.h"
#include "lut/shapes.h"
#include "products.h"
#include "testing.h"

using namespace lutra;
using namespace lutra::cuda;
using cuda::testing::Product;

namespace {

core::ThreadPool& threads() {
  static core::ThreadPool pool(2);
  return pool;
}

/// A card like the emulated one, opened.
DeviceLimits open_card(int major, int multiprocessors, int shared_kilobytes) {
  emulate::card().major = major;
  emulate::card().multiprocessors = multiprocessors;
  emulate::card().shared_bytes = shared_kilobytes << 10;
  DeviceLimits limits;
  REQUIRE(query(0, limits) == cudaSuccess);
  return limits;
}

double try_all(const DeviceLimits& limits, const std::vector<Product>& products) {
  double worst = 0;
  for (const Product& product : products) {
    const auto outcome = cuda::testing::run(limits, product, threads());
    if (!outcome.ran || outcome.worst_error > tolerance(limits, product))
      std::cerr << product.name() << ": " << outcome.why << " error " << outcome.worst_error << '\n';
    CHECK(outcome.ran);
    CHECK(outcome.worst_error <= tolerance(limits, product));
    worst = std::max(worst, outcome.worst_error / tolerance(limits, product));
  }
  return worst;
}

}  // namespace

TEST("every product of the table is that of the processor's own weights, on a card of compute capability 8.6") {
  const auto products = cuda::testing::small_products();
  const double worst = try_all(open_card(8, 3, 99), products);
  std::cout << "  " << products.size() << " products; the worst error is " << worst << " of what rounding may cost\n";
}

TEST("so it is on a card of compute capability 9.0, whose warp groups multiply behind the program's back") {
  const DeviceLimits limits = open_card(9, 4, 227);
  auto products = cuda::testing::small_products();
  std::erase_if(products, [&](const Product& product) { return product.tokens <= product::most_few_tokens(limits); });
  // A tile of 256 tokens is worth its while only where there are many.
  for (const auto& [rows, columns, tokens] : {std::tuple{130, 320, 250}, {128, 64, 256}, {256, 448, 257}}) {
    Product product;
    product.rows = rows;
    product.columns = columns;
    product.tokens = tokens;
    product.group_size = 32;
    products.push_back(product);
  }
  try_all(limits, products);
  // With one multiprocessor the widest tile wins; with many, the columns are split.
  const DeviceLimits one = open_card(9, 1, 227);
  Product wide;
  wide.rows = 200;
  wide.columns = 192;
  wide.tokens = 300;
  try_all(one, {wide});
}

TEST("no product leans on the order in which blocks, warps or lanes run") {
  emulate::runs_backwards = true;
  try_all(open_card(8, 5, 99), cuda::testing::small_products());
  emulate::runs_backwards = false;
}

TEST("the same bits come whoever comes first, however many blocks share a sum") {
  for (const int multiprocessors : {5, 40}) {
    for (const int major : {8, 9}) {
      const DeviceLimits limits = open_card(major, multiprocessors, 227);
      for (const std::int32_t tokens : {1, 6, 30, 90}) {
        Product product;
        product.rows = 200;
        product.columns = 1024;
        product.tokens = tokens;
        product.bits = 3;
        emulate::runs_backwards = false;
        const auto forwards = cuda::testing::run(limits, product, threads());
        emulate::runs_backwards = true;
        const auto backwards = cuda::testing::run(limits, product, threads());
        emulate::runs_backwards = false;
        CHECK(forwards.ran && backwards.ran);
        CHECK(forwards.worst_error <= tolerance(limits, product));
        CHECK(forwards.y == backwards.y);
      }
    }
  }
}

TEST("no two lanes of a lookup meet in a bank, and codes come in whole sectors") {
  for (const int major : {8, 9}) {
    const DeviceLimits limits = open_card(major, 3, 227);
    for (const int bits : {2, 3, 4}) {
      for (const auto kind : {cuda::testing::Kind::pairs, cuda::testing::Kind::row_tables}) {
        for (const std::int32_t tokens : {1, 12, 32, 80}) {
          Product product;
          product.rows = 128;
          product.columns = 256;
          product.tokens = tokens;
          product.bits = bits;
          product.kind = kind;
          emulate::count_traffic();
          CHECK(cuda::testing::run(limits, product, threads()).ran);
          const auto traffic = emulate::counted_traffic();
          const auto& lookups = traffic[static_cast<std::size_t>(emulate::Site::lookup)];
          CHECK(lookups.accesses > 0);
          CHECK_EQUAL(lookups.served, lookups.accesses);
          const auto& tiles = traffic[static_cast<std::size_t>(emulate::Site::tiles)];
          // Lanes of tokens that are not there read the last one's inputs again.
          CHECK(tiles.served <= tiles.fewest);
          const auto& codes = traffic[static_cast<std::size_t>(emulate::Site::codes)];
          CHECK_EQUAL(codes.served, codes.fewest);
        }
      }
    }
  }
}

TEST("one copy of a table would make lookups wait for one another: the count can tell") {
  const unsigned char table[1024] = {};
  emulate::place.block = {};
  emulate::count_traffic();
  core::RandomRow random(5, 5);
  std::vector<float> noise(32 * 64);
  random.normal(0, noise);
  for (unsigned i = 0; i < noise.size(); ++i) {
    emulate::place.thread = {i % 32};
    std::uint32_t bits = 0;
    std::memcpy(&bits, &noise[i], sizeof bits);
    emulate::note_shared(emulate::Site::lookup, table + (reinterpret_cast<std::uintptr_t>(table) % 4) + bits % 255 * 4,
                         4);
  }
  const auto lookups = emulate::counted_traffic()[static_cast<std::size_t>(emulate::Site::lookup)];
  const double wavefronts = static_cast<double>(lookups.served) / static_cast<double>(lookups.accesses);
  std::cout << "  one copy of 256 pairs: " << wavefronts << " wavefronts for each lookup; a copy for each lane: 1\n";
  CHECK(wavefronts > 2.5);
}

TEST("plans fit every card, use it, and leave no step out") {
  for (const auto& [multiprocessors, kilobytes, major] :
       {std::tuple{132, 227, 9}, {108, 163, 8}, {128, 99, 8}, {20, 99, 8}}) {
    DeviceLimits limits{multiprocessors, kilobytes << 10, major, 0};
    for (const auto& [rows, columns] : {std::pair{8192, 8192},
                                        {4096, 4096},
                                        {1024, 4096},
                                        {6144, 4096},
                                        {28672, 4096},
                                        {4096, 14336},
                                        {8192, 28672},
                                        {128256, 4096},
                                        {64, 64},
                                        {40, 32}}) {
      for (const int bits : {2, 3, 4}) {
        LutLayout layout;
        layout.rows = layout.stored_rows = rows;
        layout.columns = columns;
        layout.bits = bits;
        for (const std::int32_t tokens : {1, 2, 4, 5, 8, 16, 17, 32, 33, 64}) {
          const auto plan = product::plan_few(limits, layout, tokens);
          REQUIRE(plan.parts > 0);
          CHECK(plan.shared_bytes <= static_cast<std::size_t>(limits.shared_bytes));
          CHECK(plan.slices * plan.slice_blocks >= layout.column_blocks());
          CHECK((plan.slices - 1) * plan.slice_blocks < layout.column_blocks());
          CHECK(plan.groups * plan.row_warps >= layout.row_blocks());
          CHECK(plan.token_groups * 8 * plan.token_tiles >= tokens);
          // No large layer of a common model leaves more than half of the card idle while the weight streams.
          if (static_cast<std::int64_t>(rows) * columns >= std::int64_t{4096} * 4096)
            CHECK(2 * plan.blocks() >= multiprocessors);
        }
        for (const std::int32_t tokens : {65, 128, 512, 4096}) {
          const auto plan = product::plan_many(limits, layout, tokens);
          CHECK(plan.shared_bytes > 0);
          CHECK(plan.shared_bytes + product::static_shared_bytes <= static_cast<std::size_t>(limits.shared_bytes));
          CHECK(plan.row_tiles * plan.rows >= rows);
          CHECK(plan.token_tiles * plan.tokens >= tokens);
          CHECK(plan.splits * plan.split_blocks >= layout.column_blocks());
          CHECK((plan.splits - 1) * plan.split_blocks < layout.column_blocks());
        }
      }
    }
  }
}

TEST("a weight that the kernels cannot take is refused with what to do") {
  Product product;
  product.columns = 60;
  auto weight = cuda::testing::random_weight(product, 1);
  const lut::LutMatrix* all[] = {&weight, &weight};
  CHECK(!pack(std::span(all).first(1), Scalar::f16, threads()).ok());
  product.columns = 64;
  product.group_size = 16;
  weight = cuda::testing::random_weight(product, 1);
  const auto refused = pack(std::span(all).first(1), Scalar::f16, threads());
  REQUIRE(!refused.ok());
  CHECK_EQUAL(refused.error().code, "unsupported");
  CHECK(!refused.error().hint.empty());
  product.group_size = 64;
  weight = cuda::testing::random_weight(product, 1);
  Product other = product;
  other.bits = 3;
  const auto second = cuda::testing::random_weight(other, 1);
  all[1] = &second;
  CHECK(!pack(all, Scalar::f16, threads()).ok());
}

TEST("a call with a pointer or a stride that the kernels cannot take is refused, not run") {
  const DeviceLimits limits = open_card(8, 3, 99);
  Product product;
  const auto weight = cuda::testing::random_weight(product, 1);
  const lut::LutMatrix* all[] = {&weight};
  const auto image = pack(all, Scalar::f16, threads());
  REQUIRE(image.ok());
  alignas(256) static unsigned char memory[4096];
  MulMat call;
  call.layout = &image->layout;
  call.weight = memory;
  call.tokens = 1;
  call.x = memory;
  call.x_stride = 64;
  call.y = memory;
  call.y_stride = 64;
  const auto is_refused = [&](auto change) {
    MulMat changed = call;
    change(changed);
    return lut_mul_mat(limits, changed, memory, nullptr) == cudaErrorInvalidValue;
  };
  CHECK(is_refused([&](MulMat& wrong) { wrong.weight = memory + 16; }));
  CHECK(is_refused([&](MulMat& wrong) { wrong.x = memory + 2; }));
  CHECK(is_refused([&](MulMat& wrong) { wrong.x_stride = 68; }));
  CHECK(is_refused([&](MulMat& wrong) { wrong.y_stride = 60; }));
  CHECK(is_refused([&](MulMat& wrong) { wrong.x_type = Scalar::bf16; }));
  CHECK(is_refused([&](MulMat& wrong) { wrong.tokens = 0; }));
}

int main() { return lutra::testing::run_all(); }
