// Inner products of several queries with several vectors in one pass: every value that is loaded is used more than once.
// With 2 x 4 there are 8 sums and 6 loads a step, which still fits the 16 registers of the machines below WASM.
#pragma once

#include "../core/types.h"

namespace shibumi {

/// out[4 * q + v] = product of query q and vector v. Pointers of any alignment, any dimension from 0 on.
void products_2x4_scalar(const f32* q0, const f32* q1, const f32* const* vectors, u32 dimension, f32* out);
void products_2x4_simd128(const f32* q0, const f32* q1, const f32* const* vectors, u32 dimension, f32* out);

}  // namespace shibumi
