// The twins that run: four lanes wide, several accumulators so that no addition waits for the one before it.
#include "distance.h"
#include "lanes.h"

namespace shibumi {

f32 l2sq_simd128(const f32* a, const f32* b, u32 dimension) {
  Lanes sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {};
  u32 i = 0;
  for (; i + 16 <= dimension; i += 16) {
    const Lanes d0 = load_lanes(a + i) - load_lanes(b + i);
    const Lanes d1 = load_lanes(a + i + 4) - load_lanes(b + i + 4);
    const Lanes d2 = load_lanes(a + i + 8) - load_lanes(b + i + 8);
    const Lanes d3 = load_lanes(a + i + 12) - load_lanes(b + i + 12);
    sum0 = multiply_add(d0, d0, sum0);
    sum1 = multiply_add(d1, d1, sum1);
    sum2 = multiply_add(d2, d2, sum2);
    sum3 = multiply_add(d3, d3, sum3);
  }
  for (; i + 4 <= dimension; i += 4) {
    const Lanes d = load_lanes(a + i) - load_lanes(b + i);
    sum0 = multiply_add(d, d, sum0);
  }
  f32 sum = sum_of((sum0 + sum1) + (sum2 + sum3));
  for (; i < dimension; i++) {
    const f32 d = load_one(a + i) - load_one(b + i);
    sum += d * d;
  }
  return sum;
}

f32 dot_simd128(const f32* a, const f32* b, u32 dimension) {
  Lanes sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {};
  u32 i = 0;
  for (; i + 16 <= dimension; i += 16) {
    sum0 = multiply_add(load_lanes(a + i), load_lanes(b + i), sum0);
    sum1 = multiply_add(load_lanes(a + i + 4), load_lanes(b + i + 4), sum1);
    sum2 = multiply_add(load_lanes(a + i + 8), load_lanes(b + i + 8), sum2);
    sum3 = multiply_add(load_lanes(a + i + 12), load_lanes(b + i + 12), sum3);
  }
  for (; i + 4 <= dimension; i += 4) sum0 = multiply_add(load_lanes(a + i), load_lanes(b + i), sum0);
  f32 sum = sum_of((sum0 + sum1) + (sum2 + sum3));
  for (; i < dimension; i++) sum += load_one(a + i) * load_one(b + i);
  return sum;
}

void l2sq_x4_simd128(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                     f32* out) {
  Lanes sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {}, sum4 = {}, sum5 = {}, sum6 = {}, sum7 = {};
  u32 i = 0;
  for (; i + 8 <= dimension; i += 8) {
    const Lanes qa = load_lanes(query + i), qb = load_lanes(query + i + 4);
    const Lanes a0 = qa - load_lanes(v0 + i), b0 = qb - load_lanes(v0 + i + 4);
    const Lanes a1 = qa - load_lanes(v1 + i), b1 = qb - load_lanes(v1 + i + 4);
    const Lanes a2 = qa - load_lanes(v2 + i), b2 = qb - load_lanes(v2 + i + 4);
    const Lanes a3 = qa - load_lanes(v3 + i), b3 = qb - load_lanes(v3 + i + 4);
    sum0 = multiply_add(a0, a0, sum0), sum4 = multiply_add(b0, b0, sum4);
    sum1 = multiply_add(a1, a1, sum1), sum5 = multiply_add(b1, b1, sum5);
    sum2 = multiply_add(a2, a2, sum2), sum6 = multiply_add(b2, b2, sum6);
    sum3 = multiply_add(a3, a3, sum3), sum7 = multiply_add(b3, b3, sum7);
  }
  f32 s0 = sum_of(sum0 + sum4), s1 = sum_of(sum1 + sum5), s2 = sum_of(sum2 + sum6), s3 = sum_of(sum3 + sum7);
  for (; i < dimension; i++) {
    const f32 q = load_one(query + i);
    const f32 d0 = q - load_one(v0 + i), d1 = q - load_one(v1 + i);
    const f32 d2 = q - load_one(v2 + i), d3 = q - load_one(v3 + i);
    s0 += d0 * d0, s1 += d1 * d1, s2 += d2 * d2, s3 += d3 * d3;
  }
  out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

void dot_x4_simd128(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                    f32* out) {
  Lanes sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {}, sum4 = {}, sum5 = {}, sum6 = {}, sum7 = {};
  u32 i = 0;
  for (; i + 8 <= dimension; i += 8) {
    const Lanes qa = load_lanes(query + i), qb = load_lanes(query + i + 4);
    sum0 = multiply_add(qa, load_lanes(v0 + i), sum0), sum4 = multiply_add(qb, load_lanes(v0 + i + 4), sum4);
    sum1 = multiply_add(qa, load_lanes(v1 + i), sum1), sum5 = multiply_add(qb, load_lanes(v1 + i + 4), sum5);
    sum2 = multiply_add(qa, load_lanes(v2 + i), sum2), sum6 = multiply_add(qb, load_lanes(v2 + i + 4), sum6);
    sum3 = multiply_add(qa, load_lanes(v3 + i), sum3), sum7 = multiply_add(qb, load_lanes(v3 + i + 4), sum7);
  }
  f32 s0 = sum_of(sum0 + sum4), s1 = sum_of(sum1 + sum5), s2 = sum_of(sum2 + sum6), s3 = sum_of(sum3 + sum7);
  for (; i < dimension; i++) {
    const f32 q = load_one(query + i);
    s0 += q * load_one(v0 + i), s1 += q * load_one(v1 + i);
    s2 += q * load_one(v2 + i), s3 += q * load_one(v3 + i);
  }
  out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

namespace {

const f32* step(const f32* vector, u32 bytes) {
  return reinterpret_cast<const f32*>(reinterpret_cast<const u8*>(vector) + bytes);
}

}  // namespace

// Row after row, not four at a time: one stream front to back is what the machine fetches ahead for. At 20k x 384,
// past the caches, 64 ns a vector against 177 with four rows in one pass.
void l2sq_scan(const f32* query, const f32* first, u32 stride, u32 count, u32 dimension, f32* out) {
  for (u32 i = 0; i < count; i++, first = step(first, stride)) out[i] = l2sq_simd128(query, first, dimension);
}

void dot_scan(const f32* query, const f32* first, u32 stride, u32 count, u32 dimension, f32* out) {
  for (u32 i = 0; i < count; i++, first = step(first, stride)) out[i] = dot_simd128(query, first, dimension);
}

f32 inverse_norm(const f32* vector, u32 dimension) {
  f64 sum0 = 0, sum1 = 0;
  u32 i = 0;
  for (; i + 2 <= dimension; i += 2) {
    const f64 a = load_one(vector + i), b = load_one(vector + i + 1);
    sum0 += a * a;
    sum1 += b * b;
  }
  if (i < dimension) {
    const f64 a = load_one(vector + i);
    sum0 += a * a;
  }
  const f64 sum = sum0 + sum1;
  if (sum == 0) return 0;
  const f64 inverse = 1.0 / __builtin_sqrt(sum);
  return static_cast<f32>(inverse > 3.4028234663852886e38 ? 3.4028234663852886e38 : inverse);
}

bool all_finite(const f32* values, u32 count) {
  const u32 exponent = 0x7f800000u;
  u32 bad = 0;
  for (u32 i = 0; i < count; i++) {
    u32 bits;
    __builtin_memcpy(&bits, values + i, sizeof bits);
    bad |= (bits & exponent) == exponent;
  }
  return bad == 0;
}

}  // namespace shibumi
