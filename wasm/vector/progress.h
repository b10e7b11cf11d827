// How far an exact search got that came to originals that are absent.
//
// It measures in the order of slots, stops at the first original that is not there, and names the blocks it needs next, as
// many as one call may (kMissedMost). What it found until then goes to the caller, who has them fetched and calls again
// with it: however many originals have to be measured, no more than those blocks have to be in memory at a time.
//
// What was found counts only as long as no vector was put or deleted since; otherwise the search begins anew.
#pragma once

#include "../index/top_k.h"
#include "rows.h"

namespace shibumi {

enum SearchPhase : u32 {
  kFromBeginning = 0,
  kCandidates = 1,  // measuring again what the codes found nearest
  kUnlinked = 2,    // measuring what the index does not know yet
  kEverything = 3,  // measuring all that is allowed
};

struct SearchProgress {
  u32 phase = kFromBeginning;  // SearchPhase
  u32 slot = 0;                // the first that was not measured
  u32 count = 0;               // hits so far
  u32 version = 0;             // of the contents they were found in
  // The hits, in any order.
  const u32* slots = nullptr;
  const f32* distances = nullptr;

  /// Offers what was found so far.
  void offer_to(TopK& best) const {
    for (u32 i = 0; i < count; i++) best.offer(slots[i], distances[i]);
  }
  /// The phase is over: nothing was measured of the next.
  void next() {
    const u32 kept = version;
    *this = {};
    version = kept;
  }
};

/// Measures the originals at some slots, which it sorts, and offers them; those below `progress.slot` were before, if the
/// progress is of this phase. kOk, or kAbsent: `progress` then says where it stopped. `four`: measures as many in one pass.
Status measure_in_order(const Rows& rows, const Probe& probe, u32* slots, u32 count, bool four, SearchPhase phase,
                        SearchProgress& progress, TopK& best);

}  // namespace shibumi
