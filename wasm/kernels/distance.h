// Distance kernels over f32 vectors. Every kernel returns a distance: smaller is nearer.
//
// Each is a scalar reference and a `_simd128` twin with one signature; tests compare the two. A kernel takes any
// dimension from 0 on and pointers of any alignment, its main loop and its tail are one function, and a NaN anywhere in
// a vector comes out as NaN. The `_x4` forms measure one query against four vectors in one pass: the query is loaded
// once for four, and four cache misses are under way at a time, which is what a graph search waits for.
#pragma once

#include "../core/types.h"

namespace shibumi {

/// Squared Euclidean distance.
f32 l2sq_scalar(const f32* a, const f32* b, u32 dimension);
f32 l2sq_simd128(const f32* a, const f32* b, u32 dimension);

/// Inner product; not a distance yet. `ip` is its negative and `cosine` is made of it.
f32 dot_scalar(const f32* a, const f32* b, u32 dimension);
f32 dot_simd128(const f32* a, const f32* b, u32 dimension);

/// Minus the inner product.
inline f32 ip_scalar(const f32* a, const f32* b, u32 dimension) { return -dot_scalar(a, b, dimension); }
inline f32 ip_simd128(const f32* a, const f32* b, u32 dimension) { return -dot_simd128(a, b, dimension); }

/// 1 - cosine of the angle, from inverse norms (see inverse_norm). A zero vector has inverse norm 0 and is at distance 1
/// from everything.
inline f32 cosine_of(f32 dot, f32 inverse_norm_a, f32 inverse_norm_b) {
  return 1.0f - (dot * inverse_norm_a) * inverse_norm_b;
}

/// Four vectors: out[i] is the kernel's result for `query` and vector i.
void l2sq_x4_scalar(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                    f32* out);
void l2sq_x4_simd128(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                     f32* out);
void dot_x4_scalar(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                   f32* out);
void dot_x4_simd128(const f32* query, const f32* v0, const f32* v1, const f32* v2, const f32* v3, u32 dimension,
                    f32* out);

/// Vectors at equal steps of `stride` bytes: out[i] for the `count` vectors from `first` on.
void l2sq_scan(const f32* query, const f32* first, u32 stride, u32 count, u32 dimension, f32* out);
void dot_scan(const f32* query, const f32* first, u32 stride, u32 count, u32 dimension, f32* out);

/// 1 / Euclidean norm, summed in f64 so that no finite vector overflows on the way; 0 for the zero vector; at most the
/// largest finite f32.
f32 inverse_norm(const f32* vector, u32 dimension);

/// Whether no value is NaN or infinite.
bool all_finite(const f32* values, u32 count);

}  // namespace shibumi
