// Originals that come and go: whatever is asked of a space whose originals are mostly absent, the answer and the bytes it
// leaves are those of a space that has them all.
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

constexpr u32 kDimension = 800;  // 81 vectors a block
VectorStore store;

void insert_rows(const Vector& rows, u32 from, u32 to) {
  std::vector<i64> ids;
  for (u32 i = from; i < to; i++) ids.push_back(i);
  EXPECT(insert_ints(store, ids, row_of(rows, from, kDimension)) == kOk);
}

/// A host with little memory for originals.
struct Host {
  StoredImage stored;
  Random random{61};
  u32 fetched = 0, calls = 0;
  bool drops = true;

  void drop(u32 percent) {
    if (!drops) return;
    stored.save(kBothGroups);
    for (u32 i = 0; i < segments[kVectors].block_count; i++) {
      if (random.below(100) < percent && block_present(kVectors, i)) EXPECT(block_drop(kVectors, i) == kOk);
    }
  }
  void fetch_missed() {
    u32 pairs[2 * kMissedMost];
    const u32 count = blocks_missed(pairs);
    EXPECT(count > 0);
    for (u32 i = 0; i < count; i++) {
      const u32 segment = pairs[2 * i], index = pairs[2 * i + 1];
      EXPECT(segment == kVectors && !block_present(segment, index));
      const std::string& bytes = stored.blocks[{segment, index}];
      __builtin_memcpy(at<u8>(block_adopt(segment, index)), bytes.data(), bytes.size());
      fetched++;
    }
  }
  /// Repeats a call; between two attempts others drop what it had fetched, but not all.
  template <class Call>
  Status run(Call call) {
    for (;; calls++) {
      const Status status = call();
      if (status != kAbsent) return status;
      fetch_missed();
    }
  }
};

template <class Call>
std::vector<Answer> go_on(Host& host, Call call) {
  SearchProgress progress;
  std::vector<u32> slots;
  std::vector<f32> distances;
  const Hit* hits = nullptr;
  u32 found = 0;
  const Status status = host.run([&] {
    progress.slots = slots.data();
    progress.distances = distances.data();
    progress.count = static_cast<u32>(slots.size());
    const Status answer = call(hits, found, progress);
    if (answer == kAbsent) {
      slots.clear(), distances.clear();
      for (u32 i = 0; i < found; i++) slots.push_back(hits[i].slot), distances.push_back(hits[i].distance);
      // What was fetched for an earlier part is not needed any more.
      host.drop(100);
    }
    return answer;
  });
  EXPECT(status == kOk);
  return answers(store, hits, found);
}

std::vector<std::vector<Answer>> ask(Host& host, const Vector& queries) {
  std::vector<std::vector<Answer>> all;
  std::vector<u64> bits((store.slot_count() + 63) / 64);
  u32 allowed_count = 0;
  for (u32 slot = 0; slot < store.slot_count(); slot += 3) {
    if (store.live(slot)) bits[slot / 64] |= 1ull << (slot % 64), allowed_count++;
  }
  const Allowed everything, third{bits.data(), allowed_count};
  for (u32 i = 0; i < queries.size() / kDimension; i++) {
    const u8* query = raw(row_of(queries, i, kDimension));
    for (const Allowed& allowed : {everything, third}) {
      for (const u32 k : {1u, 10u, 400u}) {
        all.push_back(go_on(host, [&](const Hit*& hits, u32& found, SearchProgress& progress) {
          return store.search(query, k, {64, 30, 1}, hits, found, allowed, progress);
        }));
      }
      all.push_back(go_on(host, [&](const Hit*& hits, u32& found, SearchProgress& progress) {
        return store.range(query, 1e9f, 300, hits, found, allowed, nullptr, progress);
      }));
    }
  }
  return all;
}

/// A life of a space; what it answers on the way.
std::vector<std::vector<Answer>> live(Host& host, IndexKind index, Metric metric, const Vector& rows, const Vector& queries) {
  create_space(store, kDimension, metric, index, kIntIds, 8, kSq8);
  insert_rows(rows, 0, 700);
  EXPECT(store.link(300) == kOk);
  host.drop(100);
  auto all = ask(host, queries);
  const auto more = [&] { for (auto& each : ask(host, queries)) all.push_back(each); };
  for (u32 i = 0; i < 300; i++) EXPECT(remove_int(store, i * 2) == kOk);
  host.drop(100);
  more();
  for (u32 round = 0; round < 20; round++) {
    host.drop(70);
    const u32 from = 400 + round * 20;
    std::vector<i64> ids;
    for (u32 i = 0; i < 50; i++) ids.push_back(i % 10 == 9 ? ids[i - 3] : from + i);
    EXPECT(host.run([&] { return insert_ints(store, ids, row_of(rows, from, kDimension)); }) == kOk);
    EXPECT(store.link(5) == kOk);
    f32 out[kDimension];
    EXPECT(host.run([&] { return get_int(store, 401 + round, out); }) == kOk);
  }
  more();
  return all;
}

