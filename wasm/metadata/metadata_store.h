// The metadata of a vector space: a record a slot and the postings of its indexed fields, changed together.
//
// A record lies in a B+tree under slot u32, part u16 (both most significant first), in parts of at most 4 KiB: no value
// then needs overflow pages, and what a change may need is bounded by what it adds. A slot without metadata has no entry,
// and a space without any has no tree.
//
// Requires throughout: all blocks of both segments are present (they are not droppable).
#pragma once

#include "postings.h"

namespace shibumi {

/// The longest record.
constexpr u32 kRecordBytesMax = 64u << 10;

/// The records of a batch, one a row; an empty one is none.
struct MetadataBatch {
  const u32* ends = nullptr;  // cumulative: record i is bytes[ends[i - 1] .. ends[i]); null: no row has any
  const u8* bytes = nullptr;

  Bytes record(u32 i) const {
    if (ends == nullptr) return {};
    const u32 start = i == 0 ? 0 : ends[i - 1];
    return {bytes + start, ends[i] - start};
  }
};

class MetadataStore {
 public:
  constexpr MetadataStore(SegmentId records, SegmentId postings) : records_(records), postings_(postings) {}

  Status open(bool deep);
  /// Null while no slot has metadata.
  const Postings* postings() const { return present() ? &postings_ : nullptr; }

  /// What writing `count` records or patches of `bytes` bytes with `values` indexed values may need, together with the
  /// removal of whatever their slots had before.
  TreeNeed bound(u32 count, u32 values, u64 bytes) const;
  /// Blocks that a change may touch and that a checkpoint is copying or the next one will.
  u32 unsaved() const;
  /// Readies the trees for the first metadata. Requires: memory for it (bound). False when memory is out.
  bool prepare();

  // Requires of all three: memory for it (bound), prepare.
  /// Gives a slot without metadata this record. Requires: a good record.
  void write(u32 slot, Bytes record) { change(slot, {}, record); }
  /// Takes a slot's metadata away, if it has any.
  void erase(u32 slot) { change(slot, read(slot), {}); }
  /// Applies a good patch to a slot's record, or puts it in its place. False, and nothing changed, when the record would
  /// be too long.
  bool update(u32 slot, Bytes patch, bool replace);

  /// The slot's record; empty when it has none. Good until the next call.
  Bytes read(u32 slot);

  /// Whether every record is good and belongs to a slot for which `live` is true, and the postings are just theirs.
  template <class Live>
  bool check(u32 slot_count, Live live);

 private:
  bool present() const { return segments[records_.segment()].block_count > 0; }
  void change(u32 slot, Bytes old, Bytes record);
  bool check_record(u32 slot, u64& values);

  Btree records_;
  Postings postings_;
  TransientBuffer joined_;  // a record of several parts, in one piece
  TransientBuffer patched_;
};

template <class Live>
bool MetadataStore::check(u32 slot_count, Live live) {
  if (!present()) return true;
  u64 values = 0, total = 0;
  TreeCursor cursor(records_);
  u32 expected_slot = 0, expected_part = 0;
  Status status = cursor.first();
  for (; status == kOk; status = cursor.next()) {
    const Bytes key = cursor.key();
    if (key.length != 6) return false;
    const u32 slot = static_cast<u32>(key.data[0]) << 24 | static_cast<u32>(key.data[1]) << 16 |
                     static_cast<u32>(key.data[2]) << 8 | key.data[3];
    const u32 part = static_cast<u32>(key.data[4]) << 8 | key.data[5];
    if (part != 0 && (slot != expected_slot || part != expected_part)) return false;
    const ValueView value = cursor.value();
    if (value.data == nullptr || value.length > 4096 || part >= kRecordBytesMax / 4096 || slot >= slot_count || !live(slot)) return false;
    expected_slot = slot;
    expected_part = part + 1;
    if (part == 0 && !check_record(slot, values)) return false;
  }
  return status == kNotFound && postings_.check(slot_count, total) && total == values;
}

}  // namespace shibumi
