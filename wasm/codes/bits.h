// BQ: one bit a component, set where the vector is above the centre of the data.
//
//   record := bit i of the vector in bit i % 64 of word i / 64; zeros behind the last
//
// Two vectors are as far apart as their codes differ: bits / dimension is about their angle, seen from the centre, over pi.
// That orders candidates well enough to find a few hundred that hold the nearest ten, for a fiftieth of the reading. The
// centre is the mean of what is there (Codes::train); for cosine, of unit vectors.
#pragma once

#include "../index/measure.h"
#include "../kernels/bit_difference.h"

namespace shibumi {

inline u32 bits_record_bytes(u32 dimension) { return (dimension + 63) / 64 * 8; }

void bits_encode(const f32* values, u32 dimension, f32 factor, const f32* centre, u8* record);

struct BitMeasure {
  static constexpr bool exact = false;
  PagedView view;
  const u8* bits;

  SHIBUMI_HOT const u8* at(u32 slot) const { return view.get(slot); }
  SHIBUMI_HOT u32 difference(const u8* record) const { return bit_difference(bits, record, view.stride); }
  SHIBUMI_HOT f32 distance(const u8* record) const { return static_cast<f32>(difference(record)); }
  void distance_x4(const u8* const* four, f32* out) const {
    for (u32 i = 0; i < 4; i++) out[i] = distance(four[i]);
  }
  void scan(u32 first, u32 count, f32* out) const {
    const u8* record = at(first);
    for (u32 i = 0; i < count; i++, record += view.stride) out[i] = distance(record);
  }
  SHIBUMI_HOT u32 touch(const u8* record, bool) const { return static_cast<u32>(load_word(record)); }
};

/// What a scan of bits works in (index/bit_scan.h).
struct BitScratch {
  TransientBuffer kept, histogram;
};

struct BitSource {
  using Query = BitMeasure;
  using Slot = BitMeasure;
  PagedView view;
  const u8* prepared;

  Query query() const { return {view, prepared}; }
  Slot slot(u32 slot) const { return {view, view.get(slot)}; }
  bool same(u32 a, u32 b) const { return __builtin_memcmp(view.get(a), view.get(b), view.stride) == 0; }
};

}  // namespace shibumi
