// Slots and ids: which slots are live, what each one's id is, and how two of them compare.
//
// A slot is live or free. Free ones form a list through their records, the last freed first, so that which slot an
// insert gets depends on the stored state alone. Beside the records there is one transient byte a slot, the *mark*: bit 0
// live, bit 1 linked into the graph as it is now, bit 2 its node is in a chain of copies.
#pragma once

#include "../kv/btree.h"
#include "format.h"

namespace shibumi {

constexpr u8 kLiveMark = 1, kLinkedMark = 2, kChainedMark = 4;

struct Slots {
  PagedArray records;
  IdKind id_kind = kIntIds;
  TransientBuffer mark_bytes;

  void define(IdKind kind);

  const SlotRecord& record(u32 slot) const { return *reinterpret_cast<const SlotRecord*>(records.get(slot)); }
  SlotRecord& mut(u32 slot) const { return *reinterpret_cast<SlotRecord*>(records.mut(slot)); }
  u8* marks() const { return mark_bytes.as<u8>(); }
  bool live(u32 slot) const { return (marks()[slot] & kLiveMark) != 0; }

  /// The string id at a reference. Requires: ids are strings, the reference is good.
  static Bytes string_at(u64 reference);
  /// The id of a live slot as its tree key; `storage` holds an int's 8 bytes.
  Bytes key(u32 slot, u8* storage) const;
  /// Whether live slot a's id comes before live slot b's: numerically, or by bytes.
  bool id_before(u32 a, u32 b) const;
};

/// An int id as a tree key (see format.h), and back.
void int_key(i64 id, u8* out8);
i64 int_of_key(const u8* key8);

/// By bytes, a shorter string before a longer one that starts with it: negative, 0 or positive.
i32 compare_bytes(Bytes a, Bytes b);

/// Bytes a string id takes in kStringIds.
inline u32 string_record_bytes(u32 length) { return (4 + length + 3) & ~3u; }

}  // namespace shibumi
