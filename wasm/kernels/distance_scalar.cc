// The scalar references: what the words mean, one line of arithmetic each. Nothing calls them but tests.
#include "distance.h"
#include "lanes.h"

namespace shibumi {

f32 l2sq_scalar(const f32* a, const f32* b, u32 dimension) {
  f32 sum = 0;
  for (u32 i = 0; i < dimension; i++) {
    const f32 difference = load_one(a + i) - load_one(b + i);
    sum += difference * difference;
  }
  return sum;
}

f32 dot_scalar(const f32* a, const f32* b, u32 dimension) {
  f32 sum = 0;
  for (u32 i = 0; i < dimension; i++) sum += load_one(a + i) * load_one(b + i);
  return sum;
}

void l2sq_x4_scalar(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                    f32* out) {
  const f32* vectors[4] = {v0, v1, v2, v3};
  for (u32 v = 0; v < 4; v++) out[v] = l2sq_scalar(query, vectors[v], dimension);
}

void dot_x4_scalar(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                   f32* out) {
  const f32* vectors[4] = {v0, v1, v2, v3};
  for (u32 v = 0; v < 4; v++) out[v] = dot_scalar(query, vectors[v], dimension);
}

}  // namespace shibumi
