// Four f32 lanes, as a vector extension: clang turns them into WASM SIMD, gcc and clang into whatever the machine has.
// So the kernels that run in the browser are the ones the sanitizers see.
//
// Loads take pointers of any alignment. `multiply_add` is one rounding in the relaxed build and two elsewhere: the
// builds may differ in the last bits of a distance, never in what a distance means.
#pragma once

#include "../core/types.h"

namespace shibumi {

typedef f32 Lanes __attribute__((vector_size(16)));
typedef i32 IntLanes __attribute__((vector_size(16)));
typedef u32 MaskLanes __attribute__((vector_size(16)));

inline Lanes load_lanes(const f32* source) {
  Lanes lanes;
  __builtin_memcpy(&lanes, source, sizeof lanes);
  return lanes;
}

/// One f32 that may lie at any address.
inline f32 load_one(const f32* source) {
  f32 value;
  __builtin_memcpy(&value, source, sizeof value);
  return value;
}

inline Lanes multiply_add(Lanes a, Lanes b, Lanes sum) {
#if defined(SHIBUMI_RELAXED)
  return __builtin_wasm_relaxed_madd_f32x4(a, b, sum);
#else
  return a * b + sum;
#endif
}

/// Four rows of four become four columns.
inline void transpose(Lanes* rows) {
  const Lanes low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
  const Lanes high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
  const Lanes low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
  const Lanes high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  rows[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  rows[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  rows[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

inline f32 sum_of(Lanes lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

}  // namespace shibumi
