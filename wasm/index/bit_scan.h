// A scan of bit codes. Their distances are small integers, so the many that are nearest are found by counting: a histogram
// of what was kept says how near one must be to be kept, and no heap has to be in order.
#pragma once

#include "../codes/bits.h"
#include "allowed.h"
#include "top_k.h"

namespace shibumi {

/// Offers the best.capacity() nearest slots that are live and allowed; of those that tie at the end, the first.
/// kOk or kOutOfMemory.
inline Status bit_scan(const BitMeasure& query, BitScratch& scratch, const Slots& slots, u32 slot_count,
                       const Allowed& allowed, TopK& best) {
  struct Kept {
    u32 slot;
    u32 difference;
  };
  const u32 wanted = best.capacity();
  const u32 room = 2 * wanted + 64;
  const u32 differences = 8 * query.view.stride + 1;
  if (!scratch.kept.ensure(room * sizeof(Kept), false)) return kOutOfMemory;
  if (!scratch.histogram.ensure(differences * sizeof(u32), false)) return kOutOfMemory;
  Kept* const kept = scratch.kept.as<Kept>();
  u32* const histogram = scratch.histogram.as<u32>();
  __builtin_memset(histogram, 0, differences * sizeof(u32));

  // Kept: all that differ by less than `most`, and as many that differ by just `most` as came first.
  u32 most = differences - 1, count = 0, nearer_or_equal = 0;
  const auto compact = [&] {
    u32 left = 0, ties = 0;
    const u32 ties_wanted = wanted - (nearer_or_equal - histogram[most]);
    for (u32 i = 0; i < count; i++) {
      if (kept[i].difference > most || (kept[i].difference == most && ties++ >= ties_wanted)) continue;
      kept[left++] = kept[i];
    }
    if (ties > ties_wanted) {
      nearer_or_equal -= ties - ties_wanted;
      histogram[most] = ties_wanted;
    }
    count = left;
  };
  const auto keep = [&](u32 slot, u32 difference) {
    kept[count++] = {slot, difference};
    histogram[difference]++;
    nearer_or_equal++;
    while (nearer_or_equal - histogram[most] >= wanted) nearer_or_equal -= histogram[most--];
    if (count == room) compact();
  };

  const u8* marks = slots.marks();
  const u32 per_block = query.view.per_block, stride = query.view.stride;
  for (u32 block_start = 0; block_start < slot_count; block_start += per_block) {
    const u32 block_end = min_of(slot_count, block_start + per_block);
    const u8* record = query.at(block_start);
    for (u32 slot = block_start; slot < block_end; slot++, record += stride) {
      const u32 difference = query.difference(record);
      if (difference > most) continue;
      // With enough at this distance already, a later one cannot displace an earlier.
      if (difference == most && nearer_or_equal >= wanted) continue;
      if ((marks[slot] & kLiveMark) && allowed(slot)) keep(slot, difference);
    }
  }
  compact();
  for (u32 i = 0; i < count; i++) best.offer(kept[i].slot, static_cast<f32>(kept[i].difference));
  return kOk;
}

}  // namespace shibumi
