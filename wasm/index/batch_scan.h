// Exact search for many queries in one pass over the rows.
//
// A scan for one query waits for memory: every row is read for one distance. Here a tile of rows is read once and, while
// it lies in the first cache, compared with all queries, two queries and four rows at a time (kernels/products.h), which
// is also twice as many sums for each value that is loaded.
//
// Distances must be what a search for one query gives. So the products only turn rows away: a distance made of |q|^2,
// |x|^2 and q.x is right within an error that is known (but useless between vectors that nearly coincide), and rows that
// may be nearer than the worst hit are measured by the same kernels as ever.
#pragma once

#include "allowed.h"
#include "top_k.h"
#include "../vector/rows.h"

namespace shibumi {

/// Queries of one pass.
constexpr u32 kBatchMost = 32;

/// Offers every live slot that is allowed to each query's `best`, at its exact distance. `count` is at most kBatchMost.
/// Requires: all blocks of the rows are present.
void batch_scan(const Rows& rows, const Slots& slots, const Probe* queries, u32 count, u32 slot_count,
                const Allowed& allowed, TopK* best);

}  // namespace shibumi
