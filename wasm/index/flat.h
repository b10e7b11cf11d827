// Exact search: every live vector is measured. The oracle of all other indexes, and the faster one for few vectors.
#pragma once

#include "../codes/codes.h"
#include "allowed.h"
#include "top_k.h"

namespace shibumi {

/// Offers every live slot below `slot_count` that is allowed, at its exact distance. Without a filter blocks are read once,
/// front to back, at memory speed.
/// Begins with `first`, and at the first block that is absent and holds any such slot it stops: kAbsent, the blocks it needs
/// are named, and `first` is where to go on. Else kOk.
Status flat_scan(const Rows& rows, const Slots& slots, const Probe& probe, u32& first, u32 slot_count,
                 const Allowed& allowed, TopK& best);

/// The same by codes: `best` gets those that are nearest to what the codes can tell.
/// Requires: the space has codes and they are prepared for the query. kOk or kOutOfMemory.
Status code_scan(Codes& codes, const Slots& slots, u32 slot_count, const Allowed& allowed, TopK& best);

}  // namespace shibumi
