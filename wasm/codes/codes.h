// The codes of a space: a small stand-in for every original, kept beside it, in which scans and graphs measure first.
//
// Codes are derived data. SQ8 and BQ are written with the vector, so a live slot always has its code while the space is in use;
// in storage they may be older than the vectors, and a slot whose stamp is not that of its code is coded again when the
// space is opened. Answers are measured again with the originals by whoever asks (VectorStore).
//
// Invariants
//  * kCodes and kCodeStamps have a record for every slot.
//  * All codes of BQ were made with the stored centre. It is made anew whenever there are four times as many vectors as it
//    was made from, up to kTrainedMost: each time all codes are made again, which in sum costs a third of coding once.
//
// PQ has to be trained first, and coding costs as much as linking: there the posting lists (index/ivf.h) have a slot coded when
// they take it in, and say which slots have codes.
//
// Requires, where something is coded: the originals are present. `open` asks for those it needs.
#pragma once

#include "../vector/slots.h"
#include "bits.h"
#include "pq.h"
#include "sq8.h"

namespace shibumi {

class Codes {
 public:
  /// Names the segments. kNoCodes: there are none, and nothing else is done.
  void define(CodeKind kind, const Rows* rows, const Slots* slots, const Quantizer* quantizer);
  Status create();
  /// Checks the stored sizes and codes what is missing. Without any code block everything is coded.
  /// kOk, kCorrupt, kOutOfMemory, or kAbsent: what could be coded is, and the call is repeated.
  Status open(u32 slot_count, u32 live_count);

  bool any() const { return kind_ != kNoCodes; }
  bool written_at_insert() const { return any() && !is(kPq); }
  bool is(CodeKind kind) const { return has_codes(kind) && kind_ == kind; }

  /// Blocks that `write` and `grown` may append and touch for `count` inserts that bring the slots to `slots_after`.
  u32 missing_blocks(u32 slots_after) const;
  u32 touched_blocks(u32 count) const;
  /// Blocks that `count` inserts may append, whatever there is.
  u32 blocks_bound(u32 count) const;
  /// Codes a slot's vector. Requires: reserve.
  void write(u32 slot, u32 stamp);
  /// PQ: the same for a vector of a list. `residual` has room for the dimension. Requires: trained, reserve.
  void write_pq(u32 slot, u32 stamp, u32 list, f32* residual);
  u32 missing_pq_blocks(u32 slots_after) const {
    return is(kPq) ? records_.missing_blocks(slots_after) + stamps_.missing_blocks(slots_after) : 0;
  }
  /// Slots that have records, and the stamp of the vector that was coded in one.
  u32 slot_count() const { return meta_read().slot_count; }
  u32 coded_stamp(u32 slot) const { return *reinterpret_cast<const u32*>(stamps_.get(slot)); }
  /// After inserts: trains where it is time to. Requires: reserve.
  void grown(u32 slot_count, u32 live_count);

  /// Codes a query, which the sources made from then on measure. False when memory is out.
  bool prepare(const Probe& query);

  Sq8Source sq8() const {
    return {PagedView(records_), query_.as<QueryLane>(), query_side_, rows_->dimension, rows_->metric};
  }
  BitScratch& bit_scratch() { return bit_scratch_; }
  BitSource bits() const { return {PagedView(records_), query_.as<u8>()}; }
  PqSource pq() const { return {PagedView(records_), query_.as<f32>(), quantizer_->config().subspaces, pq_base_}; }

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
  const Quantizer* quantizer_ = nullptr;
  PagedArray records_, stamps_;
  TransientBuffer query_;
  Sq8Side query_side_{};
  BitScratch bit_scratch_;
  f32 pq_base_ = 0;
};

/// Calls body(source) with the source of what the space measures first: its codes, or the originals where it has none.
template <class Body>
auto with_source(const Codes& codes, const Rows& rows, const Probe& query, Body body) {
  if (codes.is(kSq8)) return body(codes.sq8());
  if (codes.is(kBits)) return body(codes.bits());
  if (codes.is(kPq)) return body(codes.pq());
  return body(RowSource(rows, query));
}

/// The same for what a graph is built over, which compares stored vectors with each other.
template <class Body>
auto with_stored_source(const Codes& codes, const Rows& rows, Body body) {
  if (codes.is(kSq8)) return body(codes.sq8());
  if (codes.is(kBits)) return body(codes.bits());
  return body(RowSource(rows, {}));
}

}  // namespace shibumi
