// Linking by several threads over one arena: the graph that comes out is whole, leads to everything, and is as good as one
// thread's. Run under the address sanitizer here; `node tools/sanitize.mjs thread` runs it under the thread sanitizer.
#include "../index/parallel_links.h"

#include <thread>

#include "vector_fixture.h"

namespace shibumi::test {
namespace {

constexpr u32 kDimension = 16, kThreads = 4;

/// Links what is pending in `store` by several threads, each with a view of its own, and takes the graph over in place.
void link_together(VectorStore& store) {
  ParallelLinks links;
  VectorStore beginner;
  EXPECT(beginner.open_for_links() == kOk);
  EXPECT(links.begin(beginner, kThreads) == kOk);
  std::vector<VectorStore> views(kThreads);
  std::vector<std::thread> threads;
  for (u32 i = 0; i < kThreads; i++) {
    threads.emplace_back([&links, &views, i] {
      EXPECT(links.join(views[i], i) == kOk);
      while (links.work(views[i], i, 7) > 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  u32 done = 0;
  for (u32 i = 0; i < kThreads; i++) done += at<u32>(links.done())[i];
  EXPECT(done == links.total());
  EXPECT(beginner.check_links() == kOk);
  EXPECT(store.adopt_graph() == kOk);
}

void insert_rows(VectorStore& store, const Vector& rows, u32 count, i64 first_id = 0) {
  std::vector<i64> ids;
  for (u32 i = 0; i < count; i++) ids.push_back(first_id + i);
  EXPECT(insert_ints(store, ids, rows.data()) == kOk);
}

VectorModel model_of(const Vector& rows, Metric metric) {
  VectorModel model{kDimension, metric, {}};
  for (u32 i = 0; i * kDimension < rows.size(); i++) {
    model.rows[i].assign(row_of(rows, i, kDimension), row_of(rows, i + 1, kDimension));
  }
  return model;
}

}  // namespace

TEST(parallel_recall, "a graph that several threads linked finds what brute force finds") {
  const Vector rows = clustered(2500, kDimension, 25, 31), queries = clustered(30, kDimension, 25, 31);
  for (const CodeKind codes : {kNoCodes, kSq8, kBits}) {
    VectorStore store;
    create_space(store, kDimension, kL2sq, kHnsw, kIntIds, 8, codes);
    insert_rows(store, rows, 2500);
    EXPECT(store.links_wanted() == 2500);
    link_together(store);
    EXPECT(store.pending() == 0 && store.links_wanted() == 0);
    EXPECT(store.open(true) == kOk && store.pending() == 0);
    const VectorModel model = model_of(rows, kL2sq);
    f64 found = 0;
    for (u32 i = 0; i < 30; i++) {
      const f32* query = row_of(queries, i, kDimension);
      found += recall(model, query, search(store, query, 10, 100, 200), 10) / 30;
    }
    // Bits of 16 components tell little.
    EXPECT(found >= (codes == kBits ? 0.6 : 0.97));
  }
}

TEST(parallel_later, "threads link what was added to a graph, and leave what has a node to one thread") {
  const Vector rows = clustered(3000, kDimension, 25, 32), queries = clustered(30, kDimension, 25, 32);
  VectorStore store;
  create_space(store, kDimension, kL2sq, kHnsw);
  insert_rows(store, Vector(rows.begin(), rows.begin() + 1000 * kDimension), 1000);
  EXPECT(store.link(1000) == kOk);
  // These take the slots of nodes that are there; the rest is new.
  for (i64 id = 0; id < 100; id++) EXPECT(remove_int(store, id) == kOk);
  insert_rows(store, Vector(rows.begin(), rows.begin() + 100 * kDimension), 100);
  insert_rows(store, Vector(rows.begin() + 1000 * kDimension, rows.end()), 2000, 1000);
  EXPECT(store.pending() == 2100 && store.links_wanted() == 2000);
  link_together(store);
  EXPECT(store.pending() == 100 && store.links_wanted() == 0);
  EXPECT(mean_recall(store, model_of(rows, kL2sq), queries, 10, 100) >= 0.97);
  EXPECT(store.link(100) == kOk && store.pending() == 0);
  EXPECT(store.open(true) == kOk);
  EXPECT(mean_recall(store, model_of(rows, kL2sq), queries, 10, 100) >= 0.97);
}

TEST(parallel_copies, "copies of a vector that threads link at once end in chains or side by side, all found") {
  VectorStore store;
  create_space(store, kDimension, kL2sq, kHnsw);
  const Vector some = clustered(150, kDimension, 15, 33);
  Vector rows;
  for (u32 i = 0; i < 1500; i++) {
    rows.insert(rows.end(), row_of(some, i % 150, kDimension), row_of(some, i % 150 + 1, kDimension));
  }
  insert_rows(store, rows, 1500);
  link_together(store);
  EXPECT(store.open(true) == kOk && store.pending() == 0);
  u32 found = 0;
  for (u32 i = 0; i < 150; i++) {
    for (const Answer& answer : search(store, row_of(some, i, kDimension), 10, 64)) found += answer.distance == 0;
  }
  EXPECT(found >= 1485);
  // All the same: nobody has anything to tell them apart by.
  create_space(store, kDimension, kL2sq, kHnsw);
  insert_rows(store, Vector(1000 * kDimension, 0.5f), 1000);
  link_together(store);
  EXPECT(store.open(true) == kOk && store.pending() == 0);
  EXPECT(search(store, row_of(some, 0, kDimension), 1000, 1000).size() == 1000);
}

TEST(parallel_nothing, "with nothing to link the threads end at once") {
  VectorStore store;
  create_space(store, kDimension, kL2sq, kHnsw);
  link_together(store);
  EXPECT(store.pending() == 0);
  insert_rows(store, clustered(1, kDimension, 1, 34), 1);
  link_together(store);
  EXPECT(store.pending() == 0 && store.open(true) == kOk);
}

}  // namespace shibumi::test
