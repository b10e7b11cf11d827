#include "pending.h"

namespace shibumi {

void PendingSlots::define(const Slots* slots) {
  slots_ = slots;
  head_ = tail_ = count_ = 0;
}

bool PendingSlots::reserve(u32 count) {
  if (head_ == tail_) head_ = tail_ = 0;
  if (head_ > tail_ / 2) {
    Queued* queue = queue_.as<Queued>();
    __builtin_memmove(queue, queue + head_, (tail_ - head_) * sizeof(Queued));
    tail_ -= head_;
    head_ = 0;
  }
  const u64 bytes = (static_cast<u64>(tail_) + count) * sizeof(Queued);
  return bytes < (1ull << 31) && queue_.ensure(static_cast<u32>(bytes), true);
}

void PendingSlots::add(u32 slot, u32 stamp) {
  queue_.as<Queued>()[tail_++] = {slot, stamp};
  count_++;
}

bool PendingSlots::first(u32& slot, u32& stamp) {
  const Queued* queue = queue_.as<Queued>();
  for (; head_ < tail_; head_++) {
    slot = queue[head_].slot;
    stamp = queue[head_].stamp;
    if (counts(slot, stamp)) return true;
  }
  return false;
}

void PendingSlots::take() {
  head_++;
  count_--;
}

// Heapsort, because the order of slots may be the opposite of that of stamps.
void PendingSlots::sort() {
  Queued* queue = queue_.as<Queued>() + head_;
  const u32 all = tail_ - head_;
  const auto sift = [queue](u32 i, u32 count) {
    const Queued moved = queue[i];
    for (u32 child; (child = 2 * i + 1) < count; i = child) {
      if (child + 1 < count && queue[child].stamp < queue[child + 1].stamp) child++;
      if (queue[child].stamp <= moved.stamp) break;
      queue[i] = queue[child];
    }
    queue[i] = moved;
  };
  for (u32 i = all / 2; i-- > 0;) sift(i, all);
  for (u32 count = all; count > 1;) {
    const Queued last = queue[0];
    queue[0] = queue[--count];
    queue[count] = last;
    sift(0, count);
  }
}

}  // namespace shibumi
