#include "rows.h"

namespace shibumi {

void Rows::define(u32 vector_dimension, Metric space_metric) {
  dimension = vector_dimension;
  metric = space_metric;
  const u32 bytes = 4 * dimension + (metric == kCosine ? 4 : 0);
  records.define(kVectors, (bytes + 15) & ~15u);
}

void Rows::write(u32 slot, const f32* vector) const {
  u8* record = records.mut(slot);
  __builtin_memcpy(record, vector, dimension * sizeof(f32));
  if (metric != kCosine) return;
  const f32 inverse = inverse_norm(vector, dimension);
  __builtin_memcpy(record + dimension * sizeof(f32), &inverse, sizeof inverse);
}

void Rows::distance_scan(const Probe& probe, u32 first, u32 count, f32* out) const {
  const f32* start = row(first);
  if (metric == kL2sq) {
    l2sq_scan(probe.values, start, records.stride, count, dimension, out);
    for (u32 i = 0; i < count; i++) out[i] = ordered(out[i]);
    return;
  }
  dot_scan(probe.values, start, records.stride, count, dimension, out);
  for (u32 i = 0; i < count; i++) out[i] = finish(probe, out[i], start + i * (records.stride / sizeof(f32)));
}

Status Rows::all_present(u32 count) const {
  const u32 blocks = records.blocks_for(count);
  const Addr* frames = at<const Addr>(segments[records.segment].frames);
  for (u32 i = 0; i < blocks; i++) {
    if (frames[i] == 0) return block_read(records.segment, i), kAbsent;
  }
  return kOk;
}

}  // namespace shibumi
