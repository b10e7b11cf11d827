#include "flat.h"

#include "bit_scan.h"

namespace shibumi {

namespace {

/// The bits of the slots first .. first + 63 that are in start .. end - 1.
u64 allowed_word(const Allowed& allowed, u32 first, u32 start, u32 end) {
  u64 word = allowed.words[first / 64];
  if (first < start) word &= ~0ull << (start - first);
  if (end - first < 64) word &= ~(~0ull << (end - first));
  return word;
}

/// The records of set bits, four in one pass: none is touched that cannot be answered.
template <class Measure>
void scan_allowed(const Measure& measure, u32 start, u32 slot_count, const Allowed& allowed, TopK& best) {
  u32 some[4], count = 0;
  const u8* four[4];
  f32 distances[4];
  const auto measure_four = [&] {
    for (u32 i = count; i < 4; i++) four[i] = four[0];
    measure.distance_x4(four, distances);
    for (u32 i = 0; i < count; i++) best.offer(some[i], distances[i]);
    count = 0;
  };
  for (u32 first = start & ~63u; first < slot_count; first += 64) {
    for (u64 word = allowed_word(allowed, first, start, slot_count); word != 0; word &= word - 1) {
      const u32 slot = first + static_cast<u32>(__builtin_ctzll(word));
      some[count] = slot;
      four[count++] = measure.at(slot);
      if (count == 4) measure_four();
    }
  }
  if (count > 0) measure_four();
}

template <class Measure>
void scan_all(const Measure& measure, const Slots& slots, u32 start, u32 slot_count, const Allowed& allowed, TopK& best) {
  if (!allowed.all()) return scan_allowed(measure, start, slot_count, allowed, best);
  constexpr u32 kBatch = 64;  // distances wait in the first-level cache for the comparison
  f32 distances[kBatch];
  const u8* marks = slots.marks();
  const u32 per_block = measure.view.per_block;
  for (u32 block_start = start; block_start < slot_count; block_start += per_block) {
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

/// Whether any of the slots start .. end - 1 would be measured.
bool any_allowed(const Slots& slots, u32 start, u32 end, const Allowed& allowed) {
  if (allowed.all()) {
    for (u32 slot = start; slot < end; slot++) {
      if (slots.live(slot)) return true;
    }
    return false;
  }
  for (u32 first = start & ~63u; first < end; first += 64) {
    if (allowed_word(allowed, first, start, end) != 0) return true;
  }
  return false;
}

}  // namespace

Status flat_scan(const Rows& rows, const Slots& slots, const Probe& probe, u32& first, u32 slot_count,
                 const Allowed& allowed, TopK& best) {
  const auto measure = RowSource(rows, probe).query();
  if (!rows.some_absent()) {
    scan_all(measure, slots, first, slot_count, allowed, best);
    return kOk;
  }
  const u32 per_block = rows.records.per_block;
  bool stopped = false;
  for (u32 start = first; start < slot_count; start += per_block) {
    const u32 end = min_of(slot_count, start + per_block);
    if (!any_allowed(slots, start, end, allowed)) continue;
    if (rows.row_or_fault(start) != nullptr) {
      if (!stopped) scan_all(measure, slots, start, end, allowed, best);
      continue;
    }
    if (!stopped) first = start;
    stopped = true;
    if (!rows.missed(start)) break;
  }
  return stopped ? kAbsent : kOk;
}

Status code_scan(Codes& codes, const Slots& slots, u32 slot_count, const Allowed& allowed, TopK& best) {
  if (codes.is(kBits)) return bit_scan(codes.bits().query(), codes.bit_scratch(), slots, slot_count, allowed, best);
  scan_all(codes.sq8().query(), slots, 0, slot_count, allowed, best);
  return kOk;
}

}  // namespace shibumi
