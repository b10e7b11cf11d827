// The codes of a space: a small stand-in for every original, kept beside it, in which scans and graphs measure first.
//
// Codes are derived data. They are written with the vector, so a live slot always has its code while the space is in use;
// in storage they may be older than the vectors, and a slot whose stamp is not that of its code is coded again when the
// space is opened. Answers are measured again with the originals by whoever asks (VectorStore).
//
// Invariants
//  * kCodes and kCodeStamps have a record for every slot.
//  * All codes of BQ were made with the stored centre. It is made anew whenever there are four times as many vectors as it
//    was made from, up to kTrainedMost: each time all codes are made again, which in sum costs a third of coding once.
//
// Requires, where something is coded: the originals are present.
#pragma once

#include "../vector/slots.h"
#include "bits.h"
#include "sq8.h"

namespace shibumi {

class Codes {
 public:
  /// Names the segments. kNoCodes: there are none, and nothing else is done.
  void define(CodeKind kind, const Rows* rows, const Slots* slots);
  Status create();
  /// Checks the stored sizes and codes what is missing. Without any code block everything is coded.
  /// kOk, kCorrupt, kAbsent or kOutOfMemory.
  Status open(u32 slot_count, u32 live_count);

  bool any() const { return kind_ != kNoCodes; }
  CodeKind kind() const { return kind_; }

  /// Blocks that `write` and `grown` may append and touch for `count` inserts that bring the slots to `slots_after`.
  u32 missing_blocks(u32 slots_after) const;
  u32 touched_blocks(u32 count) const;
  /// Blocks that `count` inserts may append, whatever there is.
  u32 blocks_bound(u32 count) const;
  /// Codes a slot's vector. Requires: reserve.
  void write(u32 slot, u32 stamp);
  /// After inserts: trains where it is time to. Requires: reserve.
  void grown(u32 slot_count, u32 live_count);

  /// Codes a query, which the sources made from then on measure. False when memory is out.
  bool prepare(const Probe& query);

  Sq8Source sq8() const {
    return {PagedView(records_), query_.as<QueryLane>(), query_side_, rows_->dimension, rows_->metric};
  }
  BitScratch& bit_scratch() { return bit_scratch_; }
  BitSource bits() const { return {PagedView(records_), query_.as<u8>()}; }

 private:
  CodeSuperblock& meta() const { return *reinterpret_cast<CodeSuperblock*>(block_write(kCodeMeta, 0)); }
  const CodeSuperblock& meta_read() const { return *reinterpret_cast<const CodeSuperblock*>(block_read(kCodeMeta, 0)); }
  const f32* centre() const { return reinterpret_cast<const f32*>(&meta_read() + 1); }
  u32 record_bytes() const;
  void encode(u32 slot) const;
  void extend(u32 slot_count);
  void train(u32 slot_count, u32 live_count);

  CodeKind kind_ = kNoCodes;
  const Rows* rows_ = nullptr;
  const Slots* slots_ = nullptr;
  PagedArray records_, stamps_;
  TransientBuffer query_;
  Sq8Side query_side_{};
  BitScratch bit_scratch_;
};

/// Calls body(source) with the source of what the space measures first: its codes, or the originals where it has none.
template <class Body>
auto with_source(const Codes& codes, const Rows& rows, const Probe& query, Body body) {
  switch (codes.kind()) {
    case kSq8: return body(codes.sq8());
    case kBits: return body(codes.bits());
    default: return body(RowSource(rows, query));
  }
}

}  // namespace shibumi
