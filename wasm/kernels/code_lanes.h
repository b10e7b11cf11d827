// Sixteen codes at a time: one step of a sum of products, in the best instructions each build has.
//
// In the plain build a code is widened to 16 bits as it is loaded (one instruction each half) and multiplied in pairs
// (`i32x4.dot_i16x8_s`). Natively, for the sanitizers, the same sums by a loop.
#pragma once

#include "code_dot.h"

#if defined(__wasm__)
#include <wasm_simd128.h>
#endif

namespace shibumi {

#if defined(__wasm__)

using Sums = v128_t;
inline Sums no_sums() { return wasm_i32x4_splat(0); }
inline i32 sum_of_lanes(Sums sums) {
  const v128_t half = wasm_i32x4_add(sums, wasm_i32x4_shuffle(sums, sums, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane(half, 0) + wasm_i32x4_extract_lane(half, 1);
}

/// The sums of four at once: half the shuffles of one after another.
inline void store_sums(Sums s0, Sums s1, Sums s2, Sums s3, i32* out) {
  const v128_t low01 = wasm_i32x4_shuffle(s0, s1, 0, 4, 1, 5), high01 = wasm_i32x4_shuffle(s0, s1, 2, 6, 3, 7);
  const v128_t low23 = wasm_i32x4_shuffle(s2, s3, 0, 4, 1, 5), high23 = wasm_i32x4_shuffle(s2, s3, 2, 6, 3, 7);
  const v128_t half01 = wasm_i32x4_add(low01, high01), half23 = wasm_i32x4_add(low23, high23);
  wasm_v128_store(out, wasm_i32x4_add(wasm_i64x2_shuffle(half01, half23, 0, 2), wasm_i64x2_shuffle(half01, half23, 1, 3)));
}

#if defined(SHIBUMI_RELAXED)
struct QueryStep {
  v128_t lanes;
};
inline QueryStep load_query(const i8* query) { return {wasm_v128_load(query)}; }
inline QueryStep load_code_as_query(const u8* code) { return {wasm_v128_load(code)}; }
inline Sums add_products(QueryStep query, const u8* code, Sums sums) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(query.lanes, wasm_v128_load(code), sums);
}
#else
struct QueryStep {
  v128_t low, high;
};
inline QueryStep load_query(const int16_t* query) { return {wasm_v128_load(query), wasm_v128_load(query + 8)}; }
inline QueryStep load_code_as_query(const u8* code) { return {wasm_u16x8_load8x8(code), wasm_u16x8_load8x8(code + 8)}; }
inline Sums add_products(QueryStep query, const u8* code, Sums sums) {
  const v128_t low = wasm_i32x4_dot_i16x8(query.low, wasm_u16x8_load8x8(code));
  const v128_t high = wasm_i32x4_dot_i16x8(query.high, wasm_u16x8_load8x8(code + 8));
  return wasm_i32x4_add(sums, wasm_i32x4_add(low, high));
}
#endif

#else

using Sums = i32;
inline Sums no_sums() { return 0; }
inline i32 sum_of_lanes(Sums sums) { return sums; }
inline void store_sums(Sums s0, Sums s1, Sums s2, Sums s3, i32* out) {
  out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}
struct QueryStep {
  int16_t lanes[16];
};
inline QueryStep load_query(const QueryLane* query) {
  QueryStep step;
  for (u32 i = 0; i < 16; i++) step.lanes[i] = query[i];
  return step;
}
inline QueryStep load_code_as_query(const u8* code) {
  QueryStep step;
  for (u32 i = 0; i < 16; i++) step.lanes[i] = code[i];
  return step;
}
inline Sums add_products(const QueryStep& query, const u8* code, Sums sums) {
  for (u32 i = 0; i < 16; i++) sums += query.lanes[i] * code[i];
  return sums;
}

#endif

}  // namespace shibumi
