// k-means in slices: seeding by k-means++ (Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007),
// then Lloyd's iterations. One run after another may use the same object; its memory is transient.
//
// Nothing here takes longer than it is told to: `step` does a given amount of work and goes on where it stopped. The same
// points, seed and build give the same centroids. Points are read where they lie; those that change meanwhile (a slot that
// is given to another vector) count as whatever they are when they are read.
//
// Data without k different points, even a single one, is no special case: centroids then coincide, and the lowest number
// is the nearest.
#pragma once

#include "../core/random.h"
#include "../kernels/centroids.h"
#include "../vector/rows.h"

namespace shibumi {

/// What is clustered: originals at some slots (for cosine at unit length), or vectors packed one after another.
struct Points {
  const Rows* rows = nullptr;
  const u32* slots = nullptr;
  const f32* packed = nullptr;
  u32 count = 0;
  u32 width = 0;

  struct Point {
    const f32* values;
    f32 factor;
  };
  Point at(u32 i) const {
    if (rows == nullptr) return {packed + static_cast<size_t>(i) * width, 1.0f};
    const Probe probe = rows->probe(slots[i]);
    return {probe.values, rows->metric == kCosine ? probe.inverse_norm : 1.0f};
  }
};

class KMeans {
 public:
  /// Readies a run for k centroids. Requires: at least one point. False when memory is out.
  bool begin(const Points& points, u32 k, u64 seed);
  /// Works through about `work` multiplications, at least a point. True when the run has ended.
  bool step(u64 work);

  /// Multiplications of the run at most, and those left.
  f64 work_total() const;
  f64 work_left() const;

  /// Of an ended run: groups one after another (kernels/centroids.h) and |c|^2 of each centroid in them.
  const f32* groups() const { return groups_.as<f32>(); }
  const f32* biases() const { return biases_.as<f32>(); }

  /// Gives the memory back.
  void end();

 private:
  enum class Phase { kSeeding, kAssigning, kDone };

  u32 pick();
  void place_seed(u32 point);
  void seed_points(u32 end);
  void assign_points(u32 end);
  void begin_pass();
  bool end_pass();
  void set_component(u32 centroid, u32 i, f32 value);
  void split_into(u32 empty);
  void measure_biases();

  Points points_;
  u32 k_ = 0;
  SplitMix random_{0};
  Phase phase_ = Phase::kDone;
  u32 seeds_ = 0;    // seeds placed
  u32 passes_ = 0;   // of Lloyd's
  u32 cursor_ = 0;   // points done in this round
  u32 seed_points_ = 0;
  f64 spread_ = 0, former_spread_ = 0;

  TransientBuffer groups_, biases_;
  TransientBuffer sums_;     // f64[k][width]
  TransientBuffer counts_;   // u32[k]
  TransientBuffer apart_;    // f32[seed_points_]: squared distance to the nearest seed
  TransientBuffer current_;  // f32[width]: the last seed
};

}  // namespace shibumi
