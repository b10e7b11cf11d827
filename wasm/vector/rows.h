// The originals of a space, one record a slot, and how far a query is from them.
//
// A record is never changed while its slot is live: what was put comes back bit for bit. Distances of the space's metric
// are in kernel scale (smaller is nearer); one that comes out as NaN (an inner product of huge values) counts as
// infinitely far, so that every order of hits is total.
//
// Requires, for all but `row_or_fault`: the record's block is present.
#pragma once

#include "../kernels/distance.h"
#include "format.h"

namespace shibumi {

/// Something to measure from: a query, or a stored vector with its inverse norm.
struct Probe {
  const f32* values;
  f32 inverse_norm;  // used for cosine only
};

struct Rows {
  PagedArray records;
  u32 dimension = 0;
  Metric metric = kL2sq;

  void define(u32 vector_dimension, Metric space_metric);

  const f32* row(u32 slot) const { return reinterpret_cast<const f32*>(records.get(slot)); }
  const f32* row_or_fault(u32 slot) const { return reinterpret_cast<const f32*>(records.get_or_fault(slot)); }
  /// The vector's bytes and, for cosine, its inverse norm. Requires: reserve.
  void write(u32 slot, const f32* vector) const;

  Probe probe(u32 slot) const {
    const f32* values = row(slot);
    return {values, metric == kCosine ? values[dimension] : 0.0f};
  }

  f32 distance(const Probe& probe, const f32* row) const {
    if (metric == kL2sq) return ordered(l2sq_simd128(probe.values, row, dimension));
    return finish(probe, dot_simd128(probe.values, row, dimension), row);
  }

  /// Four rows in one pass; which ones does not matter.
  void distance_x4(const Probe& probe, const f32* const* four, f32* out) const {
    if (metric == kL2sq) {
      l2sq_x4_simd128(probe.values, four[0], four[1], four[2], four[3], dimension, out);
      for (u32 i = 0; i < 4; i++) out[i] = ordered(out[i]);
    } else {
      dot_x4_simd128(probe.values, four[0], four[1], four[2], four[3], dimension, out);
      for (u32 i = 0; i < 4; i++) out[i] = finish(probe, out[i], four[i]);
    }
  }

  /// Slots first .. first + count - 1. Requires: they are in one block.
  void distance_scan(const Probe& probe, u32 first, u32 count, f32* out) const;

  /// kOk when every block that holds one of `count` records is present; else the fault names one that is not.
  Status all_present(u32 count) const;

 private:
  static f32 ordered(f32 distance) { return distance == distance ? distance : __builtin_inff(); }
  f32 finish(const Probe& probe, f32 dot, const f32* row) const {
    return ordered(metric == kIp ? -dot : cosine_of(dot, probe.inverse_norm, row[dimension]));
  }
};

}  // namespace shibumi
