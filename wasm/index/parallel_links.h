// Linking a graph by several threads at once, in a memory they share; in builds with threads alone.
//
// The memory holds a copy of what linking needs of a space. One thread *begins*: it makes nodes of all vectors that have none, so that
// nothing grows any more and every count is right, and lists them. Then every thread *joins* with a VectorStore of its own
// over the same blocks (its marks, its pool), and takes one node after another from the list until there is none left.
// What comes out depends on who was quicker; it is as good a graph as one thread makes (test/recall/threads.test.ts).
//
// Two copies of a vector that are linked at the same moment do not find each other and both become nodes. That is harmless:
// they are each other's neighbours, and later copies join one of them.
#pragma once

#include "../vector/vector_store.h"

#if defined(SHIBUMI_THREADS)

namespace shibumi {

constexpr u32 kThreadsMax = 64;

class ParallelLinks {
 public:
  /// Requires: `space` was opened for links, and nobody has joined. kOk, kInvalid or kOutOfMemory.
  Status begin(VectorStore& space, u32 threads);
  /// How many nodes there are to link.
  u32 total() const { return total_; }

  /// Readies this thread's view. Requires: begin. kOk, kInvalid, kCorrupt or kOutOfMemory.
  Status join(VectorStore& space, u32 thread);
  /// Links up to `most` of the nodes that nobody has taken yet; returns how many it did. Requires: join.
  u32 work(VectorStore& space, u32 thread, u32 most);
  /// Where the count of what each thread has linked is: u32[threads].
  Addr done() const { return done_; }

 private:
  SharedLinks locks_;
  Addr slots_ = 0;  // u32[total_]
  Addr done_ = 0;
  u32 total_ = 0;
  u32 threads_ = 0;
  u32 next_ = 0;  // first of the list that nobody has taken
};

}  // namespace shibumi

#endif
