// Measures: how a scan or a graph search finds out how far something is from the slots it comes by.
//
// Originals and every kind of code are measured in their own way, and that is where the time goes. So loops over slots
// are templates over a *measure*, compiled once for each kind, and nothing is called through a pointer. A measure is a
// small value that lives as long as one operation:
//
//   const u8* at(u32 slot) const                             where the slot's record is
//   f32 distance(const u8* record) const                     kernel scale: smaller is nearer, never NaN
//   void distance_x4(const u8* const* four, f32* out) const  four records in one pass
//   void scan(u32 first, u32 count, f32* out) const          slots first .. first + count - 1, all in one block
//   u32 touch(const u8* record, bool far) const              reads what the machine does not fetch by itself
//   static constexpr bool exact                              whether the distances are those of the originals
//
// A *source* makes measures and knows when two slots are the same to them:
//
//   Query query() const          from the query that was prepared
//   Slot slot(u32 slot) const    from what is stored of a slot; costs next to nothing
//   bool same(u32 a, u32 b) const
//
// `with_source` of codes/codes.h picks the source of a space, once an operation. To add a kind of code: its record, its
// measures and its source in a file of their own, a case there, and its encoder in codes.cc.
#pragma once

#include "../core/threads.h"
#include "../vector/rows.h"

namespace shibumi {

/// Where what was read ahead is left, so that no compiler drops the loads.
inline SHIBUMI_THREAD_LOCAL volatile u32 fetched;

/// Reads the first lines of a record that is about to be measured; from there on the machine sees the stream. WASM has no
/// prefetch, but a load whose value goes nowhere in particular does the same. At 100k x 384 f32 16% more queries; all lines
/// of all rows gave nothing. A code of SQ8 ends before the machine sees a stream: where most are `far`, in no cache, all its lines
/// give 12% more (100k x 384); at 20k they take 5% of a build.
SHIBUMI_HOT u32 touch_lines(const u8* record, u32 bytes, bool far) {
  const u32* words = reinterpret_cast<const u32*>(record);
  const u32 last = bytes / 4 - 1;
  u32 seen = words[0] ^ words[min_of(16u, last)] ^ words[min_of(32u, last)];
  if (far && last < 112) {
    for (u32 i = 48; i < last; i += 16) seen ^= words[i];
    seen ^= words[last];
  }
  return seen;
}

/// Measures originals.
struct RowMeasure {
  static constexpr bool exact = true;
  const Rows* rows;
  Probe probe;
  PagedView view;

  SHIBUMI_HOT const u8* at(u32 slot) const { return view.get(slot); }
  SHIBUMI_HOT f32 distance(const u8* record) const { return rows->distance(probe, row(record)); }
  SHIBUMI_HOT void distance_x4(const u8* const* four, f32* out) const {
    const f32* some[4] = {row(four[0]), row(four[1]), row(four[2]), row(four[3])};
    rows->distance_x4(probe, some, out);
  }
  void scan(u32 first, u32 count, f32* out) const { rows->distance_scan(probe, first, count, out); }
  SHIBUMI_HOT u32 touch(const u8* record, bool far) const { return touch_lines(record, view.stride, far); }

 private:
  static const f32* row(const u8* record) { return reinterpret_cast<const f32*>(record); }
};

struct RowSource {
  using Query = RowMeasure;
  using Slot = RowMeasure;
  const Rows* rows;
  Probe prepared;
  PagedView view;

  RowSource(const Rows& some, const Probe& probe) : rows(&some), prepared(probe), view(some.records) {}
  Query query() const { return {rows, prepared, view}; }
  Slot slot(u32 slot) const { return {rows, rows->probe(slot), view}; }
  bool same(u32 a, u32 b) const {
    return __builtin_memcmp(view.get(a), view.get(b), rows->words * sizeof(f32)) == 0;
  }
};

}  // namespace shibumi
