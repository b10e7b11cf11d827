#include "kmeans.h"

namespace shibumi {

namespace {

constexpr u32 kPassesMost = 10;
/// A pass that makes the clusters tighter by less than this share is the last.
constexpr f64 kWorthAPass = 0.002;
/// Seeds are looked for among so many points a centroid.
constexpr u32 kSeedPointsPerCentroid = 24;

}  // namespace

bool KMeans::begin(const Points& points, u32 k, u64 seed) {
  points_ = points;
  k_ = k;
  random_ = SplitMix{seed};
  seeds_ = passes_ = cursor_ = 0;
  seed_points_ = static_cast<u32>(min_of<u64>(points.count, static_cast<u64>(k) * kSeedPointsPerCentroid));
  spread_ = former_spread_ = 0;
  phase_ = Phase::kDone;
  const u64 floats = static_cast<u64>(groups_of(k)) * group_floats(points.width);
  if (floats * sizeof(f64) >= (1ull << 31)) return false;
  if (!groups_.ensure(static_cast<u32>(floats * sizeof(f32)), false) ||
      !biases_.ensure(groups_of(k) * kGroupCentroids * sizeof(f32), false) ||
      !sums_.ensure(static_cast<u32>(static_cast<u64>(k) * points.width * sizeof(f64)), false) ||
      !counts_.ensure(k * sizeof(u32), false) || !apart_.ensure(seed_points_ * sizeof(f32), false) ||
      !current_.ensure(points.width * sizeof(f32), false)) {
    return false;
  }
  __builtin_memset(groups_.as<u8>(), 0, floats * sizeof(f32));
  phase_ = Phase::kSeeding;
  place_seed(random_.below(seed_points_));
  return true;
}

void KMeans::end() {
  TransientBuffer* const buffers[] = {&groups_, &biases_, &sums_, &counts_, &apart_, &current_};
  for (TransientBuffer* buffer : buffers) buffer->release();
  phase_ = Phase::kDone;
}

f64 KMeans::work_total() const {
  const f64 product = static_cast<f64>(k_) * points_.width;
  return product * (seed_points_ + static_cast<f64>(kPassesMost) * points_.count);
}

f64 KMeans::work_left() const {
  if (phase_ == Phase::kDone) return 0;
  const f64 width = points_.width, product = width * k_;
  if (phase_ == Phase::kSeeding) {
    return work_total() - width * ((seeds_ - 1.0) * seed_points_ + cursor_);
  }
  return product * (static_cast<f64>(kPassesMost - passes_) * points_.count - cursor_);
}

bool KMeans::step(u64 work) {
  if (phase_ == Phase::kSeeding) {
    const u64 most = max_of<u64>(1, work / points_.width);
    seed_points(static_cast<u32>(min_of<u64>(seed_points_, cursor_ + most)));
    if (cursor_ < seed_points_) return false;
    if (seeds_ < k_) {
      place_seed(pick());
    } else {
      measure_biases();
      phase_ = Phase::kAssigning;
      begin_pass();
    }
    return false;
  }
  if (phase_ == Phase::kDone) return true;
  const u64 most = max_of<u64>(1, work / (static_cast<u64>(points_.width) * k_));
  assign_points(static_cast<u32>(min_of<u64>(points_.count, cursor_ + most)));
  if (cursor_ < points_.count) return false;
  if (end_pass()) {
    phase_ = Phase::kDone;
    return true;
  }
  begin_pass();
  return false;
}

// --- seeding --------------------------------------------------------------------------------------------------------

/// A point, the likelier the farther it is from all seeds: by the square of the distance.
u32 KMeans::pick() {
  const f32* apart = apart_.as<f32>();
  f64 all = 0;
  for (u32 i = 0; i < seed_points_; i++) all += apart[i];
  // No point is apart from the seeds, or a square overflowed: any will do.
  if (!(all > 0 && all < __builtin_inf())) return random_.below(seed_points_);
  f64 left = random_.unit() * all;
  for (u32 i = 0; i < seed_points_; i++) {
    left -= apart[i];
    if (left < 0) return i;
  }
  return seed_points_ - 1;
}

void KMeans::place_seed(u32 point) {
  const auto [values, factor] = points_.at(point);
  f32* current = current_.as<f32>();
  for (u32 i = 0; i < points_.width; i++) {
    current[i] = load_one(values + i) * factor;
    set_component(seeds_, i, current[i]);
  }
  seeds_++;
  cursor_ = 0;
}

void KMeans::seed_points(u32 end) {
  f32* apart = apart_.as<f32>();
  const f32* seed = current_.as<f32>();
  const f32 seed_square = dot_simd128(seed, seed, points_.width);
  for (; cursor_ < end; cursor_++) {
    const auto [values, factor] = points_.at(cursor_);
    // A vector that still has to be multiplied is then of unit length.
    const f32 distance = factor == 1.0f
                             ? l2sq_simd128(values, seed, points_.width)
                             : max_of(0.0f, 1.0f + seed_square - 2 * factor * dot_simd128(values, seed, points_.width));
    if (seeds_ == 1 || distance < apart[cursor_]) apart[cursor_] = distance;
  }
}

// --- Lloyd's iterations ---------------------------------------------------------------------------------------------

void KMeans::begin_pass() {
  cursor_ = 0;
  spread_ = 0;
  __builtin_memset(counts_.as<u8>(), 0, k_ * sizeof(u32));
  __builtin_memset(sums_.as<u8>(), 0, static_cast<size_t>(k_) * points_.width * sizeof(f64));
}

void KMeans::assign_points(u32 end) {
  const u32 width = points_.width;
  const f32* groups = groups_.as<f32>();
  for (; cursor_ < end; cursor_++) {
    const auto [values, factor] = points_.at(cursor_);
    f32 distance;
    const u32 centroid = nearest_centroid(
        values, factor, width, [=](u32 g) { return groups + static_cast<size_t>(g) * group_floats(width); },
        groups_of(k_), biases_.as<f32>(), distance);
    counts_.as<u32>()[centroid]++;
    f64* sum = sums_.as<f64>() + static_cast<size_t>(centroid) * width;
    for (u32 i = 0; i < width; i++) sum[i] += static_cast<f64>(load_one(values + i)) * factor;
    spread_ += static_cast<f64>(factor) * factor * dot_simd128(values, values, width) + distance;
  }
}

/// Moves the centroids to the means of their points. True when that was the last pass.
bool KMeans::end_pass() {
  const u32 width = points_.width;
  const u32* counts = counts_.as<u32>();
  for (u32 c = 0; c < k_; c++) {
    if (counts[c] == 0) continue;
    const f64* sum = sums_.as<f64>() + static_cast<size_t>(c) * width;
    for (u32 i = 0; i < width; i++) set_component(c, i, static_cast<f32>(sum[i] / counts[c]));
  }
  bool split = false;
  for (u32 c = 0; c < k_; c++) {
    if (counts[c] == 0) split_into(c), split = true;
  }
  measure_biases();
  passes_++;
  const bool slow = passes_ > 1 && !(former_spread_ - spread_ > kWorthAPass * former_spread_);
  former_spread_ = spread_;
  return passes_ == kPassesMost || (slow && !split);
}

/// Gives a centroid without points half of the largest cluster: both become that one's centre, moved a little apart.
void KMeans::split_into(u32 empty) {
  constexpr f32 kApart = 1.0f / 1024;
  u32* counts = counts_.as<u32>();
  u32 largest = 0;
  for (u32 c = 1; c < k_; c++) {
    if (counts[c] > counts[largest]) largest = c;
  }
  const u32 width = points_.width;
  const f32* group = groups_.as<f32>() + static_cast<size_t>(largest / kGroupCentroids) * group_floats(width);
  for (u32 i = 0; i < width; i++) {
    const f32 value = group[i * kGroupCentroids + largest % kGroupCentroids];
    const f32 moved = (i % 2 == 0 ? kApart : -kApart) * value;
    set_component(empty, i, value + moved);
    set_component(largest, i, value - moved);
  }
  counts[empty] = counts[largest] / 2;
  counts[largest] -= counts[empty];
}

void KMeans::set_component(u32 centroid, u32 i, f32 value) {
  f32* group = groups_.as<f32>() + static_cast<size_t>(centroid / kGroupCentroids) * group_floats(points_.width);
  group[i * kGroupCentroids + centroid % kGroupCentroids] = value;
}

void KMeans::measure_biases() {
  for (u32 g = 0; g < groups_of(k_); g++) {
    group_biases(groups_.as<f32>() + static_cast<size_t>(g) * group_floats(points_.width), points_.width,
                 k_ - g * kGroupCentroids, biases_.as<f32>() + g * kGroupCentroids);
  }
}

}  // namespace shibumi
