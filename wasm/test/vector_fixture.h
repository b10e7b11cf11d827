// What the vector tests share: generated vectors, a sorted model to compare a space with, and a host that keeps blocks
// outside the arena.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "../vector/vector_store.h"
#include "check.h"

namespace shibumi::test {

using Vector = std::vector<f32>;

inline f32 unit(Random& random) { return static_cast<f32>(random.next() >> 40) / 16777216.0f; }
/// About normal: the sum of four uniforms, centred.
inline f32 normal(Random& random) {
  return (unit(random) + unit(random) + unit(random) + unit(random) - 2.0f) * 1.7320508f;
}

/// Points around `clusters` centres, as real embeddings lie.
inline Vector clustered(u32 count, u32 dimension, u32 clusters, u64 seed) {
  Random random(seed);
  Vector centres(clusters * dimension), out(static_cast<size_t>(count) * dimension);
  for (f32& value : centres) value = normal(random);
  for (u32 i = 0; i < count; i++) {
    const f32* centre = &centres[random.below(clusters) * dimension];
    for (u32 j = 0; j < dimension; j++) out[i * dimension + j] = centre[j] + 0.5f * normal(random);
  }
  return out;
}

inline const f32* row_of(const Vector& rows, u32 i, u32 dimension) { return &rows[static_cast<size_t>(i) * dimension]; }

/// An empty space in a fresh arena.
inline void create_space(VectorStore& store, u32 dimension, Metric metric, IndexKind index, IdKind ids = kIntIds,
                         u32 M = 8, CodeKind codes = kNoCodes, u32 list_count = 0, u32 subspaces = 0) {
  arena_init(1u << 13);
  EXPECT(store.create({dimension, metric, 0, ids, index, M, 64, codes, list_count, subspaces, 42}) == kOk);
}

/// Vectors as the border passes them.
inline const u8* raw(const f32* vectors) { return reinterpret_cast<const u8*>(vectors); }
inline u8* raw(f32* out) { return reinterpret_cast<u8*>(out); }

inline Status insert_ints(VectorStore& store, const std::vector<i64>& ids, const f32* vectors) {
  IdBatch batch;
  batch.ints = ids.data();
  return store.insert(batch, raw(vectors), static_cast<u32>(ids.size()));
}
inline Status insert_one(VectorStore& store, i64 id, const f32* vector) { return insert_ints(store, {id}, vector); }

inline Status insert_strings(VectorStore& store, const std::vector<std::string>& ids, const f32* vectors) {
  std::vector<u32> ends;
  std::string bytes;
  for (const std::string& id : ids) bytes += id, ends.push_back(static_cast<u32>(bytes.size()));
  IdBatch batch;
  batch.string_ends = ends.data();
  batch.string_bytes = reinterpret_cast<const u8*>(bytes.data());
  return store.insert(batch, raw(vectors), static_cast<u32>(ids.size()));
}

inline Status remove_int(VectorStore& store, i64 id) {
  u8 key[8];
  int_key(id, key);
  return store.remove({key, 8});
}
inline Status get_int(const VectorStore& store, i64 id, f32* out) {
  u8 key[8];
  int_key(id, key);
  return store.get({key, 8}, raw(out));
}
inline Bytes bytes_of_string(const std::string& s) {
  return {reinterpret_cast<const u8*>(s.data()), static_cast<u32>(s.size())};
}

inline i64 id_of(const VectorStore& store, u32 slot) { return static_cast<i64>(store.slot(slot).id); }

struct Answer {
  i64 id;
  f32 distance;
  bool operator==(const Answer&) const = default;
};

inline std::vector<Answer> answers(const VectorStore& store, const Hit* hits, u32 found) {
  std::vector<Answer> out;
  for (u32 i = 0; i < found; i++) {
    EXPECT(store.live(hits[i].slot));
    out.push_back({id_of(store, hits[i].slot), hits[i].distance});
  }
  return out;
}
inline std::vector<Answer> search(VectorStore& store, const f32* query, u32 k, u32 ef, u32 rerank = 0,
                                  u32 nprobe = 1) {
  const Hit* hits = nullptr;
  u32 found = 0;
  EXPECT(store.search(raw(query), k, {ef, rerank, nprobe}, hits, found) == kOk);
  return answers(store, hits, found);
}

/// The vectors a space should hold, and brute force over them in f64.
struct VectorModel {
  u32 dimension;
  Metric metric;
  std::map<i64, Vector> rows;

