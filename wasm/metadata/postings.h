// The index of metadata: which slots have which value in which field, in the order of values.
//
// A B+tree whose key is field u8, the value's key (record.h), chunk u24 (most significant first), and whose value says
// which of the 256 slots of that chunk have the field's value: up to 31 of them as their low bytes, ascending; more as 256
// bits. These are the two containers of Roaring bitmaps (Chambi, Lemire, Kaser, Godin 2014, arXiv 1402.6407), smaller
// because a tree of them has to change in place: an entry never takes more than 32 bytes, a common value costs a byte or
// less a slot, a range of values is one run of entries.
//
// All of it could be made again from the records; it is stored with them so that a filter works as soon as a space is open.
#pragma once

#include "record.h"

namespace shibumi {

class Postings {
 public:
  constexpr explicit Postings(SegmentId segment) : tree_(segment) {}

  constexpr SegmentId segment() const { return tree_.segment(); }
  Status create() { return tree_.create(); }
  Status open(bool deep) const { return tree_.open(deep); }

  /// Adds or removes a slot; nothing happens where it is so already. Requires: memory for it (bound).
  void add(u8 field, const FieldValue& value, u32 slot);
  void remove(u8 field, const FieldValue& value, u32 slot);
  bool has(u8 field, const FieldValue& value, u32 slot) const;

  /// What `count` additions or removals of values whose records have `record_bytes` together may need.
  TreeNeed bound(u32 count, u64 record_bytes) const;

  /// One end of a range of values; `present` is false where it is open.
  struct Limit {
    bool present = false;
    bool exclusive = false;
    FieldValue value;
  };
  /// Sets the bits of the slots below `slot_count` whose field has a value in the range.
  void mark(u8 field, const Limit& low, const Limit& high, u32 slot_count, u64* words) const;

  /// Whether every entry is well-formed; `total` gets how many slots they hold. For images from elsewhere.
  bool check(u32 slot_count, u64& total) const;

 private:
  Btree tree_;
};

}  // namespace shibumi
