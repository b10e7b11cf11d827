// The metrics beside L2, inner product and cosine: what FAISS calls by the same names, value for value (its
// extra_distances), except that a term of 0 / 0 counts as 0 where FAISS gives NaN.
//
//   L1             sum |x - y|
//   Linf           max |x - y|
//   Lp             sum |x - y|^p, no root taken
//   Canberra       sum |x - y| / (|x| + |y|)
//   BrayCurtis     sum |x - y| / sum |x + y|
//   JensenShannon  1/2 sum (x ln (x / m) + y ln (y / m)), m = (x + y) / 2; for components that are not negative
//
// and two over packed bits, which lie in whole u32 words, unused bits zero:
//
//   Hamming        bits that differ
//   Jaccard        1 - (bits in both) / (bits in either); 0 when neither has any
//
// Every kernel returns a distance: smaller is nearer. As with the kernels of distance.h there is a scalar reference and a
// `_simd128` twin of one signature, and an `_x4` form for four vectors in one pass; any alignment, any length from 0 on.
// Requires: finite components.
#pragma once

#include "../core/types.h"

namespace shibumi {

/// `length`: components, or for bits words of 32. `p` matters to Lp alone.
using MetricKernel = f32 (*)(const f32* a, const f32* b, u32 length, f32 p);
using MetricKernelX4 = void (*)(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);

f32 l1_scalar(const f32* a, const f32* b, u32 length, f32 p);
f32 linf_scalar(const f32* a, const f32* b, u32 length, f32 p);
f32 lp_scalar(const f32* a, const f32* b, u32 length, f32 p);
f32 canberra_scalar(const f32* a, const f32* b, u32 length, f32 p);
f32 bray_curtis_scalar(const f32* a, const f32* b, u32 length, f32 p);
f32 jensen_shannon_scalar(const f32* a, const f32* b, u32 length, f32 p);
f32 hamming_scalar(const f32* a, const f32* b, u32 words, f32 p);
f32 jaccard_scalar(const f32* a, const f32* b, u32 words, f32 p);

f32 l1_simd128(const f32* a, const f32* b, u32 length, f32 p);
f32 linf_simd128(const f32* a, const f32* b, u32 length, f32 p);
f32 lp_simd128(const f32* a, const f32* b, u32 length, f32 p);
f32 canberra_simd128(const f32* a, const f32* b, u32 length, f32 p);
f32 bray_curtis_simd128(const f32* a, const f32* b, u32 length, f32 p);
f32 jensen_shannon_simd128(const f32* a, const f32* b, u32 length, f32 p);
f32 hamming_simd128(const f32* a, const f32* b, u32 words, f32 p);
f32 jaccard_simd128(const f32* a, const f32* b, u32 words, f32 p);

void l1_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);
void linf_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);
void lp_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);
void canberra_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);
void bray_curtis_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);
void jensen_shannon_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out);
void hamming_x4_simd128(const f32* query, const f32* const* four, u32 words, f32 p, f32* out);
void jaccard_x4_simd128(const f32* query, const f32* const* four, u32 words, f32 p, f32* out);

}  // namespace shibumi