  f64 distance(const f32* a, const Vector& b) const {
    f64 square = 0, dot = 0, norm_a = 0, norm_b = 0;
    for (u32 i = 0; i < dimension; i++) {
      square += (static_cast<f64>(a[i]) - b[i]) * (static_cast<f64>(a[i]) - b[i]);
      dot += static_cast<f64>(a[i]) * b[i];
      norm_a += static_cast<f64>(a[i]) * a[i];
      norm_b += static_cast<f64>(b[i]) * b[i];
    }
    if (metric == kL2sq) return square;
    if (metric == kIp) return -dot;
    return norm_a == 0 || norm_b == 0 ? 1 : 1 - dot / __builtin_sqrt(norm_a * norm_b);
  }
  /// Distances of all, nearest first.
  std::vector<f64> distances(const f32* query) const {
    std::vector<f64> all;
    for (const auto& [id, row] : rows) all.push_back(distance(query, row));
    std::sort(all.begin(), all.end());
    return all;
  }
};

/// Share of the k nearest that `got` holds, counted by distance as ties may come either way.
inline f64 recall(const VectorModel& model, const f32* query, const std::vector<Answer>& got, u32 k) {
  const std::vector<f64> truth = model.distances(query);
  const f64 last = truth[std::min<size_t>(k, truth.size()) - 1];
  u32 right = 0;
  for (const Answer& answer : got) {
    const auto row = model.rows.find(answer.id);
    EXPECT(row != model.rows.end());
    const f64 exact = model.distance(query, row->second);
    EXPECT(__builtin_fabs(exact - answer.distance) <= 1e-3 * (1 + __builtin_fabs(exact)));
    right += exact <= last + 1e-5 * (1 + __builtin_fabs(last));
  }
  return static_cast<f64>(right) / static_cast<f64>(std::min<size_t>(k, truth.size()));
}

/// Recall over generated queries.
inline f64 mean_recall(VectorStore& store, const VectorModel& model, const Vector& queries, u32 k, u32 ef) {
  const u32 count = static_cast<u32>(queries.size()) / model.dimension;
  f64 sum = 0;
  for (u32 i = 0; i < count; i++) {
    const f32* query = row_of(queries, i, model.dimension);
    sum += recall(model, query, search(store, query, k, ef), k);
  }
  return sum / count;
}

/// The blocks of an arena as a host stores them: (segment, index) -> bytes without trailing zeros.
struct StoredImage {
  std::map<std::pair<u32, u32>, std::string> blocks;

  /// Takes a checkpoint of the groups in `mask` (1 << Group).
  void save(u32 mask) {
    const i32 count = checkpoint_begin(mask);
    EXPECT(count >= 0);
    for (u32 i = 0; i < static_cast<u32>(count); i++) {
      const CheckpointEntry entry = checkpoint_entry(i);
      blocks[{entry.segment, entry.index}].assign(at<const char>(entry.address), entry.used_bytes);
      checkpoint_copied(i);
    }
    checkpoint_end(true);
  }
  /// Into a fresh arena.
  void adopt() const {
    arena_init(1u << 13);
    for (const auto& [name, bytes] : blocks) {
      const Addr frame = block_adopt(name.first, name.second);
      EXPECT(frame != 0);
      __builtin_memcpy(at<u8>(frame), bytes.data(), bytes.size());
    }
  }
};

constexpr u32 kPrimaryOnly = 1 << kPrimary, kBothGroups = 1 << kPrimary | 1 << kDerived;

}  // namespace shibumi::test
