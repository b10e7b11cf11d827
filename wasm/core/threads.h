// What several threads that work in one memory need; builds without threads (SHIBUMI_THREADS) do without and pay nothing.
//
// In a build with threads every instance is one thread: they share linear memory and all statics in it, and each has its
// own stack and its own copy of what is SHIBUMI_THREAD_LOCAL. Only the transient heap is safe to be used by all at once;
// what else they share is said where it is.
//
// A lock is a word that is 0 when free. Nobody holds one for longer than a few microseconds, so who waits spins, and after a
// while sleeps a little: on a machine with fewer cores than threads the holder may be waiting for a core.
#pragma once

#include "types.h"

#if defined(SHIBUMI_THREADS)
#define SHIBUMI_THREAD_LOCAL thread_local
#if !defined(__wasm__)
#include <sched.h>
#endif
#else
#define SHIBUMI_THREAD_LOCAL
#endif

namespace shibumi {

#if defined(SHIBUMI_THREADS)

struct SpinLock {
  u32 word = 0;

  void lock() {
    for (u32 spins = 0; __atomic_exchange_n(&word, 1, __ATOMIC_ACQUIRE) != 0; spins++) {
      if (spins > kSpinsMost) rest();
    }
  }
  void unlock() { __atomic_store_n(&word, 0, __ATOMIC_RELEASE); }

 private:
  static constexpr u32 kSpinsMost = 200;
  void rest() {
#if defined(__wasm__)
    constexpr i64 kRestNs = 20000;
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(&word), 1, kRestNs);
#else
    sched_yield();
#endif
  }
};

#else

struct SpinLock {
  void lock() {}
  void unlock() {}
};

#endif

/// Holds a lock, if it is given one, until its scope ends or `release`.
class Holding {
 public:
  explicit Holding(SpinLock* lock) : lock_(lock) {
    if (lock_ != nullptr) lock_->lock();
  }
  ~Holding() { release(); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;
  void release() {
    if (lock_ != nullptr) lock_->unlock();
    lock_ = nullptr;
  }

 private:
  SpinLock* lock_;
};

}  // namespace shibumi
