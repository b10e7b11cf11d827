// The twins that run. Two sums for one code, one each for four: enough that no addition waits for the one before it.
#include "code_lanes.h"

namespace shibumi {

namespace {

/// `Load` makes the step of the left side that begins at byte i.
template <class Load>
inline i32 dot_one(Load load, const u8* code, u32 bytes) {
  Sums even = no_sums(), odd = no_sums();
  u32 i = 0;
  for (; i + 32 <= bytes; i += 32) {
    even = add_products(load(i), code + i, even);
    odd = add_products(load(i + 16), code + i + 16, odd);
  }
  if (i < bytes) even = add_products(load(i), code + i, even);
  return sum_of_lanes(even) + sum_of_lanes(odd);
}

template <class Load>
inline void dot_four(Load load, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes, i32* out) {
  Sums sum0 = no_sums(), sum1 = no_sums(), sum2 = no_sums(), sum3 = no_sums();
  for (u32 i = 0; i < bytes; i += 16) {
    const QueryStep step = load(i);
    sum0 = add_products(step, c0 + i, sum0);
    sum1 = add_products(step, c1 + i, sum1);
    sum2 = add_products(step, c2 + i, sum2);
    sum3 = add_products(step, c3 + i, sum3);
  }
  store_sums(sum0, sum1, sum2, sum3, out);
}

}  // namespace

i32 code_dot_simd128(const QueryLane* query, const u8* code, u32 bytes) {
  return dot_one([query](u32 i) { return load_query(query + i); }, code, bytes);
}

void code_dot_x4_simd128(const QueryLane* query, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes,
                         i32* out) {
  dot_four([query](u32 i) { return load_query(query + i); }, c0, c1, c2, c3, bytes, out);
}

i32 code_pair_dot_simd128(const u8* a, const u8* b, u32 bytes) {
  return dot_one([a](u32 i) { return load_code_as_query(a + i); }, b, bytes);
}

void code_pair_dot_x4_simd128(const u8* a, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes, i32* out) {
  dot_four([a](u32 i) { return load_code_as_query(a + i); }, c0, c1, c2, c3, bytes, out);
}

}  // namespace shibumi
