#include "flat.h"

namespace shibumi {

void flat_scan(const Rows& rows, const Slots& slots, const Probe& probe, u32 slot_count, TopK& best) {
  constexpr u32 kBatch = 64;  // distances wait in the first-level cache for the comparison
  f32 distances[kBatch];
  const u8* marks = slots.marks();
  const u32 per_block = rows.records.per_block;
  for (u32 block_start = 0; block_start < slot_count; block_start += per_block) {
    const u32 block_end = min_of(slot_count, block_start + per_block);
    for (u32 first = block_start; first < block_end; first += kBatch) {
      const u32 count = min_of(kBatch, block_end - first);
      rows.distance_scan(probe, first, count, distances);
      for (u32 i = 0; i < count; i++) {
        if (distances[i] <= best.bound() && (marks[first + i] & kLiveMark)) best.offer(first + i, distances[i]);
      }
    }
  }
}

}  // namespace shibumi
