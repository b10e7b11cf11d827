// PQ: a product quantizer's code of what a vector has beyond the centroid of its list (index/quantizer.h): a byte for each
// subspace.
//
//   record := f32 term, u8 code[m], zeros to a multiple of 4
//
// A query is measured by a table of what each codeword adds, f32[m][256], made once a search: then a distance is m loads
// and additions. Codes are never compared with each other: a graph is built over the originals, which makes it a better one,
// and only searched through codes.
#pragma once

#include "../index/measure.h"
#include "../index/quantizer.h"

namespace shibumi {

struct PqMeasure {
  static constexpr bool exact = false;
  PagedView view;
  const f32* tables;
  u32 subspaces;
  f32 base;  // what all codes of the list have in common

  /// The same measure for the codes of another list.
  PqMeasure of_list(f32 list_base) const { return {view, tables, subspaces, list_base}; }

  SHIBUMI_HOT const u8* at(u32 slot) const { return view.get(slot); }
  f32 distance(const u8* record) const {
    const u8* four[4] = {record, record, record, record};
    f32 out[4];
    distance_x4(four, out);
    return out[0];
  }
  /// Four sums in step: the loads of one do not wait for the additions of another.
  void distance_x4(const u8* const* four, f32* out) const {
    constexpr u32 kTerm = sizeof(f32);
    const u8 *a = four[0] + kTerm, *b = four[1] + kTerm, *c = four[2] + kTerm, *d = four[3] + kTerm;
    f32 sum_a = term(four[0]), sum_b = term(four[1]), sum_c = term(four[2]), sum_d = term(four[3]);
    const f32* table = tables;
    for (u32 j = 0; j < subspaces; j++, table += kCodewords) {
      sum_a += table[a[j]];
      sum_b += table[b[j]];
      sum_c += table[c[j]];
      sum_d += table[d[j]];
    }
    const f32 sums[4] = {sum_a, sum_b, sum_c, sum_d};
    for (u32 i = 0; i < 4; i++) out[i] = sums[i] == sums[i] ? sums[i] : __builtin_inff();
  }
  void scan(u32 first, u32 count, f32* out) const {
    for (u32 i = 0; i < count; i++) out[i] = distance(at(first + i));
  }
  SHIBUMI_HOT u32 touch(const u8* record, bool far) const { return touch_lines(record, view.stride, far); }

 private:
  f32 term(const u8* record) const { return base + *reinterpret_cast<const f32*>(record); }
};

struct PqSource {
  using Query = PqMeasure;
  PagedView view;
  const f32* tables;
  u32 subspaces;
  f32 base;  // of list 0

  Query query() const { return {view, tables, subspaces, base}; }
};

}  // namespace shibumi
