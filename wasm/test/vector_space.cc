// A vector space against a model: what is put comes back, what is deleted is gone, and exact search is exact.
#include <limits>

#include "vector_fixture.h"

namespace shibumi::test {
namespace {

/// Everything a space can say about its content, compared with the model.
void expect_model(VectorStore& store, const VectorModel& model) {
  EXPECT(store.live_count() == model.rows.size());
  std::vector<u32> slots(model.rows.size() + 1);
  EXPECT(store.scan(nullptr, static_cast<u32>(slots.size()), slots.data()) == model.rows.size());
  u32 i = 0;
  Vector out(model.dimension);
  for (const auto& [id, row] : model.rows) {
    EXPECT(id_of(store, slots[i++]) == id);
    EXPECT(get_int(store, id, out.data()) == kOk);
    EXPECT(__builtin_memcmp(out.data(), row.data(), row.size() * 4) == 0);
  }
}

void random_operations(Metric metric, IndexKind index) {
  static VectorStore store;
  const u32 dimension = 13;
  create_space(store, dimension, metric, index);
  VectorModel model{dimension, metric, {}};
  Random random(metric * 10 + index);
  const Vector pool = clustered(600, dimension, 8, 5);
  for (u32 step = 0; step < 1500; step++) {
    const i64 id = static_cast<i64>(random.below(200)) - 100;
    const f32* vector = row_of(pool, random.below(600), dimension);
    const u32 kind = random.below(10);
    if (kind < 6) {
      EXPECT(insert_one(store, id, vector) == kOk);
      model.rows[id].assign(vector, vector + dimension);
    } else if (kind < 9) {
      EXPECT(remove_int(store, id) == (model.rows.erase(id) ? kOk : kNotFound));
    } else {
      EXPECT(store.link(random.below(30)) == kOk);
    }
    if (step % 100 == 99) {
      expect_model(store, model);
      EXPECT(store.open(true) == kOk);
      // Few vectors are searched exactly, whatever the index.
      if (!model.rows.empty()) EXPECT(recall(model, vector, search(store, vector, 10, 64), 10) == 1);
    }
  }
}

TEST(space_random, "random inserts, replacements and deletes match a sorted model") {
  for (const Metric metric : {kL2sq, kIp, kCosine}) {
    random_operations(metric, kFlat);
    random_operations(metric, kHnsw);
  }
}

TEST(space_order, "hits that tie come by id, also at the k boundary") {
  static VectorStore store;
  create_space(store, 2, kL2sq, kFlat);
  const f32 near[2] = {1, 0}, far[2] = {2, 0}, query[2] = {0, 0};
  for (const i64 id : {5ll, -7ll, 3ll, -1ll, 9ll}) EXPECT(insert_one(store, id, near) == kOk);
  EXPECT(insert_one(store, -100, far) == kOk);
  const std::vector<Answer> three = search(store, query, 3, 0);
  EXPECT((three == std::vector<Answer>{{-7, 1}, {-1, 1}, {3, 1}}));
  const std::vector<Answer> all = search(store, query, 100, 0);
  EXPECT(all.size() == 6 && all[4].id == 9 && all[5] == (Answer{-100, 4}));
  EXPECT(search(store, query, 0, 0).empty());
}

TEST(space_range, "a range is strictly below its radius, nearest first, and limited") {
  static VectorStore store;
  create_space(store, 1, kL2sq, kHnsw);
  for (i32 i = 0; i < 20; i++) {
    const f32 value = static_cast<f32>(i);
    EXPECT(insert_one(store, i, &value) == kOk);
  }
  const f32 query = 0;
  const Hit* hits = nullptr;
  u32 found = 0;
  const auto range = [&](f32 radius, u32 limit) {
    EXPECT(store.range(raw(&query), radius, limit, hits, found) == kOk);
    return answers(store, hits, found);
  };
  EXPECT(range(0, 100).empty());
  EXPECT(range(-1, 100).empty());
  EXPECT((range(4, 100) == std::vector<Answer>{{0, 0}, {1, 1}}));
  EXPECT(range(4.0001f, 100).size() == 3);
  EXPECT(range(std::numeric_limits<f32>::infinity(), 100).size() == 20);
  EXPECT((range(1000, 2) == std::vector<Answer>{{0, 0}, {1, 1}}));
  EXPECT(range(std::numeric_limits<f32>::quiet_NaN(), 5).empty());
}

TEST(space_strings, "string ids are ordered by bytes, kept through replacement, and found") {
  static VectorStore store;
  create_space(store, 3, kCosine, kHnsw, kStringIdKind);
  std::map<std::string, Vector> model;
  Random random(4);
  for (u32 i = 0; i < 600; i++) {
    std::string id = i % 50 == 0 ? std::string(kKeyBytesMax - 1 - i, 'x') : std::to_string(random.below(300));
    if (i % 7 == 0) id += '\0';
    const Vector vector = clustered(1, 3, 1, i + 1);
    EXPECT(insert_strings(store, {id}, vector.data()) == kOk);
    model[id] = vector;
    if (i % 5 == 0) {
      const std::string gone = std::to_string(random.below(300));
      EXPECT(store.remove(bytes_of_string(gone)) == (model.erase(gone) ? kOk : kNotFound));
    }
  }
  EXPECT(store.live_count() == model.size());
  EXPECT(store.open(true) == kOk);
  std::vector<u32> slots(model.size());
  EXPECT(store.scan(nullptr, static_cast<u32>(slots.size()), slots.data()) == slots.size());
  u32 i = 0;
  for (const auto& [id, vector] : model) {
    const Bytes stored = Slots::string_at(store.slot(slots[i++]).id);
    EXPECT(std::string(reinterpret_cast<const char*>(stored.data), stored.length) == id);
    f32 out[3];
    EXPECT(store.get(bytes_of_string(id), raw(out)) == kOk);
    EXPECT(__builtin_memcmp(out, vector.data(), sizeof out) == 0);
  }
  const Bytes after = bytes_of_string(std::next(model.begin(), 10)->first);
  u32 next = 0;
  EXPECT(store.scan(&after, 1, &next) == 1 && next == slots[11]);
}

TEST(space_batch, "of an id twice in one batch the last stays") {
  static VectorStore store;
  create_space(store, 1, kL2sq, kFlat);
  const f32 values[4] = {1, 2, 3, 4};
  EXPECT(insert_ints(store, {7, 8, 7, 9}, values) == kOk);
  f32 out;
  EXPECT(store.live_count() == 3 && get_int(store, 7, &out) == kOk && out == 3);
}

TEST(space_bits, "originals come back bit for bit, a zero vector is at distance 1 from everything") {
  static VectorStore store;
  create_space(store, 5, kCosine, kFlat);
  const f32 odd[5] = {-0.0f, 1e-42f, 3.1415927f, 1e30f, -7.0f}, zero[5] = {};
  EXPECT(insert_one(store, 1, odd) == kOk && insert_one(store, 2, zero) == kOk);
  f32 out[5];
  EXPECT(get_int(store, 1, out) == kOk && __builtin_memcmp(out, odd, sizeof out) == 0);
  EXPECT((search(store, zero, 2, 0) == std::vector<Answer>{{1, 1}, {2, 1}}));
  EXPECT(search(store, odd, 2, 0)[1] == (Answer{2, 1}));
}

TEST(space_refused, "a value that is not finite, or an id too long, leaves the space as it was") {
  static VectorStore store;
  create_space(store, 2, kL2sq, kHnsw, kStringIdKind);
  const f32 good[4] = {1, 2, 3, 4}, bad[4] = {1, 2, 3, std::numeric_limits<f32>::quiet_NaN()};
  EXPECT(insert_strings(store, {"a", "b"}, bad) == kInvalid);
  EXPECT(insert_strings(store, {"a", std::string(kKeyBytesMax + 1, 'x')}, good) == kInvalid);
  EXPECT(store.live_count() == 0 && store.slot_count() == 0 && store.pending() == 0);
}

TEST(space_huge, "values that overflow a distance are last, not lost") {
  for (const Metric metric : {kL2sq, kIp, kCosine}) {
    static VectorStore store;
    create_space(store, 4, metric, kHnsw);
    const f32 huge[4] = {3e38f, -3e38f, 3e38f, -3e38f}, other[4] = {3e38f, 3e38f, -3e38f, -3e38f}, small[4] = {1, 1, 1, 1};
    EXPECT(insert_one(store, 1, huge) == kOk && insert_one(store, 2, other) == kOk && insert_one(store, 3, small) == kOk);
    EXPECT(store.link(10) == kOk && store.pending() == 0);
    EXPECT(search(store, huge, 3, 10).size() == 3);
    EXPECT(search(store, small, 3, 10).size() == 3);
    if (metric == kCosine) EXPECT(search(store, huge, 3, 10)[0].id == 1);
  }
}

TEST(space_memory, "an insert that memory is out for changes nothing") {
  static VectorStore store;
  arena_init(24);
  EXPECT(store.create({1024, kL2sq, 0, kIntIds, kHnsw, 8, 64, 0, 0, 0, 1}) == kOk);
  const Vector rows = clustered(500, 1024, 4, 1);
  std::vector<i64> ids(500);
  for (u32 i = 0; i < 500; i++) ids[i] = i;
  Status status = kOk;
  u32 inserted = 0;
  while (status == kOk && inserted < 10000) {
    const u32 before = store.live_count();
    for (i64& id : ids) id += 1000;
    status = insert_ints(store, ids, rows.data());
    if (status == kOk) inserted += 500;
    EXPECT(store.live_count() == (status == kOk ? before + 500 : before));
  }
  EXPECT(status == kOutOfMemory && inserted > 0);
  EXPECT(store.open(true) == kOk && store.live_count() == inserted);
  EXPECT(search(store, rows.data(), 1, 10).size() == 1);
}

}  // namespace
}  // namespace shibumi::test
