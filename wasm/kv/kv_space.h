// A key-value space: what it stores, and its operations in terms of the tree.
//
//   segment   group    blocks hold
//   kKvMeta   primary  one block: KvSuperblock
//   kKvTree   primary  B+tree (btree.h) from key to value; droppable
//   kKvDeadlines primary  B+tree from (deadline u64, XXH64 of the key), both most significant first, to key; droppable
//
// An entry may have a deadline: then its value begins with it (u64, milliseconds since 1970) and the second tree has a
// line for it, so that what is due is found without looking at everything. Whether an entry has expired is for the reader
// to say, who has a clock; `sweep` removes what has.
//
// A value's flag byte says what its bytes mean. The core stores it and refuses bits it does not know, so that a later
// meaning can be given to one without a new format: values that carry one today carry zeros in the others.
//
// Concurrency: none; one instance is used by one thread.
#pragma once

#include "key_hints.h"

namespace shibumi {

enum KvSegment : SegmentId { kKvMeta = 0, kKvTree = 1, kKvDeadlines = 2 };

enum ValueFlag : u8 {
  kValueIsBytes = 1,      // a Uint8Array; else a string's UTF-8
  kValueHasDeadline = 2,  // the value's first 8 bytes are its deadline
  kValueIsLarge = 4,      // the rest of it says where the host keeps the value's bytes
};
constexpr u32 kValueFlagsKnown = kValueIsBytes | kValueHasDeadline | kValueIsLarge;

constexpr u64 kKvMagic = 0x56454B5542494853;  // "SHIBUKEV"
constexpr u32 kKvVersion = 1;

struct KvSuperblock {
  u64 magic;
  u32 version;
  u32 reserved[13];  // 0
};
static_assert(sizeof(KvSuperblock) == 64 && offsetof(KvSuperblock, version) == 8);

/// Packed forms of entries on the border, each padded to 4 bytes: header, key, value.
struct PackedEntry {
  u32 key_bytes;
  u32 value_bytes;
  u32 flags;  // the value's, and PackedFlag
};
static_assert(sizeof(PackedEntry) == 12);

/// A value in columns: what it is, in the upper two bits, and its length (src/base/packed-values.ts).
enum ColumnKind : u32 {
  kColumnMissing = 0,
  kColumnText = 1u << 30,
  kColumnBytes = 2u << 30,
  kColumnApart = 3u << 30,  // kept by the host, or larger than the whole buffer, and not there; its length counts its deadline too
};

enum PackedFlag : u32 {
  kPackedRemove = 1u << 29,  // remove the key
};

/// Where a scan puts entries: `heads` has the lengths of the keys, then those of the values (ColumnKind | length), `limit`
/// each; keys and values lie one after another.
struct ScanColumns {
  u32* heads;
  u32 limit;
  u8* keys;
  u32 keys_room;
  u8* values;
  u32 values_room;
};

/// What a scan did.
struct ScanResult {
  u32 key_bytes;
  u32 value_bytes;
  u32 last_key_bytes;  // of the last key that it came to, expired or not, which is behind the other keys; 0: to none
  u32 flags;           // ScanFlag
};
enum ScanFlag : u32 {
  kScanEnded = 1,  // there is no more in the range
  kScanApart = 2,  // some values are kColumnApart
};
static_assert(sizeof(ScanResult) == 16);

struct KvRange {
  Bytes start;          // empty: from the first key
  bool after = false;   // start itself is left out
  Bytes end;            // exclusive
  bool has_end = false;
  bool reverse = false;
};

class KvSpace {
 public:
  /// Requires: an empty arena. kOk or kOutOfMemory.
  Status create();
  /// Requires: the host has adopted the blocks. kOk, kAbsent, kCorrupt, kOutOfMemory.
  Status open(bool deep);
  bool ready() const { return ready_; }
  Btree& tree() { return tree_; }
  Btree& deadlines() { return deadlines_; }

  /// Inserts or replaces, and keeps the deadlines in step. Statuses as Btree::put; kInvalid for a flag without its bytes.
  Status put(Bytes key, Bytes value, u8 flags, bool& existed);
  /// Statuses as Btree::remove.
  Status remove(Bytes key);
  /// Removes at most `most` entries whose deadline is `now` or earlier. Returns how many.
  u32 sweep(u64 now, u32 most, Status& status);
  /// The key that `sweep` would look at first, if its line is due: its bytes go to `key`, which has room for the longest.
  /// kNotFound when nothing is due.
  Status due(u64 now, u8* key, u32& key_bytes) const;
  /// The earliest deadline, 0 when there is none. kOk or kAbsent.
  Status next_deadline(u64& deadline) const;

  /// Whether all that a put would read and write is present: kOk, kAbsent, or what it could not be done for. What a
  /// mutation of another key changes before it may ask for more.
  Status ready_for(Bytes key, Bytes value, u8 flags) const;
  Status ready_for_removal(Bytes key) const;

  /// Reads entries of a range that have not expired by `now`, in its direction, until a column is full. Returns how many; with
  /// `status` other than kOk when it could not read what it came to first. A value that fits in no column of this size is
  /// the last of its call and kColumnApart, as are those that the host keeps.
  u32 scan(const KvRange& range, u64 now, const ScanColumns& out, ScanResult& result, Status& status);

  /// Looks up packed keys {u32 length, bytes, padding to 4}, in order, as of `now`. Writes a head each and the values one
  /// after another. Returns how many were answered: fewer than `count` when the next value does not fit or could not be
  /// read, or with kInvalid at a malformed key. `used`: bytes of `out`.
  u32 get_columns(const u8* keys, u32 keys_bytes, u32 count, u64 now, u32* heads, u8* out, u32 out_bytes, u32& used,
                  Status& status);

  /// Applies packed entries in order, each by itself. Returns how many were applied; fewer than `count` with `status`
  /// saying why the next one was not (it has changed nothing): repeat from `consumed` on.
  u32 apply_packed(const u8* entries, u32 bytes, u32 count, u32& consumed, Status& status);

 private:
  Status deadline_of(Bytes key, u64& deadline) const;
  Status plan_put(Bytes key, Bytes value, u8 flags, u64& former, TreePlan& plan) const;
  Status plan_remove(Bytes key, u64& former, TreePlan& plan) const;
  void remove_line(u64 deadline, Bytes key);

  KeyHints hints_{kKvTree};
  Btree tree_{kKvTree, &hints_};
  Btree deadlines_{kKvDeadlines};
  bool ready_ = false;
};

}  // namespace shibumi
