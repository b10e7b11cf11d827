// k-means, posting lists and the product quantizer by themselves: right answers, any width, data without structure, and
// training in slices of any size.
#include <array>
#include <cmath>
#include <set>

#include "../index/posting_lists.h"
#include "../index/training.h"
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

TEST(centroid_kernels, "the products with a group of centroids agree with their reference at every width") {
  Random random(61);
  for (u32 width = 1; width <= 70; width++) {
    Vector vector(width), group(group_floats(width));
    for (f32& value : vector) value = normal(random);
    for (f32& value : group) value = normal(random);
    f32 scalar[kGroupCentroids], simd[kGroupCentroids], biases[kGroupCentroids];
    group_dots_scalar(vector.data(), group.data(), width, scalar);
    group_dots_simd128(vector.data(), group.data(), width, simd);
    for (u32 i = 0; i < kGroupCentroids; i++) EXPECT(std::fabs(scalar[i] - simd[i]) <= 1e-5 * (1 + width));
    const u32 count = 1 + width % kGroupCentroids;
    group_biases(group.data(), width, count, biases);
    f32 distance;
    const u32 found = nearest_centroid(vector.data(), 0.5f, width, [&](u32) { return group.data(); }, 1, biases, distance);
    u32 best = 0;
    const auto apart = [&](u32 c) { return biases[c] - scalar[c]; };
    for (u32 c = 1; c < count; c++) best = apart(c) < apart(best) ? c : best;
    EXPECT(found < count && std::fabs(apart(found) - apart(best)) <= 1e-5 * (1 + width));
    EXPECT(std::fabs(distance - apart(best)) <= 1e-5 * (1 + width));
  }
}

Points packed(const Vector& rows, u32 width) {
  Points points;
  points.packed = rows.data();
  points.count = static_cast<u32>(rows.size() / width);
  points.width = width;
  return points;
}

f64 spread(const KMeans& kmeans, const Points& points, u32 k) {
  f64 sum = 0;
  for (u32 i = 0; i < points.count; i++) {
    const f32* values = points.at(i).values;
    f32 distance;
    const u32 c = nearest_centroid(
        values, 1, points.width, [&](u32 g) { return kmeans.groups() + g * group_floats(points.width); }, groups_of(k),
        kmeans.biases(), distance);
    EXPECT(c < k);
    sum += static_cast<f64>(dot_simd128(values, values, points.width)) + distance;
  }
  return sum / points.count;
}

TEST(kmeans_clusters, "k-means finds the clusters there are, in slices of any size, always the same ones") {
  arena_init(1u << 12);
  static KMeans kmeans;
  kmeans = KMeans{};
  for (const u32 width : {1u, 3u, 16u, 61u}) {
    const Vector rows = clustered(2000, width, 20, width);
    std::vector<f64> spreads;
    std::vector<f32> first;
    for (const u64 work : {1ull, 1000ull, 100000000ull}) {
      EXPECT(kmeans.begin(packed(rows, width), 20, 7));
      f64 left = kmeans.work_left();
      EXPECT(left > 0 && left <= kmeans.work_total());
      while (!kmeans.step(work)) {
        EXPECT(kmeans.work_left() <= left + 1e-3);
        left = kmeans.work_left();
      }
      EXPECT(kmeans.work_left() == 0);
      spreads.push_back(spread(kmeans, packed(rows, width), 20));
      std::vector<f32> groups(kmeans.groups(), kmeans.groups() + groups_of(20) * group_floats(width));
      if (first.empty()) first = groups;
      EXPECT(first == groups);
    }
    // The spread within the clusters that were made is 0.25 a component; twice that is two clusters taken for one here and
    // there.
    EXPECT(spreads[0] == spreads[2] && spreads[0] < 0.5 * width);
  }
  kmeans.end();
}

TEST(kmeans_edges, "k-means of equal, few, zero, huge or tiny points ends and names existing centroids") {
  arena_init(1u << 12);
  static KMeans kmeans;
  kmeans = KMeans{};
  for (const f32 value : {0.0f, 1.0f, 1e-40f, 3e37f, 3e38f}) {
    for (const u32 count : {1u, 5u, 100u}) {
      const u32 width = 4, k = 33;
      Vector rows(count * width, value);
      if (count == 100) rows[width] = -value;
      EXPECT(kmeans.begin(packed(rows, width), k, 1));
      u32 steps = 0;
      while (!kmeans.step(10)) EXPECT(++steps < 1000000);
      f32 distance;
      for (u32 i = 0; i < count; i++) {
        EXPECT(nearest_centroid(
                   &rows[i * width], 1, width, [&](u32 g) { return kmeans.groups() + g * group_floats(width); },
                   groups_of(k), kmeans.biases(), distance) < k);
      }
      if (value < 1e30f) EXPECT(spread(kmeans, packed(rows, width), k) <= 1e-4 * value * value);
    }
  }
  kmeans.end();
}

