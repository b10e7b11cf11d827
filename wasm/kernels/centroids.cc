#include "centroids.h"

namespace shibumi {

void group_dots_scalar(const f32* vector, const f32* group, u32 width, f32* out) {
  for (u32 c = 0; c < kGroupCentroids; c++) {
    f32 sum = 0;
    for (u32 i = 0; i < width; i++) sum += load_one(vector + i) * group[i * kGroupCentroids + c];
    out[c] = sum;
  }
}

// Two components at a time: eight sums, so that no addition waits for the one before it.
void group_dots_simd128(const f32* vector, const f32* group, u32 width, f32* out) {
  Lanes a0 = {}, a1 = {}, a2 = {}, a3 = {}, b0 = {}, b1 = {}, b2 = {}, b3 = {};
  u32 i = 0;
  for (; i + 2 <= width; i += 2, group += 2 * kGroupCentroids) {
    const Lanes x = splat(load_one(vector + i)), y = splat(load_one(vector + i + 1));
    a0 = multiply_add(x, load_lanes(group), a0);
    a1 = multiply_add(x, load_lanes(group + 4), a1);
    a2 = multiply_add(x, load_lanes(group + 8), a2);
    a3 = multiply_add(x, load_lanes(group + 12), a3);
    b0 = multiply_add(y, load_lanes(group + 16), b0);
    b1 = multiply_add(y, load_lanes(group + 20), b1);
    b2 = multiply_add(y, load_lanes(group + 24), b2);
    b3 = multiply_add(y, load_lanes(group + 28), b3);
  }
  if (i < width) {
    const Lanes x = splat(load_one(vector + i));
    a0 = multiply_add(x, load_lanes(group), a0);
    a1 = multiply_add(x, load_lanes(group + 4), a1);
    a2 = multiply_add(x, load_lanes(group + 8), a2);
    a3 = multiply_add(x, load_lanes(group + 12), a3);
  }
  const Lanes sums[4] = {a0 + b0, a1 + b1, a2 + b2, a3 + b3};
  __builtin_memcpy(out, sums, sizeof sums);
}

void group_biases(const f32* group, u32 width, u32 count, f32* out) {
  for (u32 c = 0; c < kGroupCentroids; c++) {
    f32 sum = 0;
    for (u32 i = 0; i < width; i++) sum += group[i * kGroupCentroids + c] * group[i * kGroupCentroids + c];
    out[c] = c < count ? sum : __builtin_inff();
  }
}

void NearestCentroid::offer(const f32* dots, const f32* biases, f32 factor, u32 first) {
  const Lanes times = splat(-2 * factor);
  for (u32 i = 0; i < kGroupCentroids; i += 4) {
    const Lanes distance = multiply_add(times, load_lanes(dots + i), load_lanes(biases + i));
    const auto nearer = distance < best_;
    const i32 number = static_cast<i32>(first + i);
    const IntLanes numbers = {number, number + 1, number + 2, number + 3};
    best_ = choose(nearer, distance, best_);
    at_ = reinterpret_cast<IntLanes>(choose(nearer, reinterpret_cast<Lanes>(numbers), reinterpret_cast<Lanes>(at_)));
  }
}

u32 NearestCentroid::finish(f32& distance) const {
  u32 lane = 0;
  for (u32 i = 1; i < 4; i++) {
    if (best_[i] < best_[lane] || (best_[i] == best_[lane] && at_[i] < at_[lane])) lane = i;
  }
  distance = best_[lane];
  return static_cast<u32>(at_[lane]);
}

}  // namespace shibumi
