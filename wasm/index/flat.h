// Exact search: every live vector is measured. The oracle of all other indexes, and the faster one for few vectors.
#pragma once

#include "../vector/rows.h"
#include "allowed.h"
#include "top_k.h"

namespace shibumi {

/// Offers every live slot below `slot_count` that is allowed. Runs at memory speed: blocks are read once, front to back,
/// and of those only the allowed rows. Requires: all blocks of the rows are present.
void flat_scan(const Rows& rows, const Slots& slots, const Probe& probe, u32 slot_count, const Allowed& allowed,
               TopK& best);

}  // namespace shibumi
