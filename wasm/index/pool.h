// The candidates of one graph search: one array sorted by distance serves as both of Malkov and Yashunin's heaps, the
// candidates still to expand and the best found. With the few hundred entries of an ef, shifting them is faster than
// two heaps.
//
// An entry is one u64: the distance, as bits that order like it, above slot << 2 | hit << 1 | expanded. A *hit* may be
// answered; the others (tombstones, slots that wait to be linked again) only lead the way. The pool ends with its ef-th
// hit, so dead entries in between cost room, never recall: with none, it is an array of ef entries.
//
// A *narrow* pool ends with its `most`-th entry, as long as it holds so many hits; when it does not, the search has *failed* and
// has to be done again without. That is for filters that allow many: there, waiting for ef hits would look at as many times
// more candidates as there are slots to one that is allowed, though the nearest few hits are among the first.
#pragma once

#include "../core/types.h"

namespace shibumi {

SHIBUMI_HOT u32 ordered_bits(f32 value) {
  u32 bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return (bits & 0x80000000u) ? ~bits : bits | 0x80000000u;
}

inline f32 of_ordered_bits(u32 bits) {
  bits = (bits & 0x80000000u) ? bits & 0x7fffffffu : ~bits;
  f32 value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr u64 kExpandedBit = 1, kHitBit = 2;

SHIBUMI_HOT u64 pool_entry(f32 distance, u32 slot, bool hit) {
  return static_cast<u64>(ordered_bits(distance)) << 32 | static_cast<u64>(slot) << 2 | (hit ? kHitBit : 0);
}
inline u32 slot_of(u64 entry) { return static_cast<u32>(entry) >> 2; }
inline f32 distance_of(u64 entry) { return of_ordered_bits(static_cast<u32>(entry >> 32)); }

/// Where a narrow pool ends. `most` 0: it is not narrow.
struct Narrow {
  u32 most = 0;
  u32 hits = 0;
};

struct Pool {
  u64* entries = nullptr;
  u32 capacity = 0;
  u32 ef = 0;
  u32 size = 0;
  u32 hits = 0;
  u32 cursor = 0;  // everything before it is expanded
  f32 bound = 0;   // what is not nearer than this does not get in
  Narrow narrow;
  bool failed = false;

  /// A narrow pool's `most` is below the room.
  void start(u64* storage, u32 room, u32 hits_wanted, Narrow ends = {}) {
    *this = Pool{storage, room, hits_wanted, 0, 0, 0, __builtin_inff(), ends, false};
  }

  /// Requires: the slot is not in the pool.
  void insert(f32 distance, u32 slot, bool hit) {
    const u64 entry = pool_entry(distance, slot, hit);
    if (size == capacity) {
      if (entry > entries[size - 1]) return;
      drop_last();
    }
    u32 i = size++;
    for (; i > 0 && entries[i - 1] > entry; i--) entries[i] = entries[i - 1];
    entries[i] = entry;
    if (i < cursor) cursor = i;
    if (hit) hits++;
    if (narrow.most != 0 && size > narrow.most) {
      drop_last();
      bound = distance_of(entries[size - 1]);
      failed = failed || hits < narrow.hits;
      return;
    }
    if (hits < ef && size < capacity) return;
    while (hits > ef) drop_last();
    if (hits == ef) {
      while ((entries[size - 1] & kHitBit) == 0) drop_last();
    }
    bound = distance_of(entries[size - 1]);
  }

  /// The nearest entry not expanded yet, marked expanded; false when there is none.
  bool next(u32& slot) {
    while (cursor < size && (entries[cursor] & kExpandedBit)) cursor++;
    if (cursor == size || failed) return false;
    entries[cursor] |= kExpandedBit;
    slot = slot_of(entries[cursor++]);
    return true;
  }

 private:
  void drop_last() {
    if (entries[--size] & kHitBit) hits--;
    if (cursor > size) cursor = size;
  }
};

}  // namespace shibumi
