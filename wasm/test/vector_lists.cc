// Spaces with posting lists and codes of PQ: exact before they are trained, close to it afterwards, through deletes,
// replacements, filters, crashes and reopening.
#include <array>

#include "vector_fixture.h"

namespace shibumi::test {
namespace {

struct Shape {
  const char* name;
  IndexKind index;
  CodeKind codes;
  u32 lists, subspaces;
};
constexpr u32 kDimension = 18, kCount = 11000;
constexpr Shape kShapes[] = {
    {"IVF,Flat", kIvf, kNoCodes, 40, 0}, {"IVF,SQ8", kIvf, kSq8, 40, 0}, {"IVF,BQ", kIvf, kBits, 40, 0},
    {"IVF,PQ", kIvf, kPq, 40, 6},        {"PQ", kIvf, kPq, 1, 5},        {"HNSW,PQ", kHnsw, kPq, 1, 9},
};

VectorStore store;
VectorModel model;

void create(const Shape& shape, Metric metric) {
  create_space(store, kDimension, metric, shape.index, kIntIds, 8, shape.codes, shape.lists, shape.subspaces);
  model = {kDimension, metric, {}};
}

void insert(i64 id, const f32* vector) {
  EXPECT(insert_one(store, id, vector) == kOk);
  model.rows[id].assign(vector, vector + kDimension);
}

u32 work_through(u32 most) {
  u32 steps = 0;
  for (; store.pending() > 0; steps++) EXPECT(steps < most && store.link(1) == kOk);
  return steps;
}

f64 found(const Vector& queries, u32 nprobe, u32 rerank, const Allowed& allowed = {}, const VectorModel* among = nullptr) {
  const VectorModel& truth = among == nullptr ? model : *among;
  f64 sum = 0;
  const u32 count = static_cast<u32>(queries.size()) / kDimension;
  for (u32 i = 0; i < count; i++) {
    const f32* query = row_of(queries, i, kDimension);
    const Hit* hits = nullptr;
    u32 hit_count = 0;
    EXPECT(store.search(raw(query), 10, {64, rerank, nprobe}, hits, hit_count, allowed) == kOk);
    EXPECT(hit_count == std::min<size_t>(10, truth.rows.size()));
    for (u32 h = 1; h < hit_count; h++) EXPECT(hits[h - 1].distance <= hits[h].distance);
    sum += recall(truth, query, answers(store, hits, hit_count), 10);
  }
  return sum / count;
}

u32 rerank_of(const Shape& shape) { return shape.codes == kNoCodes ? 0 : shape.codes == kBits ? 600 : 100; }

TEST(lists_life, "what is near is found, exactly before training, and through deletes, replacements and reopening") {
  const Vector rows = clustered(kCount, kDimension, 40, 71), queries = clustered(15, kDimension, 40, 71);
  u32 turn = 0;
  for (const Shape& shape : kShapes) {
    const Metric metric = std::array{kL2sq, kIp, kCosine}[turn++ % 3];
    create(shape, metric);
    const u32 needed = store.points_needed();
    EXPECT(needed > 0 && needed < kCount && !store.trained());
    u32 next = 0;
    for (; next < needed - 1; next++) insert(next, row_of(rows, next, kDimension));
    EXPECT(store.pending() == 0 && store.link(10) == kOk && !store.trained());
    EXPECT(found(queries, 1, rerank_of(shape)) == 1);
    insert(next, row_of(rows, next, kDimension)), next++;
    EXPECT(store.pending() == needed);
    // Half-way through training nothing has changed for searches, and what is inserted is found.
    for (u32 i = 0; i < 3; i++) EXPECT(store.link(1) == kOk);
    f64 left = store.training_left();
    EXPECT(left > 0 && left < 1);
    for (; next < kCount; next++) insert(next, row_of(rows, next, kDimension));
    EXPECT(found(queries, 1, rerank_of(shape)) == 1);
    work_through(40000);
    EXPECT(store.trained() && store.trained_on() > 0 && store.training_left() == 0);
    const auto expect_recall = [&](const char* when) {
      const f64 share = found(queries, 12, rerank_of(shape));
      if (share < 0.95) std::printf(" [%s, metric %u, %s: %.3f] ", shape.name, metric, when, share);
      EXPECT(share >= 0.95);
    };
    expect_recall("trained");

    StoredImage image;
    image.save(kBothGroups);
    Random random(72);
    const auto change = [&](u32 changes) {
      for (u32 i = 0; i < changes; i++) {
        const i64 id = random.below(kCount);
        if (i % 2 == 0) {
          EXPECT(remove_int(store, id) == (model.rows.erase(id) ? kOk : kNotFound));
        } else {
          insert(id, row_of(rows, random.below(kCount), kDimension));
        }
        if (i % 3 == 0) EXPECT(store.link(1) == kOk);
      }
    };
    change(1500);
    expect_recall("changed, some of it waiting");
    work_through(40000);
    expect_recall("changed");
    // Primary data newer than the lists and codes, as after a crash.
    image.save(kPrimaryOnly);
    image.adopt();
    EXPECT(store.open(true) == kOk && store.trained() && store.pending() > 0);
    expect_recall("opened with old lists");
    work_through(40000);
    expect_recall("opened, caught up");
    change(300);
    work_through(40000);
    // Nothing of the index left.
    image.save(kBothGroups);
    std::erase_if(image.blocks, [](const auto& block) { return block.first.first >= kGraphMeta; });
    image.adopt();
    EXPECT(store.open(true) == kOk && !store.trained());
    EXPECT(found(queries, 1, rerank_of(shape)) == 1);
    work_through(60000);
    expect_recall("made anew");
  }
}

TEST(lists_filtered, "a filter gets its k results, whatever lists they are in") {
  const Vector rows = clustered(kCount, kDimension, 40, 73), queries = clustered(15, kDimension, 40, 73);
  for (const Shape& shape : kShapes) {
    create(shape, kL2sq);
    for (u32 i = 0; i < kCount; i++) insert(i, row_of(rows, i, kDimension));
    work_through(60000);
    // Each 50th vector; and those that one half-space holds, which are in few lists and far from most queries.
    for (const bool correlated : {false, true}) {
      std::vector<u64> words(kCount / 64 + 1);
      VectorModel among{kDimension, kL2sq, {}};
      for (u32 slot = 0; slot < kCount; slot++) {
        const Vector& row = model.rows[id_of(store, slot)];
        if (correlated ? row[0] < 1.2f : slot % 50 != 0) continue;
        words[slot / 64] |= 1ull << slot % 64;
        among.rows[id_of(store, slot)] = row;
      }
      const Allowed allowed{words.data(), static_cast<u32>(among.rows.size())};
      EXPECT(allowed.count > 100 && allowed.count < kCount / 2);
      const f64 share = found(queries, 12, rerank_of(shape), allowed, &among);
      if (share < 0.95) std::printf(" [%s, %u: %.3f] ", shape.name, correlated, share);
      EXPECT(share >= 0.95);
    }
    // Fewer than k match.
    std::vector<u64> words(kCount / 64 + 1);
    VectorModel among{kDimension, kL2sq, {}};
    for (const u32 slot : {5u, 700u, 9000u}) words[slot / 64] |= 1ull << slot % 64, among.rows[slot] = model.rows[slot];
    EXPECT(found(queries, 1, rerank_of(shape), {words.data(), 3}, &among) == 1);
  }
}

TEST(lists_edges, "k beyond every list, equal vectors, and a space emptied and filled again") {
  const Vector rows(kDimension, 1.5f);
  for (const Shape& shape : kShapes) {
    create(shape, kCosine);
    for (u32 i = 0; i < kCount; i++) insert(i, rows.data());
    work_through(60000);
    std::vector<Answer> all = search(store, rows.data(), kCount, 64, rerank_of(shape));
    EXPECT(all.size() == kCount);
    std::sort(all.begin(), all.end(), [](const Answer& a, const Answer& b) { return a.id < b.id; });
    for (u32 i = 0; i < kCount; i++) EXPECT(all[i].id == i);
    for (u32 i = 0; i < kCount; i++) EXPECT(remove_int(store, i) == kOk);
    model.rows.clear();
    EXPECT(store.pending() == 0 && search(store, rows.data(), 3, 64).empty());
    for (u32 i = 0; i < 500; i++) insert(i, rows.data());
    work_through(60000);
    EXPECT(store.trained() && search(store, rows.data(), 700, 64, rerank_of(shape)).size() == 500);
  }
}

TEST(lists_image, "a damaged index is refused, and the same work gives the same bytes") {
  const Vector rows = clustered(kCount, kDimension, 40, 74);
  for (const Shape& shape : {kShapes[3], kShapes[5]}) {
    StoredImage images[2];
    for (StoredImage& image : images) {
      create(shape, kL2sq);
      for (u32 i = 0; i < kCount; i++) insert(i, row_of(rows, i, kDimension));
      work_through(60000);
      image.save(kBothGroups);
    }
    EXPECT(images[0].blocks == images[1].blocks);
    for (const u32 segment : {kQuantizerMeta, kCentroids, kCodebooks, kListEntries, kCodes, kCodeStamps}) {
      StoredImage without = images[0];
      const auto block = without.blocks.find({segment, 0});
      EXPECT(block != without.blocks.end());
      without.blocks.erase(block);
      without.adopt();
      // Without entries everything waits to be taken in again.
      const Status status = store.open(true);
      EXPECT(segment == kListEntries ? status == kOk : status == kCorrupt);
    }
    for (u32 at = 0; at < sizeof(QuantizerSuperblock); at += 4) {
      if (at == offsetof(QuantizerSuperblock, trained_on)) continue;
      StoredImage mangled = images[0];
      std::string& super = mangled.blocks[{kQuantizerMeta, 0}];
      super.resize(sizeof(QuantizerSuperblock));
      super[at + 3] = static_cast<char>(super[at + 3] ^ 0x40);
      mangled.adopt();
      EXPECT(store.open(true) == kCorrupt);
    }
    StoredImage astray = images[0];
    ListEntry entry;
    std::string& entries = astray.blocks[{kListEntries, 0}];
    __builtin_memcpy(&entry, entries.data(), sizeof entry);
    entry.list = shape.lists;
    __builtin_memcpy(entries.data(), &entry, sizeof entry);
    astray.adopt();
    EXPECT(store.open(false) == kCorrupt);
  }
}

TEST(reindexed, "a space changes from every index to every other, its vectors and answers as before, and opens as what it became") {
  const Vector rows = clustered(kCount, kDimension, 40, 75), queries = clustered(10, kDimension, 40, 75);
  create({"Flat", kFlat, kNoCodes, 0, 0}, kL2sq);
  for (u32 i = 0; i < kCount; i++) insert(i, row_of(rows, i, kDimension));
  for (u32 i = 0; i < kCount; i += 7) {
    EXPECT(remove_int(store, i) == kOk);
    model.rows.erase(i);
  }
  constexpr Shape kOthers[] = {kShapes[5], {"HNSW", kHnsw, kNoCodes, 0, 0}, kShapes[3],
                               {"SQ8", kFlat, kSq8, 0, 0}, kShapes[0], {"Flat", kFlat, kNoCodes, 0, 0}};
  u32 frames = 0;
  for (u32 turn = 0; turn < 2; turn++) {
    for (const Shape& shape : kOthers) {
      const VectorConfig config{kDimension, kL2sq, 0, kIntIds, shape.index, 8, 64, shape.codes, shape.lists, shape.subspaces, 42};
      bool changed = false;
      EXPECT(store.reindex(config, false, changed) == kOk && changed);
      EXPECT(found(queries, 4, rerank_of(shape)) >= 0.99);
      EXPECT(store.reindex(config, false, changed) == kOk && !changed);
      for (u32 i = 0; i < 2000 && store.pending() > 0; i++) EXPECT(store.link(1) == kOk);
      insert(turn, row_of(rows, 5, kDimension));
      work_through(60000);
      EXPECT(found(queries, 12, rerank_of(shape)) >= 0.95);
    }
    // What one index took the next one gets.
    EXPECT(turn == 0 || frames_in_use() <= frames + 8);
    frames = frames_in_use();
  }
  // As a host stores it: what is left of an index that is gone is left out.
  StoredImage image;
  image.save(kBothGroups);
  image.adopt();
  EXPECT(store.open(true) == kOk && store.pending() == 0 && found(queries, 1, 0) == 1);
  bool changed = false;
  VectorConfig wrong{kDimension + 1, kL2sq, 0, kIntIds, kFlat, 0, 0, kNoCodes, 0, 0, 42};
  EXPECT(store.reindex(wrong, false, changed) == kInvalid && store.ready());
}

}  // namespace
}  // namespace shibumi::test
