#include "progress.h"

namespace shibumi {

namespace {

void sift_slot(u32* heap, u32 i, u32 count) {
  const u32 moved = heap[i];
  for (u32 child; (child = 2 * i + 1) < count; i = child) {
    if (child + 1 < count && heap[child] < heap[child + 1]) child++;
    if (heap[child] <= moved) break;
    heap[i] = heap[child];
  }
  heap[i] = moved;
}

void sort_slots(u32* slots, u32 count) {
  for (u32 i = count / 2; i-- > 0;) sift_slot(slots, i, count);
  for (u32 left = count; left > 1;) {
    const u32 last = slots[0];
    slots[0] = slots[--left];
    slots[left] = last;
    sift_slot(slots, 0, left);
  }
}

void offer_some(const Rows& rows, const Probe& probe, const u32* slots, u32 count, TopK& best) {
  const f32* some[4];
  f32 distances[4];
  for (u32 i = 0; i < 4; i++) some[i] = rows.row(slots[min_of(i, count - 1)]);
  rows.distance_x4(probe, some, distances);
  for (u32 i = 0; i < count; i++) best.offer(slots[i], distances[i]);
}

}  // namespace

Status measure_in_order(const Rows& rows, const Probe& probe, u32* slots, u32 count, bool four, SearchPhase phase,
                        SearchProgress& progress, TopK& best) {
  sort_slots(slots, count);
  const u32 start = progress.phase == phase ? progress.slot : 0;
  u32 i = 0;
  while (i < count && slots[i] < start) i++;
  u32 some[4], waiting = 0;
  for (; i < count && rows.row_or_fault(slots[i]) != nullptr; i++) {
    if (!four) {
      best.offer(slots[i], rows.distance(probe, rows.row(slots[i])));
      continue;
    }
    some[waiting++] = slots[i];
    if (waiting == 4) offer_some(rows, probe, some, 4, best), waiting = 0;
  }
  if (waiting > 0) offer_some(rows, probe, some, waiting, best);
  if (i == count) return kOk;
  progress.phase = phase;
  progress.slot = slots[i];
  rows.all_present(slots + i, count - i);
  return kAbsent;
}

}  // namespace shibumi
