// One page of the tree: how entries lie in 16 KiB, and what can be done inside them.
//
//   byte 0   PageHeader (16 bytes)
//   byte 16  leaves only: u8 tag[count], one for each slot, room for whole sixteens
//   then     Slot[count] (8 bytes each), in key order, growing up
//   ...      free
//   cells    down from the page's end, in no order: header u32, key, payload; unaligned
//
// All keys of a page share their first `prefix` bytes. A slot carries the four key bytes after those (`head`, big-endian,
// zero-padded), so a binary search stays in the slot array and looks at a cell only where heads are equal. Keys are
// whole in their cells: cutting the prefix off would save space but make every view a copy.
//
// A tag is a hash of the whole key. A point read compares it with all tags of the leaf, sixteen at a time, and then looks
// at one slot and one cell: in a tree larger than the caches a third of the misses of a binary search through the slots
// (1M keys of 20 B with values of 100 B: 1.0-1.2M gets/s against 0.7-0.8M, for a byte a key).
//
// A leaf cell's header is u16 payload bytes, u8 flags of the caller, u8 CellKind; its payload is the value or, in an
// overflow cell, a page list (btree_pages.h). A branch cell's header is the child page and there is no payload: the child
// holds keys >= the cell's key; `first_child` those below the first cell's key.
//
// Why 16 KiB: a 4 KiB key must fit three times, else a page cannot always be split in two.
#pragma once

#include "../core/arena.h"
#include "btree.h"

