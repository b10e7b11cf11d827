// Images: what a space answers after its blocks went out and came back, with an older graph as after a crash, while a
// checkpoint is under way, and after bytes were mangled.
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

constexpr u32 kDimension = 20;
VectorStore store;

void insert_rows(const Vector& rows, u32 from, u32 to) {
  std::vector<i64> ids;
  for (u32 i = from; i < to; i++) ids.push_back(i);
  EXPECT(insert_ints(store, ids, row_of(rows, from, kDimension)) == kOk);
}

std::vector<std::vector<Answer>> ask(const Vector& queries) {
  std::vector<std::vector<Answer>> all;
  for (u32 i = 0; i < queries.size() / kDimension; i++) all.push_back(search(store, row_of(queries, i, kDimension), 10, 64));
  return all;
}

TEST(image_reopen, "a space answers the same after it was stored and opened") {
  const Vector rows = clustered(1501, kDimension, 12, 20), queries = clustered(20, kDimension, 12, 21);
  create_space(store, kDimension, kCosine, kHnsw);
  insert_rows(rows, 0, 1500);
  EXPECT(store.link(1400) == kOk);
  for (u32 i = 0; i < 200; i++) EXPECT(remove_int(store, i * 2) == kOk);
  const auto before = ask(queries);
  StoredImage image;
  image.save(kBothGroups);
  for (const bool deep : {false, true}) {
    image.adopt();
    EXPECT(store.open(deep) == kOk);
    EXPECT(store.live_count() == 1300 && store.pending() == 100);
    EXPECT(ask(queries) == before);
  }
  // What comes after is the same too, down to the bytes: slots, levels and links depend on the stored state alone.
  insert_rows(rows, 0, 50);
  EXPECT(store.link(500) == kOk);
  StoredImage once, twice;
  once.save(kBothGroups);
  image.adopt();
  EXPECT(store.open(false) == kOk);
  insert_rows(rows, 0, 50);
  EXPECT(store.link(500) == kOk);
  twice.save(kBothGroups);
  for (const auto& [name, bytes] : once.blocks) EXPECT(twice.blocks[name] == bytes);
}

TEST(image_older_graph, "a graph older than the vectors is relinked while search stays exact for what it lacks") {
  const Vector rows = clustered(2001, kDimension, 12, 22), queries = clustered(30, kDimension, 12, 22);
  create_space(store, kDimension, kL2sq, kHnsw);
  VectorModel model{kDimension, kL2sq, {}};
  const auto remember = [&](i64 id, u32 row) { model.rows[id].assign(row_of(rows, row, kDimension), row_of(rows, row + 1, kDimension)); };
  insert_rows(rows, 0, 1200);
  for (u32 i = 0; i < 1200; i++) remember(i, i);
  EXPECT(store.link(1200) == kOk);
  StoredImage image;
  image.save(kBothGroups);
  // Slots freed and given away again, new ones, all linked; but only primary blocks are stored.
  for (u32 i = 0; i < 300; i++) {
    EXPECT(remove_int(store, i) == kOk);
    model.rows.erase(i);
  }
  insert_rows(rows, 1300, 1500);
  for (u32 i = 1300; i < 1500; i++) remember(i, i);
  for (u32 i = 400; i < 500; i++) {
    EXPECT(insert_one(store, i, row_of(rows, i + 1200, kDimension)) == kOk);
    remember(i, i + 1200);
  }
  insert_rows(rows, 1800, 1900);
  for (u32 i = 1800; i < 1900; i++) remember(i, i);
  EXPECT(store.link(10000) == kOk && store.pending() == 0);
  image.save(kPrimaryOnly);

  image.adopt();
  EXPECT(store.open(true) == kOk);
  EXPECT(store.live_count() == model.rows.size() && store.pending() == 400);
  for (u32 i = 1800; i < 1900; i++) EXPECT(search(store, row_of(rows, i, kDimension), 1, 16)[0] == (Answer{i, 0}));
  EXPECT(mean_recall(store, model, queries, 10, 100) >= 0.97);
  for (u32 left = 400; left > 0; left -= 50) {
    EXPECT(store.pending() == left && store.link(50) == kOk);
    EXPECT(mean_recall(store, model, queries, 10, 100) >= 0.97);
  }
  image.save(kBothGroups);
  EXPECT(store.open(true) == kOk && store.pending() == 0);
}

TEST(image_no_graph, "without graph blocks everything is pending and can be linked") {
  const Vector rows = clustered(501, kDimension, 5, 23);
  create_space(store, kDimension, kIp, kHnsw);
  insert_rows(rows, 0, 500);
  EXPECT(store.link(500) == kOk);
  StoredImage image;
  image.save(kPrimaryOnly);
  image.adopt();
  EXPECT(store.open(true) == kOk && store.pending() == 500);
  EXPECT(search(store, rows.data(), 3, 10).size() == 3);
  EXPECT(store.link(500) == kOk && store.pending() == 0 && store.open(true) == kOk);
}

TEST(image_checkpoint, "writes during a checkpoint leave its image at the moment it began") {
  const Vector rows = clustered(1501, kDimension, 12, 24), queries = clustered(10, kDimension, 12, 24);
  create_space(store, kDimension, kL2sq, kHnsw);
  insert_rows(rows, 0, 800);
  EXPECT(store.link(800) == kOk);
  const auto before = ask(queries);
  StoredImage image;
  const i32 count = checkpoint_begin(kBothGroups);
  EXPECT(count > 0);
  for (u32 i = 0; i < static_cast<u32>(count); i++) {
    EXPECT(remove_int(store, i) == kOk);
    insert_rows(rows, 800 + i, 801 + i);
    EXPECT(store.link(1) == kOk);
    const CheckpointEntry entry = checkpoint_entry(i);
    image.blocks[{entry.segment, entry.index}].assign(at<const char>(entry.address), entry.used_bytes);
    checkpoint_copied(i);
  }
  checkpoint_end(true);
  const auto after = ask(queries);
  image.adopt();
  EXPECT(store.open(true) == kOk && store.live_count() == 800);
  EXPECT(ask(queries) == before);
  EXPECT(after != before);
}

