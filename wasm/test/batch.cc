// Searches for many queries at once: the kernel that turns rows away against its scalar twin, and every answer against that of a
// search for one query, to the last bit.
#include "../kernels/products.h"
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

Vector random_values(Random& random, u32 count) {
  Vector out(count);
  for (f32& value : out) value = normal(random);
  return out;
}

/// Answers of one batch, query after query. The bits of `allowed` are the caller's.
std::vector<std::vector<Answer>> search_together(VectorStore& store, const Vector& queries, u32 count, u32 k,
                                                 const Allowed& allowed) {
  const Hit* hits = nullptr;
  u32 found = 0;
  EXPECT(store.search_batch(raw(queries.data()), count, k, {1, 0}, hits, found, allowed) == kOk);
  std::vector<std::vector<Answer>> out;
  for (u32 i = 0; i < count; i++) out.push_back(answers(store, hits + static_cast<size_t>(i) * found, found));
  return out;
}

void expect_same(VectorStore& store, u32 dimension, const Vector& queries, u32 count, u32 k, const Allowed& allowed) {
  const auto together = search_together(store, queries, count, k, allowed);
  for (u32 i = 0; i < count; i++) {
    const Hit* hits = nullptr;
    u32 found = 0;
    EXPECT(store.search(raw(row_of(queries, i, dimension)), k, {1, 0}, hits, found, allowed) == kOk);
    EXPECT(answers(store, hits, found) == together[i]);
  }
}

/// A space without codes or graph, with holes, copies and a zero vector in it.
void fill(VectorStore& store, u32 dimension, Metric metric, u32 count) {
  create_space(store, dimension, metric, kFlat);
  Vector rows = clustered(count, dimension, 5, dimension);
  for (u32 d = 0; d < dimension; d++) rows[d] = 0;
  for (u32 d = 0; d < dimension; d++) rows[9 * dimension + d] = rows[8 * dimension + d];
  for (u32 i = 0; i < count; i++) EXPECT(insert_one(store, i, row_of(rows, i, dimension)) == kOk);
  for (u32 i = 0; i < count; i += 7) EXPECT(remove_int(store, i) == kOk);
}

}  // namespace

TEST(products_twins, "products of two queries and four vectors are those of the scalar twin, wherever they lie") {
  Random random(21);
  for (u32 dimension = 0; dimension <= 67; dimension++) {
    for (u32 shift = 0; shift < 8; shift += 3) {
      std::vector<std::vector<u8>> places;
      const f32* rows[6];
      f64 scale = 1e-9;
      for (u32 i = 0; i < 6; i++) {
        const Vector values = random_values(random, dimension);
        places.emplace_back(dimension * 4 + 8);
        // Without values there is no place to copy from.
        if (dimension > 0) __builtin_memcpy(places.back().data() + shift, values.data(), dimension * 4);
        for (const f32 value : values) scale += static_cast<f64>(value) * value;
      }
      for (u32 i = 0; i < 6; i++) rows[i] = reinterpret_cast<const f32*>(places[i].data() + shift);
      f32 simd[8], scalar[8];
      products_2x4_simd128(rows[0], rows[1], rows + 2, dimension, simd);
      products_2x4_scalar(rows[0], rows[1], rows + 2, dimension, scalar);
      for (u32 i = 0; i < 8; i++) EXPECT(__builtin_fabs(static_cast<f64>(simd[i]) - scalar[i]) <= 2e-6 * scale);
    }
  }
}

TEST(batch_same, "a batch of any size gives what its queries give one by one, to the last bit") {
  for (const Metric metric : {kL2sq, kIp, kCosine, kL1, kLinf, kCanberra}) {
    for (const u32 dimension : {1u, 5u, 16u, 33u}) {
      VectorStore store;
      fill(store, dimension, metric, 301);
      const Vector queries = clustered(kBatchMost + 1, dimension, 5, 77);
      for (const u32 count : {1u, 2u, 3u, kBatchMost - 1, kBatchMost}) {
        for (const u32 k : {1u, 10u, 400u}) expect_same(store, dimension, queries, count, k, {});
      }
    }
  }
}

TEST(batch_filtered, "a batch under a filter gives what its queries give one by one") {
  constexpr u32 kDimension = 12;
  VectorStore store;
  fill(store, kDimension, kL2sq, 500);
  const Vector queries = clustered(9, kDimension, 5, 78);
  for (const u32 one_in : {1u, 2u, 50u, 499u}) {
    std::vector<u64> words(store.slot_count() / 64 + 1);
    Allowed allowed{words.data(), 0};
    for (u32 slot = 0; slot < store.slot_count(); slot++) {
      if (!store.live(slot) || slot % one_in != 1 % one_in) continue;
      words[slot / 64] |= 1ull << (slot % 64);
      allowed.count++;
    }
    EXPECT(allowed.count > 0);
    expect_same(store, kDimension, queries, 9, 10, allowed);
  }
}

TEST(batch_edges, "a batch of huge, tiny and equal values turns no row away that is a hit") {
  constexpr u32 kDimension = 8, kCount = 200;
  for (const Metric metric : {kL2sq, kIp, kCosine}) {
    for (const f32 size : {1e-20f, 1.0f, 1e15f, 1e19f}) {
      VectorStore store;
      create_space(store, kDimension, metric, kFlat);
      Vector rows = clustered(kCount, kDimension, 3, 5);
      for (f32& value : rows) value *= size;
      // A crowd that the products cannot tell apart: what is measured again has to decide.
      for (u32 i = 100; i < kCount; i++) {
        for (u32 d = 0; d < kDimension; d++) rows[i * kDimension + d] = size * (1 + (d == i % kDimension ? 1e-6f * i : 0));
      }
      for (u32 i = 0; i < kCount; i++) EXPECT(insert_one(store, i, row_of(rows, i, kDimension)) == kOk);
      Vector queries(rows.begin(), rows.begin() + 3 * kDimension);
      queries.insert(queries.end(), rows.begin() + 150 * kDimension, rows.begin() + 152 * kDimension);
      expect_same(store, kDimension, queries, 5, 20, {});
    }
  }
}

TEST(batch_refused, "a batch of none or too many is refused, and one that a graph answers better says so") {
  VectorStore store;
  fill(store, 6, kL2sq, 50);
  const Vector queries = clustered(kBatchMost + 1, 6, 5, 79);
  const Hit* hits = nullptr;
  u32 found = 0;
  EXPECT(store.search_batch(raw(queries.data()), 0, 5, {1, 0}, hits, found) == kInvalid);
  EXPECT(store.search_batch(raw(queries.data()), kBatchMost + 1, 5, {1, 0}, hits, found) == kInvalid);
  create_space(store, 6, kL2sq, kHnsw);
  const Vector rows = clustered(3000, 6, 9, 80);
  for (u32 i = 0; i < 3000; i++) EXPECT(insert_one(store, i, row_of(rows, i, 6)) == kOk);
  EXPECT(store.link(3000) == kOk);
  EXPECT(store.search_batch(raw(queries.data()), 4, 5, {16, 0}, hits, found) == kNotFound);
}

}  // namespace shibumi::test
