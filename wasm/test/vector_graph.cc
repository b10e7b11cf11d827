// HNSW: recall against brute force, through deletes, replacements and slots used again; the same bytes for the same work.
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

constexpr u32 kDimension = 24;

struct Filled {
  VectorStore store;
  VectorModel model{kDimension, kL2sq, {}};
};

/// A linked HNSW space of `count` vectors with ids 0 ..
void fill(Filled& space, Metric metric, const Vector& rows, u32 count) {
  create_space(space.store, kDimension, metric, kHnsw);
  space.model = {kDimension, metric, {}};
  std::vector<i64> ids;
  for (u32 i = 0; i < count; i++) {
    ids.push_back(i);
    space.model.rows[i].assign(row_of(rows, i, kDimension), row_of(rows, i + 1, kDimension));
  }
  EXPECT(insert_ints(space.store, ids, rows.data()) == kOk);
  EXPECT(space.store.pending() == count);
  EXPECT(space.store.link(count) == kOk && space.store.pending() == 0);
}

Filled space;

TEST(graph_recall, "HNSW finds what brute force finds") {
  const Vector rows = clustered(3001, kDimension, 30, 7), queries = clustered(40, kDimension, 30, 7);
  for (const Metric metric : {kL2sq, kIp, kCosine}) {
    fill(space, metric, rows, 3000);
    EXPECT(space.store.open(true) == kOk && space.store.pending() == 0);
    const f64 found = mean_recall(space.store, space.model, queries, 10, 100);
    if (found < 0.97) std::printf(" [metric %u recall %.4f] ", metric, found);
    EXPECT(found >= 0.97);
  }
}

TEST(graph_deletes, "recall holds after most vectors are deleted, and no deleted one is answered") {
  const Vector rows = clustered(3001, kDimension, 30, 8), queries = clustered(40, kDimension, 30, 8);
  fill(space, kL2sq, rows, 3000);
  Random random(9);
  for (const u32 left : {1500u, 1000u}) {
    while (space.model.rows.size() > left) {
      const i64 id = random.below(3000);
      EXPECT(remove_int(space.store, id) == (space.model.rows.erase(id) ? kOk : kNotFound));
    }
    const f64 found = mean_recall(space.store, space.model, queries, 10, 100);
    if (found < 0.97) std::printf(" [%u left recall %.4f] ", left, found);
    EXPECT(found >= 0.97);
  }
  for (auto row = space.model.rows.begin(); row != space.model.rows.end(); row = space.model.rows.erase(row)) {
    EXPECT(remove_int(space.store, row->first) == kOk);
  }
  EXPECT(search(space.store, queries.data(), 10, 64).empty());
}

TEST(graph_reuse, "slots used again keep the graph whole: every vector replaced twice") {
  const Vector rows = clustered(3001, kDimension, 30, 10), queries = clustered(40, kDimension, 30, 11);
  const Vector fresh = clustered(2000, kDimension, 30, 11);
  fill(space, kL2sq, rows, 2000);
  for (u32 round = 0; round < 2; round++) {
    const Vector& source = round == 0 ? fresh : rows;
    for (u32 i = 0; i < 2000; i++) {
      EXPECT(insert_one(space.store, i, row_of(source, i, kDimension)) == kOk);
      space.model.rows[i].assign(row_of(source, i, kDimension), row_of(source, i, kDimension) + kDimension);
      EXPECT(space.store.link(i % 5) == kOk);
    }
    EXPECT(space.store.link(2000) == kOk && space.store.pending() == 0);
    EXPECT(space.store.slot_count() <= 2002);
    EXPECT(space.store.open(true) == kOk && space.store.pending() == 0);
    const f64 found = mean_recall(space.store, space.model, queries, 10, 100);
    if (found < 0.97) std::printf(" [round %u recall %.4f] ", round, found);
    EXPECT(found >= 0.97);
  }
}

TEST(graph_rebirth, "a graph of nothing but tombstones takes new vectors") {
  const Vector rows = clustered(2001, kDimension, 10, 12), queries = clustered(20, kDimension, 10, 12);
  fill(space, kL2sq, rows, 1000);
  for (u32 i = 0; i < 1000; i++) EXPECT(remove_int(space.store, i) == kOk);
  space.model.rows.clear();
  for (u32 i = 1000; i < 2000; i++) {
    EXPECT(insert_one(space.store, i, row_of(rows, i, kDimension)) == kOk && space.store.link(1) == kOk);
    space.model.rows[i].assign(row_of(rows, i, kDimension), row_of(rows, i + 1, kDimension));
  }
  EXPECT(space.store.slot_count() == 1000 && space.store.open(true) == kOk);
  EXPECT(mean_recall(space.store, space.model, queries, 10, 100) >= 0.97);
}

TEST(graph_duplicates, "copies of one vector do not cut it off from the rest") {
  const Vector rows = clustered(2001, kDimension, 10, 13), queries = clustered(20, kDimension, 10, 13);
  Vector many = rows;
  for (u32 i = 0; i < 400; i++) std::copy_n(rows.begin(), kDimension, many.begin() + i * 3 * kDimension);
  fill(space, kL2sq, many, 2000);
  EXPECT(mean_recall(space.store, space.model, queries, 10, 100) >= 0.97);
}

