// Filtered searches against brute force over the allowed vectors: every index, pending and deleted slots, filters from
// everything to one slot, and filters that are at odds with where the query is.
#include "vector_fixture.h"

namespace shibumi::test {

namespace {

/// The allowed slots of a space as bits.
struct Bits {
  std::vector<u64> words;
  Allowed allowed;

  template <class Predicate>
  Bits(const VectorStore& store, Predicate allows) : words(store.slot_count() / 64 + 1) {
    for (u32 slot = 0; slot < store.slot_count(); slot++) {
      if (!store.live(slot) || !allows(id_of(store, slot))) continue;
      words[slot / 64] |= 1ull << (slot % 64);
      allowed.count++;
    }
    allowed.words = words.data();
  }
};

/// Recall of one filtered search; that the answers are allowed and as many as there can be is expected on the way.
template <class Predicate>
f64 filtered_recall(VectorStore& store, const VectorModel& model, const f32* query, u32 k, u32 ef, Predicate allows) {
  const Bits bits(store, allows);
  VectorModel some{model.dimension, model.metric, {}};
  for (const auto& [id, row] : model.rows) {
    if (allows(id)) some.rows[id] = row;
  }
  EXPECT(some.rows.size() == bits.allowed.count);
  const Hit* hits = nullptr;
  u32 found = 0;
  EXPECT(store.search(raw(query), k, {ef, 0}, hits, found, bits.allowed) == kOk);
  EXPECT(found == std::min<size_t>(k, some.rows.size()));
  const std::vector<Answer> got = answers(store, hits, found);
  for (u32 i = 1; i < found; i++) EXPECT(got[i - 1].distance <= got[i].distance && got[i - 1].id != got[i].id);
  return found == 0 ? 1 : recall(some, query, got, k);
}

}  // namespace

TEST(filtered_flat, "a filtered flat search is exact, whatever the filter") {
  for (const Metric metric : {kL2sq, kIp, kCosine}) {
    VectorStore store;
    create_space(store, 7, metric, kFlat);
    VectorModel model{7, metric, {}};
    const Vector rows = clustered(700, 7, 12, 3);
    for (u32 i = 0; i < 700; i++) {
      EXPECT(insert_one(store, i, row_of(rows, i, 7)) == kOk);
      model.rows[i] = Vector(row_of(rows, i, 7), row_of(rows, i + 1, 7));
    }
    for (i64 id = 0; id < 700; id += 3) EXPECT(remove_int(store, id) == kOk && model.rows.erase(id) == 1);
    Random random(4);
    for (u32 round = 0; round < 60; round++) {
      const Vector query = clustered(1, 7, 1, 100 + round);
      const u32 one_in = 1 + random.below(round < 30 ? 8 : 300), salt = random.below(300);
      const auto allows = [&](i64 id) { return (static_cast<u32>(id) + salt) % one_in == 0; };
      EXPECT(filtered_recall(store, model, query.data(), 1 + random.below(40), 0, allows) == 1);
    }
  }
}

TEST(filtered_range, "a filtered range search is exact") {
  VectorStore store;
  create_space(store, 1, kL2sq, kFlat);
  for (i64 id = 0; id < 500; id++) {
    const f32 value = static_cast<f32>(id);
    EXPECT(insert_one(store, id, &value) == kOk);
  }
  const Bits even(store, [](i64 id) { return id % 2 == 0; });
  const f32 query = 100;
  const Hit* hits = nullptr;
  u32 found = 0;
  EXPECT(store.range(raw(&query), 17.0f, 100, hits, found, even.allowed) == kOk);
  const std::vector<Answer> expected = {{100, 0}, {98, 4}, {102, 4}, {96, 16}, {104, 16}};
  EXPECT(answers(store, hits, found) == expected);
}

TEST(filtered_graph, "a filtered graph search finds k allowed vectors and nearly the best, also against the clusters") {
  constexpr u32 kCount = 6000, kDimension = 12, kClusters = 20;
  VectorStore store;
  create_space(store, kDimension, kL2sq, kHnsw, kIntIds, 12);
  VectorModel model{kDimension, kL2sq, {}};
  const Vector rows = clustered(kCount, kDimension, kClusters, 5);
  for (u32 i = 0; i < kCount; i++) {
    EXPECT(insert_one(store, i, row_of(rows, i, kDimension)) == kOk);
    model.rows[i] = Vector(row_of(rows, i, kDimension), row_of(rows, i, kDimension) + kDimension);
    if (i == kCount - 200) EXPECT(store.link(kCount) == kOk);  // the rest stays pending
  }
  for (i64 id = 0; id < kCount; id += 7) EXPECT(remove_int(store, id) == kOk && model.rows.erase(id) == 1);
  const Vector queries = clustered(40, kDimension, kClusters, 5);
  for (const u32 one_in : {2u, 10u, 100u, 1000u}) {
    f64 scattered = 0, nearby = 0;
    for (u32 q = 0; q < 40; q++) {
      const f32* query = row_of(queries, q, kDimension);
      scattered += filtered_recall(store, model, query, 10, 64, [&](i64 id) { return id % one_in == 1 % one_in; });
      // As many, but all on one side: the first component decides, and mostly the query is not there.
      const f32 least = 3.2f - 3.2f / static_cast<f32>(one_in);
      const auto beyond = [&](i64 id) { return rows[static_cast<size_t>(id) * kDimension] > least; };
      nearby += filtered_recall(store, model, query, 10, 64, beyond);
    }
    EXPECT(scattered / 40 >= 0.95);
    EXPECT(nearby / 40 >= 0.95);
  }
}

}  // namespace shibumi::test