void same_life(IndexKind index, Metric metric) {
  const Vector rows = clustered(1001, kDimension, 20, 51), queries = clustered(3, kDimension, 20, 52);
  Host with_all, with_few;
  with_all.drops = false;
  const auto expected = live(with_all, index, metric, rows, queries);
  with_all.stored.save(kBothGroups);
  EXPECT(with_all.fetched == 0);
  EXPECT(live(with_few, index, metric, rows, queries) == expected);
  with_few.stored.save(kBothGroups);
  EXPECT(with_few.fetched > 300);
  EXPECT(with_few.stored.blocks == with_all.stored.blocks);
}

TEST(absent_scan, "a space over codes answers and stores the same with few of its originals present") { same_life(kFlat, kCosine); }
TEST(absent_graph, "so does one with a graph") { same_life(kHnsw, kL2sq); }

TEST(absent_open, "a space opens without originals, and fetches those it has no codes of") {
  const Vector rows = clustered(801, kDimension, 20, 53);
  create_space(store, kDimension, kL2sq, kHnsw, kIntIds, 8, kSq8);
  insert_rows(rows, 0, 300);
  EXPECT(store.link(300) == kOk);
  Host host;
  host.stored.save(kBothGroups);
  insert_rows(rows, 300, 500);
  const auto before = search(store, row_of(rows, 499, kDimension), 10, 64, 30);
  // The codes and the graph are of before.
  host.stored.save(kPrimaryOnly);
  const StoredImage older = host.stored;
  for (const bool deep : {false, true}) {
    host.stored = older;
    arena_init(1u << 13);
    for (const auto& [name, bytes] : host.stored.blocks) {
      if (name.first == kVectors) {
        EXPECT(block_expect(name.first, name.second) == kOk);
      } else {
        __builtin_memcpy(at<u8>(block_adopt(name.first, name.second)), bytes.data(), bytes.size());
      }
    }
    host.fetched = 0;
    EXPECT(host.run([&] { return store.open(deep); }) == kOk);
    EXPECT(host.fetched > 0 && host.fetched < segments[kVectors].block_count);
    EXPECT(store.live_count() == 500 && store.pending() == 200);
    EXPECT(store.link(200) == kOk);
    host.drop(100);
    EXPECT(go_on(host, [&](const Hit*& hits, u32& found, SearchProgress& progress) {
      return store.search(raw(row_of(rows, 499, kDimension)), 10, {64, 30, 1}, hits, found, {}, progress);
    })[0] == before[0]);
  }
}

TEST(absent_checkpoint, "what a checkpoint has copied is not dropped before it is published, and is dirty again if it is not") {
  const Vector rows = clustered(501, kDimension, 20, 55);
  create_space(store, kDimension, kL2sq, kFlat, kIntIds, 8, kSq8);
  insert_rows(rows, 0, 500);
  const u32 blocks = segments[kVectors].block_count;
  for (const bool published : {false, true}) {
    const i32 count = checkpoint_begin(kBothGroups);
    EXPECT(count > static_cast<i32>(blocks));
    for (i32 i = 0; i < count; i++) checkpoint_copied(static_cast<u32>(i));
    EXPECT(blocks_evict(kVectors, blocks) == 0 && block_drop(kVectors, 0) == kInvalid);
    checkpoint_end(published);
    EXPECT(blocks_evict(kVectors, blocks) == (published ? blocks : 0));
  }
}

TEST(absent_pins, "a pinned block stays, one that was read lately outlives others, dirty ones are never dropped") {
  const Vector rows = clustered(801, kDimension, 20, 54);
  create_space(store, kDimension, kL2sq, kFlat, kIntIds, 8, kSq8);
  insert_rows(rows, 0, 500);
  const u32 blocks = segments[kVectors].block_count;
  EXPECT(blocks_evict(kVectors, blocks) == 0);
  StoredImage image;
  image.save(kBothGroups);
  EXPECT(block_pin(kVectors, 3) == kOk && block_pin(kVectors, 3) == kOk && block_drop(kVectors, 3) == kInvalid);
  EXPECT(blocks_evict(kVectors, 2) == 2 && segments[kVectors].absent_count == 2);
  f32 out[kDimension];
  EXPECT(get_int(store, 400, out) == kOk);
  const u32 used = 400 / 81;
  EXPECT(blocks_evict(kVectors, blocks - 4) == blocks - 4);
  EXPECT(block_present(kVectors, 3) && block_present(kVectors, used) && segments[kVectors].absent_count == blocks - 2);
  block_unpin(kVectors, 3);
  EXPECT(blocks_evict(kVectors, blocks) == 1 && block_present(kVectors, 3));
  block_unpin(kVectors, 3);
  EXPECT(blocks_evict(kVectors, blocks) == 1 && segments[kVectors].absent_count == blocks);
  EXPECT(block_pin(kVectors, 3) == kInvalid);
}

}  // namespace
}  // namespace shibumi::test
