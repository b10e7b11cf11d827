// What threads share that link nodes into one graph at the same time (parallel_links.h): the locks.
//
// The scheme is that of hnswlib (Malkov and Yashunin): a lock a node guards the node's lists, and one more is held by whoever
// may become the entry point. Here nobody ever holds the locks of two nodes, so nodes may share a lock: there are as many
// as fit in a block, whatever the size of the graph.
#pragma once

#include "../core/arena.h"
#include "../core/threads.h"

namespace shibumi {

struct SharedLinks {
  static constexpr u32 kLocks = 1u << 15;

  SpinLock entry;   // held for the whole of linking a node that may become the entry point
  SpinLock copies;  // guards all chains of copies
  Addr locks = 0;   // SpinLock[kLocks]

  SpinLock* of(u32 slot) const { return at<SpinLock>(locks) + (slot & (kLocks - 1)); }
};

}  // namespace shibumi
