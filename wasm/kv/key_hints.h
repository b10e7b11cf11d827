// Where keys of a tree were last seen: page and cell, found without a descent.
//
// A point read in a tree larger than the caches waits for a line of its leaf's tags, one of its slots and those of the cell, one after
// another, behind a descent. A hint is one line, and then the cell. Hints are transient: never stored, lost when the tree has outgrown
// their table, made by reads that came without one. They are a cache and may be dropped at any moment, but none may be wrong:
//
//  * A hint counts while its page's generation is the one it was made in. Whatever moves cells, or makes something else of a page, begins a
//    new one (`moved`). Inserting without compaction moves no cell; what removes one drops its key's hint (`forget`).
//  * A cell does not say how long its key is, so a hint does: a key that equals the cell's bytes in that length is the cell's.
//
// The table is set-associative: a hash chooses one line of eight. At 10 bytes a key some 5% of the keys find no place (1M keys of 10 B,
// values of 100 B).
//
// Concurrency: none; one instance is used by one thread.
#pragma once

#include "btree_pages.h"

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace shibumi {

/// One line of a processor's cache. `tag`: upper byte of the hash and length of the key, 0 = none.
struct alignas(16) HintLine {
  static constexpr u32 kWays = 8;
  u16 tag[kWays];
  u16 generation[kWays];
  u32 place[kWays];  // page << kPageShift | cell
};
static_assert(sizeof(HintLine) == 64);

class KeyHints {
 public:
  explicit constexpr KeyHints(SegmentId segment) : segment_(segment) {}

  /// Knows nothing, and holds nothing: the arena is a new one.
  void reset() { *this = KeyHints(segment_); }

  /// The key's line; nullptr when there is no table.
  SHIBUMI_HOT const HintLine* line_of(u64 hash) const {
    return line_count_ == 0 ? nullptr : at<const HintLine>(lines_) + line_index(hash);
  }

  /// Where the key most likely is (page << kPageShift | cell), not compared yet; 0 when no hint is good.
  SHIBUMI_HOT u32 guess(const HintLine& line, Bytes key, u64 hash) const {
    for (u32 bits = equal_ways(line, tag_of(key, hash)); bits != 0; bits &= bits - 1) {
      const u32 way = static_cast<u32>(__builtin_ctz(bits));
      const u32 place = line.place[way];
      if (at<const u16>(generations_)[place >> kPageShift] == line.generation[way]) return place;
    }
    return 0;
  }

  /// A guess's cell; nullptr when its block is absent. No fault is recorded: a descent will say what it needs.
  SHIBUMI_HOT const u8* cell_at(u32 place) const {
    const u32 page = place >> kPageShift;
    const Segment& segment = segments[segment_];
    const Addr frame = at<const Addr>(segment.frames)[block_of_page(page)];
    if (frame == 0) return nullptr;
    // As every read of a block: else those that are read most would be dropped first.
    at<u16>(segment.uses)[block_of_page(page)] |= kUsedBit;
    return at<const u8>(frame) + byte_of_page(page) + (place & (kPageBytes - 1));
  }

  /// Where the key is, or 0: a guess that was compared.
  u32 find(Bytes key, u64 hash) const;

  /// Notes where a key is. Part of a read: it may take memory, which applying may not.
  void learn(Bytes key, u64 hash, u32 page, u32 cell, u32 entries);
  /// Before a key's cell is given up.
  void forget(Bytes key);
  /// Before cells of a page move, or it becomes another.
  void moved(u32 page);

 private:
  static constexpr u32 kKeyBytesHinted = 255;
  /// Smaller trees lie in the caches.
  static constexpr u32 kEntriesLeast = 1024;

  SHIBUMI_HOT u32 line_index(u64 hash) const {
    return static_cast<u32>((u64{static_cast<u32>(hash >> 24)} * line_count_) >> 32);
  }
  SHIBUMI_HOT static u16 tag_of(Bytes key, u64 hash) {
    return key.length > kKeyBytesHinted ? 0 : static_cast<u16>((hash >> 56) << 8 | key.length);
  }
  /// Bit i: way i has this tag. A tag without a length is none.
  SHIBUMI_HOT static u32 equal_ways(const HintLine& line, u16 tag) {
    if ((tag & 0xFF) == 0) return 0;
#if defined(__wasm_simd128__)
    return wasm_i16x8_bitmask(wasm_i16x8_eq(wasm_v128_load(line.tag), wasm_u16x8_splat(tag)));
#else
    u32 bits = 0;
    for (u32 i = 0; i < HintLine::kWays; i++) bits |= (line.tag[i] == tag ? 1u : 0u) << i;
    return bits;
#endif
  }
  bool make_room(u32 entries);

  SegmentId segment_;
  Addr lines_ = 0;
  u32 line_count_ = 0;
  u32 line_bytes_ = 0;
  u32 entries_most_ = kEntriesLeast;  // with more the table is made anew
  Addr generations_ = 0;              // u16 a page
  u32 pages_ = 0;
};

}  // namespace shibumi
