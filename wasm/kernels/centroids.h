// One vector against many centroids. Centroids lie in groups of 16, component after component: f32[width][16]. So four
// lanes hold the same component of four centroids, the vector's component is spread over them, and nothing is ever summed
// across lanes, which for the short vectors of a product quantizer would cost more than the products.
//
// A group's missing centroids and a vector's missing components are zeros.
#pragma once

#include "lanes.h"
#include "lanes_math.h"

namespace shibumi {

constexpr u32 kGroupCentroids = 16;

inline u32 groups_of(u32 count) { return (count + kGroupCentroids - 1) / kGroupCentroids; }
/// f32s of one group.
inline u32 group_floats(u32 width) { return kGroupCentroids * width; }

/// out[i] = vector . centroid i of the group.
void group_dots_scalar(const f32* vector, const f32* group, u32 width, f32* out);
void group_dots_simd128(const f32* vector, const f32* group, u32 width, f32* out);

/// |c|^2 of the group's first `count` centroids, infinity for the others.
void group_biases(const f32* group, u32 width, u32 count, f32* out);

/// The nearest of many centroids by |c|^2 - 2 c . x, lane by lane; ties go to the lower number.
class NearestCentroid {
 public:
  /// The centroids from number `first` on, `biases` their |c|^2 (infinite where there is none). `dots` as group_dots gave
  /// them, for a vector that still has to be multiplied by `factor`.
  void offer(const f32* dots, const f32* biases, f32 factor, u32 first);
  /// The nearest one's number; 0 when no distance was a number.
  u32 finish(f32& distance) const;

 private:
  Lanes best_ = splat(__builtin_inff());
  IntLanes at_ = {};
};

/// Over `count` groups: group(g) gives each one's f32s.
template <class Groups>
u32 nearest_centroid(const f32* vector, f32 factor, u32 width, Groups group, u32 count, const f32* biases, f32& distance) {
  NearestCentroid nearest;
  f32 dots[kGroupCentroids];
  for (u32 g = 0; g < count; g++) {
    group_dots_simd128(vector, group(g), width, dots);
    nearest.offer(dots, biases + g * kGroupCentroids, factor, g * kGroupCentroids);
  }
  return nearest.finish(distance);
}

}  // namespace shibumi
