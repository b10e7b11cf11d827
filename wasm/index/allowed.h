// Which slots a search may answer with: the face between filters and every kind of index.
//
// A filter is evaluated once, to a bit a slot; an index asks for bits and knows nothing of fields or values. Only live
// slots have theirs set, pending ones as well. The bits are read in words of 64: an index may skip 64 slots at a time.
#pragma once

#include "../core/types.h"

namespace shibumi {

struct Allowed {
  const u64* words = nullptr;  // bit `slot % 64` of word `slot / 64`; nullptr: every live slot
  u32 count = 0;               // live slots allowed

  bool all() const { return words == nullptr; }
  /// Whether a live slot may be answered.
  SHIBUMI_HOT bool operator()(u32 slot) const { return words == nullptr || (words[slot / 64] >> (slot % 64) & 1) != 0; }
};

}  // namespace shibumi