TEST(posting_lists, "posting lists agree with sets over random additions and removals, and give chunks back") {
  arena_init(1u << 12);
  static PostingLists lists;
  lists = PostingLists{};
  constexpr u32 kLists = 7, kSlots = 3000;
  EXPECT(lists.start(kLists));
  std::vector<std::set<u32>> model(kLists);
  std::vector<i32> where(kSlots, -1);
  Random random(62);
  const auto compare = [&] {
    for (u32 list = 0; list < kLists; list++) {
      std::set<u32> seen;
      lists.each_chunk(list, [&](const u32* slots, u32 count) {
        EXPECT(count > 0 && count <= PostingLists::kChunkSlots);
        for (u32 i = 0; i < count; i++) EXPECT(seen.insert(slots[i]).second);
      });
      EXPECT(seen == model[list] && lists.size(list) == seen.size());
    }
  };
  for (u32 turn = 0; turn < 60000; turn++) {
    const u32 slot = random.below(kSlots);
    if (where[slot] >= 0) {
      lists.remove(static_cast<u32>(where[slot]), slot);
      model[static_cast<u32>(where[slot])].erase(slot);
      where[slot] = -1;
    } else {
      const u32 list = random.below(3) == 0 ? random.below(kLists) : 0;
      EXPECT(lists.reserve(1, kSlots));
      lists.add(list, slot);
      model[list].insert(slot);
      where[slot] = static_cast<i32>(list);
    }
    if (turn % 5000 == 0) compare();
  }
  compare();
}

/// A trained quantizer over a space of its own.
struct Trained {
  VectorStore store;
  Rows rows;
  Slots slots;
  Quantizer quantizer;
  Training training;
};

void train(Trained& t, const Vector& base, u32 dimension, Metric metric, u32 list_count, u32 subspaces) {
  create_space(t.store, dimension, metric, kFlat);
  const u32 count = static_cast<u32>(base.size()) / dimension;
  std::vector<i64> ids(count);
  for (u32 i = 0; i < count; i++) ids[i] = i;
  EXPECT(insert_ints(t.store, ids, base.data()) == kOk);
  t.rows.define(dimension, metric, 0);
  t.slots.define(kIntIds);
  EXPECT(t.slots.mark_bytes.ensure(count, false));
  for (u32 i = 0; i < count; i++) t.slots.marks()[i] = kLiveMark;
  t.quantizer.define({list_count, subspaces, 42}, &t.rows);
  t.training.define(&t.quantizer, &t.rows, &t.slots);
  EXPECT(t.quantizer.open() == kOk && !t.quantizer.trained());
  EXPECT(t.training.points_needed() <= count);
  f64 left = t.training.work_left(count);
  while (!t.quantizer.trained()) {
    EXPECT(t.training.step(count, count, 1 << 20) == kOk);
    EXPECT(t.training.work_left(count) <= left * 1.0001 + 1);
    left = t.training.work_left(count);
  }
}

TEST(quantizer_codes, "a code's distance is that of the vector it stands for, for every metric and number of subspaces") {
  static Trained t;
  struct Shape {
    Metric metric;
    u32 dimension, lists, subspaces;
  };
  for (const auto& [metric, dimension, lists, subspaces] :
       {Shape{kL2sq, 8, 1, 3}, {kL2sq, 9, 4, 9}, {kIp, 5, 3, 1}, {kIp, 8, 2, 8}, {kCosine, 24, 16, 8}}) {
    const Vector base = clustered(10000, dimension, 30, 63);
    train(t, base, dimension, metric, lists, subspaces);
    EXPECT(t.quantizer.open() == kOk && t.quantizer.trained() && t.quantizer.trained_on() >= 9984);
    Vector tables(subspaces * kCodewords), order(lists), bases(lists), residual(dimension);
    std::vector<u8> record(t.quantizer.code_bytes());
    const Vector queries = clustered(20, dimension, 30, 64);
    f64 error = 0, apart = 0;
    for (u32 q = 0; q < 20; q++) {
      Vector query(row_of(queries, q, dimension), row_of(queries, q, dimension) + dimension);
      if (metric == kCosine) {
        const f32 inverse = inverse_norm(query.data(), dimension);
        for (f32& value : query) value *= inverse;
      }
      const Probe probe{query.data(), 1};
      t.quantizer.measure_lists(probe, order.data(), bases.data());
      t.quantizer.make_tables(probe, tables.data());
      for (u32 slot = q; slot < 10000; slot += 500) {
        const Probe row = t.rows.probe(slot);
        const f32 factor = metric == kCosine ? row.inverse_norm : 1;
        const u32 list = t.quantizer.list_of(row.values, factor);
        EXPECT(list < lists);
        t.quantizer.encode(row.values, factor, list, residual.data(), record.data());
        f32 term;
        __builtin_memcpy(&term, record.data(), 4);
        f64 coded = bases[list] + (metric == kL2sq ? term : 0);
        for (u32 j = 0; j < subspaces; j++) coded += tables[j * kCodewords + record[4 + j]];
        const f64 exact = t.rows.distance(probe, row.values);
        error += std::fabs(coded - exact), apart += std::fabs(exact);
      }
    }
    // One byte for five components is coarse, one byte a component is not.
    EXPECT(error < (subspaces == dimension ? 0.02 : 0.35) * apart);
  }
}

}  // namespace
}  // namespace shibumi::test
