// An inverted file: every vector is in the posting list of the centroid nearest to it, and a search looks through the lists
// whose centroids are nearest to the query (Sivic and Zisserman, "Video Google", 2003). With PQ it is also what has vectors
// coded, as a code says what a vector has beyond the centroid of its list; without more lists than one it does only that.
//
// A slot *waits* until it is in a list: before there are enough vectors to train with, while training goes on, and then
// until its turn comes. What waits is measured exactly by every search. Work is done in steps of about a millisecond.
//
// Invariants
//  * A slot is in the list its entry names when the entry carries the slot's stamp; else it waits, or is free.
//  * With PQ a slot in a list has its code.
//  * The centroids stay as they were trained: what is inserted later goes to the nearest of them.
//
// Requires throughout: the originals are present.
#pragma once

#include "../codes/codes.h"
#include "allowed.h"
#include "pending.h"
#include "posting_lists.h"
#include "top_k.h"
#include "training.h"

namespace shibumi {

class InvertedFile {
 public:
  /// Names the segments and forgets everything transient.
  void define(const QuantizerConfig& config, const Rows* rows, const Slots* slots, Codes* codes);
  /// Checks what is stored, makes the lists from it and queues what waits. kOk, kCorrupt or kOutOfMemory.
  Status open(u32 slot_count);

  /// Gives the transient memory back; `define` comes next.
  void release() {
    if (!has_index(kIvf)) return;
    training_.end();
    quantizer_.release();
    lists_.release();
    pending_.release();
    order_.release();
  }

  bool any() const { return has_index(kIvf) && quantizer_.any(); }
  bool trained() const { return has_index(kIvf) && quantizer_.trained(); }
  u32 trained_on() const { return quantizer_.trained_on(); }
  u32 list_count() const { return quantizer_.list_count(); }
  const Quantizer& quantizer() const { return quantizer_; }
  u32 points_needed() const { return training_.points_needed(); }
  /// Live slots that are in no list.
  u32 waiting() const { return has_index(kIvf) ? pending_.count() : 0; }
  /// Whether `step` has something to do.
  bool has_work(u32 live_count) const {
    return waiting() > 0 && (trained() || live_count >= points_needed());
  }
  /// What is left of training as it began, 0..1.
  f64 training_left(u32 live_count) const;

  /// Makes room to queue `count` more slots. False when memory is out.
  bool reserve_queue(u32 count) { return !any() || pending_.reserve(count); }
  /// A slot was given to a new vector. Requires: reserve_queue.
  void inserted(u32 slot, u32 stamp);
  /// A live slot is about to be freed (its record still has its stamp).
  void removed(u32 slot);

  /// A slice of training, or one slot into its list. kOk or kOutOfMemory. Requires: has_work.
  Status step(u32 slot_count, u32 live_count);

  /// Offers what is allowed in the `nprobe` nearest lists that have any such slot, and goes on to further lists while `best`
  /// has room; at the distances of the codes, where there are any. Requires: trained; codes prepared for the query.
  /// kOk or kOutOfMemory.
  Status search(const Probe& query, u32 nprobe, const Allowed& allowed, TopK& best);
  /// Offers every waiting slot that is allowed, measured exactly or, where it has a code, by that.
  void scan_waiting(const Probe& query, const Allowed& allowed, TopK& best, bool by_codes) const;

 private:
  struct NearList {
    f32 distance;
    u32 list;
  };

  const ListEntry& entry(u32 slot) const { return *reinterpret_cast<const ListEntry*>(entries_.get(slot)); }
  bool in_list(u32 slot) const;
  Status assign_next();
  u32 heap_lists(const f32* order, NearList* heap) const;

  const Rows* rows_ = nullptr;
  const Slots* slots_ = nullptr;
  Codes* codes_ = nullptr;
  Quantizer quantizer_;
  Training training_;
  PagedArray entries_;

  // Transient.
  PostingLists lists_;
  PendingSlots pending_;
  TransientBuffer residual_;  // f32[dimension]
  TransientBuffer order_;     // f32 a list, how far it is; then f32 a list, its base; then NearList a list
};

}  // namespace shibumi
