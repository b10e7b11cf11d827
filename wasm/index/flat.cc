#include "flat.h"

#include "bit_scan.h"

namespace shibumi {

namespace {

/// The records of set bits, four in one pass: none is touched that cannot be answered.
template <class Measure>
void scan_allowed(const Measure& measure, u32 slot_count, const Allowed& allowed, TopK& best) {
  u32 some[4], count = 0;
  const u8* four[4];
  f32 distances[4];
  const auto measure_four = [&] {
    for (u32 i = count; i < 4; i++) four[i] = four[0];
    measure.distance_x4(four, distances);
    for (u32 i = 0; i < count; i++) best.offer(some[i], distances[i]);
    count = 0;
  };
  for (u32 first = 0; first < slot_count; first += 64) {
    for (u64 word = allowed.words[first / 64]; word != 0; word &= word - 1) {
      const u32 slot = first + static_cast<u32>(__builtin_ctzll(word));
      some[count] = slot;
      four[count++] = measure.at(slot);
      if (count == 4) measure_four();
    }
  }
  if (count > 0) measure_four();
}

template <class Measure>
void scan_all(const Measure& measure, const Slots& slots, u32 slot_count, const Allowed& allowed, TopK& best) {
  if (!allowed.all()) return scan_allowed(measure, slot_count, allowed, best);
  constexpr u32 kBatch = 64;  // distances wait in the first-level cache for the comparison
  f32 distances[kBatch];
  const u8* marks = slots.marks();
  const u32 per_block = measure.view.per_block;
  for (u32 block_start = 0; block_start < slot_count; block_start += per_block) {
    const u32 block_end = min_of(slot_count, block_start + per_block);
    for (u32 first = block_start; first < block_end; first += kBatch) {
      const u32 count = min_of(kBatch, block_end - first);
      measure.scan(first, count, distances);
      for (u32 i = 0; i < count; i++) {
        if (distances[i] <= best.bound() && (marks[first + i] & kLiveMark)) best.offer(first + i, distances[i]);
      }
    }
  }
}

}  // namespace

void flat_scan(const Rows& rows, const Slots& slots, const Probe& probe, u32 slot_count, const Allowed& allowed,
               TopK& best) {
  scan_all(RowSource(rows, probe).query(), slots, slot_count, allowed, best);
}

Status code_scan(Codes& codes, const Slots& slots, u32 slot_count, const Allowed& allowed, TopK& best) {
  if (codes.kind() == kBits) return bit_scan(codes.bits().query(), codes.bit_scratch(), slots, slot_count, allowed, best);
  scan_all(codes.sq8().query(), slots, slot_count, allowed, best);
  return kOk;
}

}  // namespace shibumi
