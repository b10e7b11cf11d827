// The originals of a space, one record a slot, and how far a query is from them.
//
// A vector is f32[dimension], or for the metrics of bits u8[dimension / 8 rounded up], handled as whole f32-sized words
// whose unused bits are zero. A record is never changed while its slot is live: what was put comes back bit for bit. Distances of the space's metric
// are in kernel scale (smaller is nearer); one that comes out as NaN (an inner product of huge values) counts as
// infinitely far, so that every order of hits is total.
//
// Requires, for all but `row_or_fault`, `present` and `missed`: the record's block is present.
#pragma once

#include "../kernels/distance.h"
#include "../kernels/metrics.h"
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
  u32 words = 0;         // u32 words a vector takes in memory: the dimension, or dimension / 32 rounded up for bits
  u32 vector_bytes = 0;  // what a vector has outside: 4 * dimension, or dimension / 8 rounded up for bits
  Metric metric = kL2sq;

  /// `space_power` is Lp's p.
  void define(u32 vector_dimension, Metric space_metric, f32 space_power);

  const f32* row(u32 slot) const { return reinterpret_cast<const f32*>(records.get(slot)); }
  const f32* row_or_fault(u32 slot) const { return reinterpret_cast<const f32*>(records.get_or_fault(slot)); }
  bool some_absent() const { return segments[records.segment].absent_count > 0; }
  bool present(u32 slot) const { return block_present(records.segment, records.block_of(slot)); }
  /// Names the absent block of a slot for the host. False when no more can be named.
  bool missed(u32 slot) const { return block_missed(records.segment, records.block_of(slot)); }
  /// Takes `vector_bytes` from `vector` and, for cosine, adds the inverse norm. Requires: reserve.
  void write(u32 slot, const u8* vector) const;
  /// Whether `count` vectors may be stored: finite; not negative for Jensen-Shannon; no bit set beyond the dimension.
  bool acceptable(const u8* vectors, u32 count) const;

  Probe probe(u32 slot) const {
    const f32* values = row(slot);
    return {values, metric == kCosine ? values[dimension] : 0.0f};
  }

  f32 distance(const Probe& probe, const f32* row) const {
    if (metric == kL2sq) return ordered(l2sq_simd128(probe.values, row, dimension));
    if (is_further()) return ordered(pair_(probe.values, row, words, power_));
    return finish(probe, dot_simd128(probe.values, row, dimension), row);
  }

  /// Four rows in one pass; which ones does not matter.
  void distance_x4(const Probe& probe, const f32* const* four, f32* out) const {
    if (metric == kL2sq) {
      l2sq_x4_simd128(probe.values, four[0], four[1], four[2], four[3], dimension, out);
      for (u32 i = 0; i < 4; i++) out[i] = ordered(out[i]);
    } else if (is_further()) {
      four_(probe.values, four, words, power_, out);
      for (u32 i = 0; i < 4; i++) out[i] = ordered(out[i]);
    } else {
      dot_x4_simd128(probe.values, four[0], four[1], four[2], four[3], dimension, out);
      for (u32 i = 0; i < 4; i++) out[i] = finish(probe, out[i], four[i]);
    }
  }

  /// Slots first .. first + count - 1. Requires: they are in one block.
  void distance_scan(const Probe& probe, u32 first, u32 count, f32* out) const;

  /// kOk when every block that holds one of `count` records is present; else kAbsent, and blocks that are not are named.
  Status all_present(u32 count) const;
  /// The same for the records of some slots.
  Status all_present(const u32* slots, u32 count) const;

 private:
  MetricKernel pair_ = nullptr;  // of the metrics beside L2, inner product and cosine
  MetricKernelX4 four_ = nullptr;
  f32 power_ = 0;

  /// Another metric than L2, inner product and cosine.
  bool is_further() const { return kWhole && pair_ != nullptr; }
  static f32 ordered(f32 distance) { return distance == distance ? distance : __builtin_inff(); }
  f32 finish(const Probe& probe, f32 dot, const f32* row) const {
    return ordered(metric == kIp ? -dot : cosine_of(dot, probe.inverse_norm, row[dimension]));
  }
};

}  // namespace shibumi
