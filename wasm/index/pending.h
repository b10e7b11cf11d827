// Slots that wait for an index to take them in, in the order of their stamps. Transient.
//
// A slot may be freed, or freed and given to another vector, while it waits: its entry then carries a stamp that the slot
// no longer has and means nothing. An entry of stamp 0, which no vector has, asks for something else and always means it.
#pragma once

#include "../vector/slots.h"

namespace shibumi {

class PendingSlots {
 public:
  void define(const Slots* slots);

  /// Gives the memory back; `define` comes next.
  void release() { queue_.release(); }

  /// Makes room for `count` more. False when memory is out.
  bool reserve(u32 count);
  /// Requires: reserve; the slot is live, or `stamp` is 0.
  void add(u32 slot, u32 stamp);
  /// A waiting slot is about to be freed.
  void freed() { count_--; }
  /// Slots that wait.
  u32 count() const { return count_; }

  /// The oldest; false when none waits. It waits on until `take`.
  bool first(u32& slot, u32& stamp);
  void take();

  /// Brings what was added in another order (when a space is opened) into that of the stamps.
  void sort();

  /// Calls visit(slot, stamp) for all that wait.
  template <class Visit>
  void each(Visit visit) const {
    const Queued* queue = queue_.as<Queued>();
    for (u32 i = head_; i < tail_; i++) {
      const auto [slot, stamp] = queue[i];
      if (counts(slot, stamp)) visit(slot, stamp);
    }
  }

 private:
  struct Queued {
    u32 slot;
    u32 stamp;
  };

  bool counts(u32 slot, u32 stamp) const { return stamp == 0 || slots_->record(slot).stamp == stamp; }

  const Slots* slots_ = nullptr;
  TransientBuffer queue_;
  u32 head_ = 0, tail_ = 0;
  u32 count_ = 0;
};

}  // namespace shibumi