namespace shibumi {

constexpr u32 kPageShift = 14;
constexpr u32 kPageBytes = 1u << kPageShift;
constexpr u32 kPagesPerBlock = kBlockBytes / kPageBytes;

enum PageKind : u8 { kLeafPage = 1, kBranchPage = 2, kIndexPage = 3 };
enum CellKind : u8 { kInlineCell = 0, kOverflowCell = 1 };

struct PageHeader {
  u8 kind;          // PageKind
  u8 level;         // 0 = leaf
  u16 count;        // slots
  u16 cells;        // byte where the lowest cell begins; kPageBytes when there is none
  u16 garbage;      // bytes of removed cells between `cells` and the page's end
  u16 prefix;       // bytes all keys share (may be fewer than they really do)
  u16 last_insert;  // slot after the one inserted last, 0 = unknown: tells ascending inserts at a split
  u32 first_child;  // branch pages: the child below the first cell; else 0
};
static_assert(sizeof(PageHeader) == 16);
constexpr u32 kPageHeaderBytes = sizeof(PageHeader);

struct Slot {
  u32 head;
  u16 cell;
  u16 key_bytes;
};
static_assert(sizeof(Slot) == 8);
constexpr u32 kSlotBytes = sizeof(Slot);

constexpr u32 kCellHeaderBytes = 4;
/// What an entry takes in its leaf besides key and payload.
constexpr u32 kEntryOverhead = kCellHeaderBytes + kSlotBytes + 1;
/// Bytes for slots and cells.
constexpr u32 kPageRoom = kPageBytes - kPageHeaderBytes;
/// Of the room, what the tags' whole sixteens may waste.
constexpr u32 kTagSlack = 15;
/// No cell (with its slot and tag) takes more than a third of the room, so that a page that overflows by one cell can
/// always be cut in two: with total <= 4/3 of the room and cells <= 1/3, the balanced cut leaves at most 5/6 a side.
constexpr u32 kCellBytesMax = (kPageRoom - kTagSlack) / 3 - kSlotBytes - 1;
static_assert(kCellHeaderBytes + kKeyBytesMax + 36 <= kCellBytesMax);

template <class T>
inline T load(const u8* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
inline void store(u8* to, T value) {
  __builtin_memcpy(to, &value, sizeof value);
}

/// Copies a short run. memory.copy is a call out of the module in V8 and costs more than the copying below some 200
/// bytes; the empty asm keeps the compiler from turning the loop back into it.
inline void copy_run(u8* to, const u8* from, u32 count) {
  if (count > 256) {
    __builtin_memcpy(to, from, count);
    return;
  }
  u32 i = 0;
  for (; i + 8 <= count; i += 8) {
    store<u64>(to + i, load<u64>(from + i));
    asm volatile("");
  }
  if (i < count && count >= 8) {
    // The last eight once more in part, rather than the rest byte by byte.
    store<u64>(to + count - 8, load<u64>(from + count - 8));
    return;
  }
  for (; i < count; i++) {
    to[i] = from[i];
    asm volatile("");
  }
}

/// How many bytes two runs of `count` bytes have in common from their start.
inline u32 common_bytes(const u8* a, const u8* b, u32 count) {
  u32 i = 0;
  for (; i + 8 <= count; i += 8) {
    const u64 difference = load<u64>(a + i) ^ load<u64>(b + i);
    if (difference != 0) return i + static_cast<u32>(__builtin_ctzll(difference)) / 8;
  }
  while (i < count && a[i] == b[i]) i++;
  return i;
}

/// Whether a run of as many bytes is this key.
inline bool same_bytes(const u8* run, Bytes key) { return common_bytes(run, key.data, key.length) == key.length; }

/// < 0, 0, > 0 as `a` sorts before, with, after `b`.
inline i32 compare_keys(Bytes a, Bytes b) {
  const u32 shorter = min_of(a.length, b.length);
  const u32 same = common_bytes(a.data, b.data, shorter);
  if (same < shorter) return static_cast<i32>(a.data[same]) - static_cast<i32>(b.data[same]);
  return a.length < b.length ? -1 : a.length > b.length ? 1 : 0;
}

/// The four key bytes from `skip` on. Requires: skip <= key.length.
inline u32 key_head(Bytes key, u32 skip) {
  const u32 left = key.length - skip;
  if (left >= 4) return __builtin_bswap32(load<u32>(key.data + skip));
  u32 head = 0;
  for (u32 i = 0; i < left; i++) head |= static_cast<u32>(key.data[skip + i]) << (24 - 8 * i);
  return head;
}

/// An entry as it goes into a page, and as it is seen there.
struct Cell {
  u32 header = 0;
  Bytes key;
  Bytes payload;
  u32 bytes() const { return kCellHeaderBytes + key.length + payload.length; }
};

inline u32 leaf_cell_header(u32 payload_bytes, u8 flags, CellKind kind) {
  return payload_bytes | static_cast<u32>(flags) << 16 | static_cast<u32>(kind) << 24;
}
inline u32 cell_payload_bytes(u32 header) { return header & 0xFFFF; }
inline u8 cell_flags(u32 header) { return static_cast<u8>(header >> 16); }
inline u8 cell_kind(u32 header) { return static_cast<u8>(header >> 24); }

// --- reading ----------------------------------------------------------------------------------------------------------

inline const PageHeader& page_header(const u8* page) { return *reinterpret_cast<const PageHeader*>(page); }
inline PageHeader& page_header(u8* page) { return *reinterpret_cast<PageHeader*>(page); }

/// Where the slots of a page with `count` of them begin.
inline u32 slots_at(u32 level, u32 count) { return kPageHeaderBytes + (level == 0 ? (count + 15) & ~15u : 0); }
inline const u8* leaf_tags(const u8* page) { return page + kPageHeaderBytes; }
inline u8* leaf_tags(u8* page) { return page + kPageHeaderBytes; }
SHIBUMI_HOT const Slot* page_slots(const u8* page) {
  return reinterpret_cast<const Slot*>(page + slots_at(page_header(page).level, page_header(page).count));
}
SHIBUMI_HOT Slot* page_slots(u8* page) {
  return reinterpret_cast<Slot*>(page + slots_at(page_header(page).level, page_header(page).count));
}
/// A hash of a key. Its upper byte is the key's tag in a leaf, and so part of the format.
u64 key_hash(Bytes key);
inline u8 key_tag(Bytes key) { return static_cast<u8>(key_hash(key) >> 56); }

inline Bytes slot_key(const u8* page, const Slot& slot) {
  return {page + slot.cell + kCellHeaderBytes, slot.key_bytes};
}
inline Bytes page_key(const u8* page, u32 position) { return slot_key(page, page_slots(page)[position]); }

inline Cell page_cell(const u8* page, u32 position) {
  const Slot& slot = page_slots(page)[position];
  const u32 header = load<u32>(page + slot.cell);
  const Bytes key = slot_key(page, slot);
  return {header, key, {key.data + key.length, page_header(page).level == 0 ? cell_payload_bytes(header) : 0}};
}

/// The child at `position`; -1 is the first child.
inline u32 branch_child(const u8* page, i32 position) {
  return position < 0 ? page_header(page).first_child : load<u32>(page + page_slots(page)[position].cell);
}

/// What a cell takes with its slot and tag.
inline u32 footprint(const Cell& cell, u32 level) { return cell.bytes() + kSlotBytes + (level == 0 ? 1 : 0); }
/// What the cells of a page take with their slots and tags.
inline u32 page_used(const u8* page) {
  const PageHeader& header = page_header(page);
  return kPageBytes - header.cells - header.garbage + header.count * (kSlotBytes + (header.level == 0 ? 1u : 0u));
}
/// Bytes that one more cell may have, after compaction if need be.
inline u32 page_free(const u8* page) {
  const PageHeader& header = page_header(page);
  const u32 end = header.cells + header.garbage;
  const u32 taken = slots_at(header.level, header.count + 1u) + (header.count + 1u) * kSlotBytes;
  return taken < end ? end - taken : 0;
}

/// The value of a leaf's cell.
ValueView cell_value(const u8* cell, u32 key_bytes);
/// That of a leaf's entry. Requires: `position` is one of its slots.
inline ValueView leaf_value(const u8* leaf, u32 position) {
  const Slot& slot = page_slots(leaf)[position];
  return cell_value(leaf + slot.cell, slot.key_bytes);
}

/// The first slot whose key is >= `key`, and whether it is equal.
u32 page_lower_bound(const u8* page, Bytes key, bool& equal);
/// The slot with exactly this key, or -1. By tags, so faster than page_lower_bound.
i32 leaf_find(const u8* page, Bytes key);
/// The first slot whose tag is the key's, or -1: where leaf_find will most likely find it, without a look at the slot.
i32 leaf_guess(const u8* page, Bytes key);
/// The child to descend into for `key`, as a position for branch_child.
i32 branch_find(const u8* page, Bytes key);

// --- writing ----------------------------------------------------------------------------------------------------------

void page_init(u8* page, u32 level, u32 first_child);
/// Whether inserting a cell so large would move the others.
bool page_insert_compacts(const u8* page, u32 cell_bytes);
/// Requires: page_free(page) >= cell.bytes(); the cell is not a view into this page.
void page_insert(u8* page, u32 position, const Cell& cell);
void page_remove(u8* page, u32 position);

/// A copy of a page, to read cells from while the page itself is rebuilt.
const u8* page_stash(const u8* page);
/// Fills an initialised page with cells `from` .. `to` - 1 of a sequence. Requires: they fit and are not in this page.
template <class Sequence>
void page_fill(u8* page, const Sequence& cell_at, u32 from, u32 to);
void page_append(u8* page, const Cell& cell);

/// Length of the longest common start of two keys.
inline u32 common_prefix(Bytes a, Bytes b) { return common_bytes(a.data, b.data, min_of(a.length, b.length)); }

template <class Sequence>
void page_fill(u8* page, const Sequence& cell_at, u32 from, u32 to) {
  if (from == to) return;
  page_header(page).prefix = static_cast<u16>(common_prefix(cell_at(from).key, cell_at(to - 1).key));
  for (u32 i = from; i < to; i++) page_append(page, cell_at(i));
}

}  // namespace shibumi
