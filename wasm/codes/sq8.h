// SQ8: every component of a vector in 7 bits, between the least and the greatest of that vector.
//
//   record := u8 code[dimension], zeros to a multiple of 16, Sq8Side
//
// A vector x is read as offset + scale * code. Scale and offset are each vector's own, so nothing has to be trained, nothing
// ages as the data change, and huge vectors beside tiny ones lose nothing. With the sums in Sq8Side any two such vectors
// have their distance from one integer inner product of their codes:
//
//   x . y     = d ox oy + ox Sy + oy Sx + sx sy I                 I = sum of code_x code_y,  S = scale * sum of the code
//   |x - y|^2 = D (d D + 2 (Sx - Sy)) + Qx + Qy - 2 sx sy I       D = ox - oy,               Q = scale^2 * sum of its squares
//
// The second is not |x|^2 + |y|^2 - 2 x . y: far from the origin that would cancel. For cosine, vectors are brought to unit
// length before they are coded. A query is coded the same way with a sign and 8 bits.
#pragma once

#include "../index/measure.h"
#include "../kernels/code_dot.h"
#include "../kernels/lanes.h"

namespace shibumi {

struct Sq8Side {
  f32 scale;
  f32 offset;
  f32 sum;     // scale * sum of the code
  f32 square;  // scale^2 * sum of the code's squares
};
static_assert(sizeof(Sq8Side) == 16);

inline u32 sq8_code_bytes(u32 dimension) { return (dimension + 15) & ~15u; }
inline u32 sq8_record_bytes(u32 dimension) { return sq8_code_bytes(dimension) + sizeof(Sq8Side); }

/// Codes `dimension` values, each times `factor`, into a zeroed record.
void sq8_encode(const f32* values, u32 dimension, f32 factor, u8* record);
/// The same for a query, with a sign: `lanes` has room for sq8_code_bytes.
Sq8Side sq8_encode_query(const f32* values, u32 dimension, QueryLane* lanes);

/// The left side of a measure: a query's lanes, or a stored code.
struct Sq8QuerySide {
  const QueryLane* lanes;
  SHIBUMI_HOT i32 dot(const u8* code, u32 bytes) const { return code_dot_simd128(lanes, code, bytes); }
  SHIBUMI_HOT void dot_x4(const u8* const* four, u32 bytes, i32* out) const {
    code_dot_x4_simd128(lanes, four[0], four[1], four[2], four[3], bytes, out);
  }
};
struct Sq8SlotSide {
  const u8* code;
  SHIBUMI_HOT i32 dot(const u8* other, u32 bytes) const { return code_pair_dot_simd128(code, other, bytes); }
  SHIBUMI_HOT void dot_x4(const u8* const* four, u32 bytes, i32* out) const {
    code_pair_dot_x4_simd128(code, four[0], four[1], four[2], four[3], bytes, out);
  }
};

template <class Left>
struct Sq8Measure {
  static constexpr bool exact = false;
  PagedView view;
  Left left;
  Sq8Side side;
  u32 code_bytes;
  f32 dimension;
  Metric metric;

  SHIBUMI_HOT const u8* at(u32 slot) const { return view.get(slot); }
  f32 distance(const u8* record) const {
    const Sq8Side& other = side_of(record);
    return finish<f32>(other.scale, other.offset, other.sum, other.square, static_cast<f32>(left.dot(record, code_bytes)));
  }
  void distance_x4(const u8* const* four, f32* out) const {
    IntLanes dots;
    left.dot_x4(four, code_bytes, reinterpret_cast<i32*>(&dots));
    Lanes sides[4];
    for (u32 i = 0; i < 4; i++) sides[i] = load_lanes(&side_of(four[i]).scale);
    transpose(sides);
    const Lanes distances = finish(sides[0], sides[1], sides[2], sides[3], __builtin_convertvector(dots, Lanes));
    __builtin_memcpy(out, &distances, sizeof distances);
  }
  void scan(u32 first, u32 count, f32* out) const {
    const u8* record = at(first);
    u32 i = 0;
    for (; i + 4 <= count; i += 4, record += 4 * view.stride) {
      const u8* const four[4] = {record, record + view.stride, record + 2 * view.stride, record + 3 * view.stride};
      distance_x4(four, out + i);
    }
    for (; i < count; i++, record += view.stride) out[i] = distance(record);
  }
  SHIBUMI_HOT u32 touch(const u8* record, bool far) const { return touch_lines(record, view.stride, far); }

 private:
  SHIBUMI_HOT const Sq8Side& side_of(const u8* record) const {
    return *reinterpret_cast<const Sq8Side*>(record + code_bytes);
  }

  /// Of one record, or of four in lanes: each of the four is what it is by itself, bit for bit.
  template <class F>
  SHIBUMI_HOT F finish(F scale, F offset, F sum, F square, F dot) const {
    const F product = side.scale * (scale * dot);
    if (metric == kL2sq) {
      const F apart = side.offset - offset;
      const F distance = apart * (dimension * apart + 2 * (side.sum - sum)) + ((side.square + square) - 2 * product);
      return distance > 0 ? distance : distance == distance ? F{} : F{} + __builtin_inff();
    }
    const F inner = offset * (dimension * side.offset + side.sum) + (side.offset * sum + product);
    const F distance = metric == kIp ? -inner : 1 - inner;
    return distance == distance ? distance : F{} + __builtin_inff();
  }
};

struct Sq8Source {
  using Query = Sq8Measure<Sq8QuerySide>;
  using Slot = Sq8Measure<Sq8SlotSide>;
  PagedView view;
  const QueryLane* lanes;
  Sq8Side query_side;
  u32 dimension;
  Metric metric;

  Query query() const {
    return {view, {lanes}, query_side, sq8_code_bytes(dimension), static_cast<f32>(dimension), metric};
  }
  Slot slot(u32 slot) const {
    const u8* record = view.get(slot);
    const u32 bytes = sq8_code_bytes(dimension);
    return {view, {record}, *reinterpret_cast<const Sq8Side*>(record + bytes), bytes, static_cast<f32>(dimension), metric};
  }
  bool same(u32 a, u32 b) const { return __builtin_memcmp(view.get(a), view.get(b), sq8_record_bytes(dimension)) == 0; }
};

}  // namespace shibumi
