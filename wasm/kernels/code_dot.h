// Inner products of 8-bit codes: what SQ8 scans and graph searches spend their time in.
//
// A stored code has 7 bits, 0..127, and a query's code 8 with a sign, -127..127. So two products and their sum always fit
// 16 signed bits, and `i32x4.relaxed_dot_i8x16_i7x16_add_s`, whose result is only the same everywhere when its second
// operand is 0..127, may be used in the relaxed build. All builds give the same integers.
//
// The query is kept in the form the build's instructions take: bytes where there is the relaxed dot product, 16-bit lanes
// elsewhere, as widening it again for every code costs a third of the kernel.
//
// Requires: `bytes` is a multiple of 16; what pads a code, and a query, is zeros.
#pragma once

#include "../core/types.h"

namespace shibumi {

#if defined(SHIBUMI_RELAXED)
using QueryLane = i8;
#else
using QueryLane = int16_t;
#endif

i32 code_dot_scalar(const QueryLane* query, const u8* code, u32 bytes);
i32 code_dot_simd128(const QueryLane* query, const u8* code, u32 bytes);

/// One query against four codes; out[i] is that of code i.
void code_dot_x4_scalar(const QueryLane* query, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes, i32* out);
void code_dot_x4_simd128(const QueryLane* query, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes,
                         i32* out);

/// Two stored codes, and one against four.
i32 code_pair_dot_scalar(const u8* a, const u8* b, u32 bytes);
i32 code_pair_dot_simd128(const u8* a, const u8* b, u32 bytes);
void code_pair_dot_x4_scalar(const u8* a, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes, i32* out);
void code_pair_dot_x4_simd128(const u8* a, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes, i32* out);

}  // namespace shibumi