/// Whether a search for `query` answers with exactly the ids of the model at distance 0, for k as many as they are.
void expect_copies(const f32* query) {
  std::vector<i64> want, got;
  for (const auto& [id, row] : space.model.rows) {
    if (space.model.distance(query, row) == 0) want.push_back(id);
  }
  for (const Answer& answer : search(space.store, query, static_cast<u32>(want.size()), 64)) {
    EXPECT(answer.distance == 0);
    got.push_back(answer.id);
  }
  std::sort(got.begin(), got.end());
  EXPECT(got == want);
}

TEST(graph_copies, "copies are found whole while they and the first of them are deleted, replaced and linked") {
  const Vector rows = clustered(2001, kDimension, 20, 16), queries = clustered(20, kDimension, 20, 16);
  const f32 *red = row_of(queries, 0, kDimension), *blue = row_of(queries, 1, kDimension);
  fill(space, kL2sq, rows, 2000);
  Random random(17);
  const auto put = [](i64 id, const f32* vector) {
    EXPECT(insert_one(space.store, id, vector) == kOk);
    space.model.rows[id].assign(vector, vector + kDimension);
  };
  for (u32 i = 0; i < 120; i++) put(3000 + i, i % 3 == 0 ? blue : red);
  for (u32 turn = 0; turn < 400; turn++) {
    const i64 id = 3000 + random.below(120);
    const u32 what = random.below(4);
    if (what == 0) {
      EXPECT(remove_int(space.store, id) == (space.model.rows.erase(id) ? kOk : kNotFound));
    } else {
      put(id, what == 1 ? red : what == 2 ? blue : row_of(rows, random.below(2000), kDimension));
    }
    if (turn % 3 == 0) EXPECT(space.store.link(random.below(4)) == kOk);
    if (turn % 50 == 0) EXPECT(space.store.open(true) == kOk);
    expect_copies(red);
    expect_copies(blue);
  }
  EXPECT(space.store.link(5000) == kOk && space.store.pending() == 0);
  expect_copies(red);
  expect_copies(blue);
  EXPECT(space.store.open(true) == kOk && space.store.pending() == 0);
  expect_copies(red);
  EXPECT(mean_recall(space.store, space.model, queries, 10, 100) >= 0.97);
  // Every copy but the last goes, the first ones first; then the slots are used again.
  while (true) {
    i64 id = -1;
    u32 count = 0;
    for (const auto& [key, row] : space.model.rows) {
      if (space.model.distance(red, row) != 0) continue;
      if (count++ == 0) id = key;
    }
    if (count <= 1) break;
    EXPECT(remove_int(space.store, id) == kOk);
    space.model.rows.erase(id);
    expect_copies(red);
  }
  for (u32 i = 0; i < 200; i++) put(4000 + i, row_of(rows, random.below(2000), kDimension));
  expect_copies(red);
  EXPECT(space.store.link(5000) == kOk && space.store.open(true) == kOk && space.store.pending() == 0);
  expect_copies(red);
  EXPECT(mean_recall(space.store, space.model, queries, 10, 100) >= 0.97);
}

TEST(graph_pending, "pending vectors are found exactly, beside the linked ones") {
  const Vector rows = clustered(3001, kDimension, 30, 14);
  fill(space, kL2sq, rows, 2000);
  for (u32 i = 2000; i < 2500; i++) EXPECT(insert_one(space.store, i, row_of(rows, i, kDimension)) == kOk);
  EXPECT(space.store.pending() == 500);
  for (u32 i = 2000; i < 2500; i++) {
    const std::vector<Answer> hits = search(space.store, row_of(rows, i, kDimension), 1, 16);
    EXPECT(hits.size() == 1 && hits[0] == (Answer{i, 0}));
  }
  // Deleted or replaced while pending.
  EXPECT(remove_int(space.store, 2000) == kOk);
  EXPECT(insert_one(space.store, 2001, row_of(rows, 2700, kDimension)) == kOk);
  EXPECT(space.store.pending() == 499);
  EXPECT(search(space.store, row_of(rows, 2000, kDimension), 1, 16)[0].id != 2000);
  EXPECT(search(space.store, row_of(rows, 2700, kDimension), 1, 16)[0] == (Answer{2001, 0}));
  EXPECT(space.store.link(1000) == kOk && space.store.pending() == 0);
  EXPECT(search(space.store, row_of(rows, 2700, kDimension), 1, 16)[0] == (Answer{2001, 0}));
}

TEST(graph_bytes, "the same seed, order and build give the same bytes") {
  const Vector rows = clustered(1001, kDimension, 10, 15);
  StoredImage images[2];
  for (StoredImage& image : images) {
    fill(space, kCosine, rows, 1000);
    for (u32 i = 0; i < 300; i++) EXPECT(remove_int(space.store, i * 3) == kOk);
    for (u32 i = 0; i < 100; i++) EXPECT(insert_one(space.store, i * 5, row_of(rows, i, kDimension)) == kOk);
    EXPECT(space.store.link(77) == kOk);
    image.save(kBothGroups);
  }
  EXPECT(images[0].blocks == images[1].blocks);
}

}  // namespace
}  // namespace shibumi::test
