// The deep check of a tree's image: after kOk no read or mutation of it leaves its pages, loops or traps.
#pragma once

#include "../core/arena.h"

namespace shibumi {

/// Requires: the header's own fields are plausible (Btree::open). kOk, kAbsent, kCorrupt or kOutOfMemory.
Status check_tree(SegmentId segment);

}  // namespace shibumi
