#include "parallel_links.h"

#if defined(SHIBUMI_THREADS)

namespace shibumi {

Status ParallelLinks::begin(VectorStore& space, u32 threads) {
  if (threads == 0 || threads > kThreadsMax) return kInvalid;
  *this = ParallelLinks{};
  Hnsw& graph = space.link_graph();
  total_ = graph.unmade();
  threads_ = threads;
  slots_ = transient_alloc(max_of(total_, 1u) * sizeof(u32));
  done_ = transient_alloc(threads * sizeof(u32));
  locks_.locks = transient_alloc(SharedLinks::kLocks * sizeof(SpinLock));
  if (slots_ == 0 || done_ == 0 || locks_.locks == 0) return kOutOfMemory;
  return graph.make_unmade(at<u32>(slots_));
}

Status ParallelLinks::join(VectorStore& space, u32 thread) {
  if (thread >= threads_) return kInvalid;
  return space.open_for_links(&locks_);
}

u32 ParallelLinks::work(VectorStore& space, u32 thread, u32 most) {
  u32 count = 0;
  for (; count < most; count++) {
    const u32 next = __atomic_fetch_add(&next_, 1, __ATOMIC_RELAXED);
    if (next >= total_) {
      // Not to wrap around, however often it is asked for.
      __atomic_store_n(&next_, total_, __ATOMIC_RELAXED);
      break;
    }
    space.link_graph().connect_made(at<u32>(slots_)[next]);
    __atomic_fetch_add(at<u32>(done_) + thread, 1, __ATOMIC_RELEASE);
  }
  return count;
}

}  // namespace shibumi

#endif
