// An ordered map from byte strings to byte strings: a B+tree in the pages of one arena segment.
//
// The key-value engine keeps its entries in one; a vector space maps ids to slots with another. Keys are compared as
// unsigned bytes, a shorter key before a longer one that starts with it. Values that do not fit beside their key go to
// overflow pages. The layout of pages is in btree_page.h, who owns which page in btree_pages.h.
//
// Invariants
//  * All state is in the segment: a Btree object is a name for it and may be made anywhere, any number of times.
//  * Every page is reached through the frame table, so any block may be absent. A call that meets an absent block
//    answers kAbsent, the fault recorded, and has changed nothing: adopt the block and repeat the call.
//  * A mutation is planned (descend, see that every page it needs is there, count blocks), then memory is reserved, then
//    applied; applying cannot miss, grow or fail. `put` and `remove` do all three; a caller who changes several things
//    at once takes the steps apart and reserves the sum.
//  * Leaves hold keys in strictly ascending order; all leaves are at level 0.
//
// Concurrency: none; one instance is used by one thread. Plans, cursors and views die with the next mutation.
#pragma once

#include "../core/arena.h"

namespace shibumi {

constexpr u32 kKeyBytesMax = 4096;
constexpr u32 kValueBytesMax = 64u << 20;
/// Levels a tree may have. The widest keys still give three cells a page, so this is out of reach of 2^18 pages.
constexpr u32 kTreeLevelsMax = 32;

/// Bytes of somebody else: good until the next call that writes.
struct Bytes {
  const u8* data = nullptr;
  u32 length = 0;
};

/// What is stored under a key. `data` is where the value is when it lies in one piece beside its key, else nullptr:
/// then `read_value` copies it out. `flags` is the caller's byte, kept as it was put.
struct ValueView {
  const u8* data = nullptr;
  u32 length = 0;
  u8 flags = 0;
  const u8* overflow = nullptr;  // the cell's page list; for read_value
};

/// Where a key is or would be: one page a level, from the root (top) to the leaf (level 0).
struct TreePath {
  u32 levels = 0;
  u32 page[kTreeLevelsMax];      // by level, 0 = leaf
  i32 position[kTreeLevelsMax];  // leaf: slot; above: slot of the child taken, -1 = the leftmost child
};

/// Frames a mutation may need; add up several and pass the sums to `reserve`.
struct TreeNeed {
  u32 new_blocks = 0;
  u32 touched_blocks = 0;
};

/// What `plan_put` and `plan_remove` found; consumed by the matching `apply_*`. Dies with any change of the tree.
struct TreePlan {
  TreePath path;
  bool found = false;  // the key is there
  TreeNeed need;
};

class KeyHints;

class Btree {
 public:
  /// With `hints` (key_hints.h) reads of keys that were read before are quicker; then all that changes the tree has to know them.
  constexpr explicit Btree(SegmentId segment, KeyHints* hints = nullptr) : segment_(segment), hints_(hints) {}

  /// Makes an empty tree (one block). Requires: the segment is defined and has no blocks. kOk or kOutOfMemory.
  Status create();

  /// Checks the header; with `deep` also every page (bounds, order, owners, totals), so that an image from anywhere may
  /// be used after kOk. kOk, kAbsent, kCorrupt, kOutOfMemory (the deep check's marks). Linear in the segment's size.
  Status open(bool deep) const;

  /// Entries; 0 while the header's block is absent.
  u32 count() const;
  /// Bytes of all keys and values together, without overhead; 0 while the header's block is absent.
  u64 payload_bytes() const;

  /// kOk and the value, kNotFound, or kAbsent.
  Status get(Bytes key, ValueView& out) const;

  /// The same for several keys at a time, `get`'s outcome in `statuses`. Requires: count <= kGroupMax. What the keys need
  /// is touched for all of them before any is read, so that their cache misses overlap: 5-6 times the speed in a tree
  /// larger than the caches.
  static constexpr u32 kGroupMax = 32;
  void get_group(const Bytes* keys, u32 count, ValueView* out, Status* statuses) const;

  /// Copies `bytes` of a value from `offset` on. Requires: a view still good. kOk, kAbsent, or kInvalid when the range
  /// passes the value's end.
  Status read_value(const ValueView& value, u32 offset, u8* out, u32 bytes) const;

  /// Inserts or replaces. `existed` tells which. kOk, kAbsent, kOutOfMemory, kFull (the segment's pages are used up), or
  /// kInvalid (key over kKeyBytesMax, value over kValueBytesMax). Neither key nor value may lie in the segment itself.
  Status put(Bytes key, Bytes value, u8 flags, bool& existed);
  /// Replaces a value by one that takes as much room, where a hint leads to it; false, and nothing changed, where it is not so.
  bool put_by_hint(Bytes key, Bytes value, u8 flags);
  /// kOk when the key was there and is gone, kNotFound, kAbsent or kOutOfMemory.
  Status remove(Bytes key);

  // The same in steps: plan, reserve(need), apply.
  Status plan_put(Bytes key, u32 value_bytes, TreePlan& plan) const;
  void apply_put(const TreePlan& plan, Bytes key, Bytes value, u8 flags);
  /// kNotFound when there is nothing to remove.
  Status plan_remove(Bytes key, TreePlan& plan) const;
  void apply_remove(const TreePlan& plan);

  // For mutations that wait for the log before they are applied, so that their memory can be promised to them: upper
  // bounds for the tree as it is. What is needed when its turn comes `plan_*` and `reserve` find out.
  /// `count` puts or removals of at most these lengths each.
  TreeNeed bound(u32 count, u32 key_bytes, u32 value_bytes) const;
  /// `count` puts or removals with `payload_bytes` bytes of keys and values together.
  TreeNeed bound_total(u32 count, u64 payload_bytes) const;

  constexpr SegmentId segment() const { return segment_; }

 private:
  void find_group(const Bytes* keys, const u8* which, u32 count, ValueView* out, Status* statuses) const;
  void learn(Bytes key, u32 page, u32 cell) const;
  SegmentId segment_;
  KeyHints* hints_;
};

/// A place in the order of keys. Every step answers kOk (standing on an entry), kNotFound (no entry on that side; the
/// cursor is then unset) or kAbsent (nothing moved: adopt and repeat). Dies with any change of the tree.
class TreeCursor {
 public:
  constexpr explicit TreeCursor(const Btree& tree) : segment_(tree.segment()) {}

  /// The first entry whose key is >= `key` (> `key` if `after`).
  Status seek(Bytes key, bool after = false);
  /// The last entry whose key is < `key` (<= `key` if `inclusive`).
  Status seek_before(Bytes key, bool inclusive = false);
  Status first();
  Status last();
  Status next();
  Status previous();

  // Requires: standing on an entry. Views into the leaf page.
  Bytes key() const;
  ValueView value() const;

 private:
  Status locate(Bytes key, bool& equal);
  Status edge(bool rightmost);
  Status step_leaf(bool forward);
  Status descend_edge(TreePath& path, u32 from_level, bool rightmost);
  SegmentId segment_;
  TreePath path_;
  const u8* leaf_ = nullptr;
};

}  // namespace shibumi
