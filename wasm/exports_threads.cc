// The border of the core for instances that work in one shared memory (core/threads.h), in builds with threads alone.
//
// The host makes one instance, which copies blocks in and begins, and one more a thread. To each of those it first gives a
// stack and thread-local memory (thread_area); then they join and work.
#include "core/arena.h"
#include "core/border.h"
#include "index/parallel_links.h"

#if defined(SHIBUMI_THREADS)

using namespace shibumi;

namespace {
ParallelLinks parallel_links;
SHIBUMI_THREAD_LOCAL VectorStore linked_space;
}  // namespace

/// Only there in a build with threads: tells a compiled module's build by its exports.
SHIBUMI_EXPORT(build_threads) u32 export_build_threads() { return 1; }

/// Memory for a thread's stack and what is local to it; 0 when memory is out.
SHIBUMI_EXPORT(thread_area) Addr export_thread_area(u32 bytes) { return transient_alloc(bytes); }

/// After the blocks were adopted: how many nodes `threads` threads will link.
SHIBUMI_EXPORT(links_begin) i32 export_links_begin(u32 threads) {
  Status status = linked_space.open_for_links();
  if (status == kOk) status = parallel_links.begin(linked_space, threads);
  return status == kOk ? static_cast<i32>(parallel_links.total()) : static_cast<i32>(status);
}

/// Where u32[threads] is: how many nodes each thread has linked.
SHIBUMI_EXPORT(links_done) Addr export_links_done() { return parallel_links.done(); }

SHIBUMI_EXPORT(links_join) i32 export_links_join(u32 thread) { return parallel_links.join(linked_space, thread); }

/// Links up to `most` nodes; returns how many it did, 0 when none is left.
SHIBUMI_EXPORT(links_work) u32 export_links_work(u32 thread, u32 most) {
  return parallel_links.work(linked_space, thread, most);
}

/// When all are done: checks every node and neighbour.
SHIBUMI_EXPORT(links_check) i32 export_links_check() { return linked_space.check_links(); }

#endif
