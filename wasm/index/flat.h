// Exact search: every live vector is measured. The oracle of all other indexes, and the faster one for few vectors.
#pragma once

#include "../vector/rows.h"
#include "top_k.h"

namespace shibumi {

/// Offers every live slot below `slot_count`. Runs at memory speed: blocks are read once, front to back.
/// Requires: all blocks of the rows are present.
void flat_scan(const Rows& rows, const Slots& slots, const Probe& probe, u32 slot_count, TopK& best);

}  // namespace shibumi
