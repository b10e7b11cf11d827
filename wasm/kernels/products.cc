#include "products.h"

#include "lanes.h"

namespace shibumi {

void products_2x4_scalar(const f32* q0, const f32* q1, const f32* const* vectors, u32 dimension, f32* out) {
  const f32* queries[2] = {q0, q1};
  for (u32 i = 0; i < 8; i++) {
    f32 sum = 0;
    for (u32 d = 0; d < dimension; d++) sum += load_one(queries[i / 4] + d) * load_one(vectors[i % 4] + d);
    out[i] = sum;
  }
}

void products_2x4_simd128(const f32* q0, const f32* q1, const f32* const* vectors, u32 dimension, f32* out) {
  const f32 *v0 = vectors[0], *v1 = vectors[1], *v2 = vectors[2], *v3 = vectors[3];
  Lanes sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {}, sum4 = {}, sum5 = {}, sum6 = {}, sum7 = {};
  u32 i = 0;
  for (; i + 4 <= dimension; i += 4) {
    const Lanes a = load_lanes(q0 + i), b = load_lanes(q1 + i);
    Lanes v = load_lanes(v0 + i);
    sum0 = multiply_add(a, v, sum0), sum4 = multiply_add(b, v, sum4);
    v = load_lanes(v1 + i);
    sum1 = multiply_add(a, v, sum1), sum5 = multiply_add(b, v, sum5);
    v = load_lanes(v2 + i);
    sum2 = multiply_add(a, v, sum2), sum6 = multiply_add(b, v, sum6);
    v = load_lanes(v3 + i);
    sum3 = multiply_add(a, v, sum3), sum7 = multiply_add(b, v, sum7);
  }
  out[0] = sum_of(sum0), out[1] = sum_of(sum1), out[2] = sum_of(sum2), out[3] = sum_of(sum3);
  out[4] = sum_of(sum4), out[5] = sum_of(sum5), out[6] = sum_of(sum6), out[7] = sum_of(sum7);
  for (; i < dimension; i++) {
    const f32 a = load_one(q0 + i), b = load_one(q1 + i);
    for (u32 v = 0; v < 4; v++) {
      out[v] += a * load_one(vectors[v] + i);
      out[4 + v] += b * load_one(vectors[v] + i);
    }
  }
}

}  // namespace shibumi