TEST(image_absent, "vectors whose blocks were dropped are reported absent, and answer again once adopted") {
  const Vector rows = clustered(5001, kDimension, 12, 25);
  create_space(store, kDimension, kL2sq, kFlat);
  insert_rows(rows, 0, 5000);
  StoredImage image;
  image.save(kBothGroups);
  EXPECT(segments[kVectors].block_count > 1 && block_drop(kVectors, 1) == kOk);
  f32 out[kDimension];
  EXPECT(get_int(store, 0, out) == kOk);
  EXPECT(get_int(store, 4999, out) == kAbsent && fault_segment() == kVectors && fault_index() == 1);
  const Hit* hits;
  u32 found;
  EXPECT(store.search(raw(rows.data()), 3, {0, 0}, hits, found) == kAbsent && fault_index() == 1);
  EXPECT(store.range(raw(rows.data()), 1, 3, hits, found) == kAbsent);
  // Of the block that a vector lies in whose id is put again: it is free then, and the next in the batch would be there.
  EXPECT(insert_one(store, 4999, rows.data()) == kAbsent && store.live_count() == 5000);
  const std::string& bytes = image.blocks[{kVectors, 1}];
  __builtin_memcpy(at<u8>(block_adopt(kVectors, 1)), bytes.data(), bytes.size());
  EXPECT(get_int(store, 4999, out) == kOk && search(store, row_of(rows, 4999, kDimension), 1, 0)[0] == (Answer{4999, 0}));
}

/// Whatever an image that passed the deep check is asked, it answers without leaving its blocks.
void exercise(const Vector& queries, IdKind ids) {
  const u32 dimension = store.vector_bytes() / 4 + 1;  // a mangled metric may have made them bits
  Vector query(dimension, 0.5f), out(dimension);
  for (u32 i = 0; i < dimension && i < queries.size(); i++) query[i] = queries[i];
  const Hit* hits;
  u32 found;
  EXPECT(store.search(raw(query.data()), 10, {32, 0}, hits, found) == kOk);
  EXPECT(store.range(raw(query.data()), 1.0f, 50, hits, found) == kOk);
  std::vector<u32> slots(64);
  store.scan(nullptr, 64, slots.data());
  for (i64 id = 0; id < 10; id++) {
    if (ids == kIntIds) {
      get_int(store, id * 31, out.data());
      remove_int(store, id * 17);
      insert_one(store, id * 13, query.data());
    } else {
      const std::string name = "id" + std::to_string(id * 13);
      store.get(bytes_of_string(name), raw(out.data()));
      store.remove(bytes_of_string(name));
      insert_strings(store, {name}, query.data());
    }
  }
  EXPECT(store.link(20) == kOk);
  EXPECT(store.search(raw(query.data()), 10, {32, 0}, hits, found) == kOk);
}

TEST(image_mangled, "a mangled image is refused, or is still safe to use") {
  const Vector rows = clustered(701, kDimension, 6, 26);
  for (const IdKind ids : {kIntIds, kStringIdKind}) {
    create_space(store, kDimension, kCosine, kHnsw, ids, 4);
    if (ids == kIntIds) {
      insert_rows(rows, 0, 700);
    } else {
      for (u32 i = 0; i < 700; i++) EXPECT(insert_strings(store, {"id" + std::to_string(i)}, row_of(rows, i, kDimension)) == kOk);
    }
    EXPECT(store.link(650) == kOk);
    if (ids == kIntIds) for (u32 i = 0; i < 60; i++) EXPECT(remove_int(store, i * 11) == kOk);
    StoredImage image;
    image.save(kBothGroups);
    u32 refused = 0;
    const u32 rounds = 400;
    for (u32 round = 0; round < rounds; round++) {
      Random random(round * 2 + ids);
      StoredImage mangled = image;
      for (u32 changes = 1 + random.below(3); changes > 0; changes--) {
        auto block = mangled.blocks.begin();
        std::advance(block, random.below(static_cast<u32>(mangled.blocks.size())));
        std::string& bytes = block->second;
        if (bytes.empty()) continue;
        const u32 place = random.below(static_cast<u32>(random.below(2) ? bytes.size() : std::min<size_t>(bytes.size(), 96)));
        if (random.below(20) == 0) {
          bytes.resize(place);
        } else if (random.below(2)) {
          bytes[place] = static_cast<char>(random.next());
        } else {
          const u32 word = random.below(3) == 0 ? ~0u : random.below(1000);
          __builtin_memcpy(&bytes[place & ~3u], &word, std::min<size_t>(4, bytes.size() - (place & ~3u)));
        }
      }
      mangled.adopt();
      const Status status = store.open(true);
      EXPECT(status == kOk || status == kCorrupt || status == kOutOfMemory);
      if (status == kOk && store.id_kind() == ids) exercise(rows, ids);
      refused += status != kOk;
    }
    // Bytes of vectors may be anything; most others may not.
    EXPECT(refused > rounds / 4);
  }
}

}  // namespace
}  // namespace shibumi::test
