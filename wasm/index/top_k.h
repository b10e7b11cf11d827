// The k best hits seen so far, in the order every search answers in: by distance, ties by id.
//
// A binary heap with the worst hit on top, in memory the caller provides: most of what a scan meets is turned away by one
// comparison with `bound`. Hits that tie at the k boundary are settled by id, so an exact search has one right answer.
#pragma once

#include "../vector/slots.h"

namespace shibumi {

struct Hit {
  f32 distance;
  u32 slot;
};

class TopK {
 public:
  /// Takes nothing: a place for one.
  TopK() = default;
  /// `hits` has room for `capacity` > 0; nothing further away than `bound` is taken.
  TopK(const Slots& slots, Hit* hits, u32 capacity, f32 bound)
      : slots_(&slots), hits_(hits), capacity_(capacity), bound_(bound) {}

  /// Takes only what comes behind this distance and id from now on. Requires: `id`, a tree key, stays where it is.
  void start_behind(f32 distance, Bytes id) {
    floor_ = distance;
    floor_id_ = id;
  }

  /// What is further away than this need not be offered.
  f32 bound() const { return bound_; }
  u32 count() const { return count_; }
  u32 capacity() const { return capacity_; }

  /// Requires: the slot is live and was not offered before.
  void offer(u32 slot, f32 distance) {
    if (!(distance <= bound_)) return;
    if (floor_id_.data != nullptr && !behind_floor(slot, distance)) return;
    const Hit hit{distance, slot};
    if (count_ < capacity_) {
      sift_up(count_++, hit);
    } else {
      if (!before(hit, hits_[0])) return;
      sift_down(0, hit);
    }
    if (count_ == capacity_) bound_ = hits_[0].distance;
  }

  /// Sorts the hits, best first, in place and ends collecting.
  u32 finish() {
    const u32 found = count_;
    while (count_ > 1) {
      const Hit worst = hits_[0];
      const Hit moved = hits_[--count_];
      sift_down(0, moved);
      hits_[count_] = worst;
    }
    count_ = found;
    return found;
  }

 private:
  bool before(const Hit& a, const Hit& b) const {
    return a.distance < b.distance || (a.distance == b.distance && slots_->id_before(a.slot, b.slot));
  }

  bool behind_floor(u32 slot, f32 distance) const {
    u8 storage[8];
    if (distance != floor_) return distance > floor_;
    return compare_bytes(slots_->key(slot, storage), floor_id_) > 0;
  }

  void sift_up(u32 i, const Hit hit) {
    while (i > 0) {
      const u32 parent = (i - 1) / 2;
      if (!before(hits_[parent], hit)) break;
      hits_[i] = hits_[parent];
      i = parent;
    }
    hits_[i] = hit;
  }

  void sift_down(u32 i, const Hit hit) {
    for (;;) {
      u32 child = 2 * i + 1;
      if (child >= count_) break;
      if (child + 1 < count_ && before(hits_[child], hits_[child + 1])) child++;
      if (!before(hit, hits_[child])) break;
      hits_[i] = hits_[child];
      i = child;
    }
    hits_[i] = hit;
  }

  const Slots* slots_ = nullptr;
  Hit* hits_ = nullptr;
  u32 capacity_ = 0;
  u32 count_ = 0;
  f32 bound_ = 0;
  f32 floor_ = 0;
  Bytes floor_id_;  // data is null where there is no floor
};

}  // namespace shibumi
