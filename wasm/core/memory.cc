#include "memory.h"

#include "arena.h"

#if !defined(__wasm__)
#include <stdlib.h>
#include <sys/mman.h>
#endif

namespace shibumi {

namespace {

constexpr u32 kPagesPerFrame = kBlockBytes / kWasmPageBytes;

/// What a free frame begins with. One that was never used is zero behind it: clearing it again would touch 64 pages for
/// nothing, at every block of a space that is opened or filled.
struct FreeFrame {
  Addr next;
  u32 is_fresh;
};

Addr frames_base = 0;   // first frame's address
u32 frames_count = 0;   // frames that exist
u32 frames_limit = 0;   // frames that may exist
u32 free_count = 0;
Addr free_head = 0;     // free frames form a list through their first four bytes (FreeFrame)
u64 end_limit = 1ull << 32;  // memory may not reach beyond

#if defined(__wasm__)
extern "C" u8 __heap_base;

/// The host counts a whole new buffer whenever memory grows, and its collector takes that for pressure: in steps of a block, filling
/// a space would be collecting, mostly. So it grows by a thirty-second more than it has, where it may.
constexpr u64 kMostAhead = 4u << 20;

bool memory_grow_by(u64 bytes) {
  const u64 pages = (bytes + kWasmPageBytes - 1) / kWasmPageBytes;
  if (pages > 65536) return false;
  return __builtin_wasm_memory_grow(0, static_cast<size_t>(pages)) != static_cast<size_t>(-1);
}

bool memory_grow_to(u64 end_bytes) {
  const u64 have = static_cast<u64>(__builtin_wasm_memory_size(0)) * kWasmPageBytes;
  if (end_bytes <= have) return true;
  if (end_bytes > end_limit) return false;
  const u64 ahead = have / 32 < kMostAhead ? have / 32 : kMostAhead;
  const u64 wanted = end_bytes + ahead < end_limit ? end_bytes + ahead : end_limit;
  return memory_grow_by(wanted - have) || memory_grow_by(end_bytes - have);
}

Addr heap_start() { return static_cast<Addr>(reinterpret_cast<uintptr_t>(&__heap_base)); }
#else
// The reservation is made once, in memory_init.
bool memory_grow_to(u64 end_bytes) { return end_bytes <= end_limit; }

Addr heap_start() { return 1; }  // so that no frame sits at 0
#endif

/// Adds frames at the end. They are not put on the free list.
Addr frames_append(u32 count) {
  if (count > frames_limit - frames_count) return 0;
  const u64 end = frames_base + static_cast<u64>(frames_count + count) * kBlockBytes;
  if (end >= (1ull << 32) || !memory_grow_to(end)) return 0;
  const Addr first = frames_base + frames_count * kBlockBytes;
  frames_count += count;
  return first;
}

}  // namespace

#if !defined(__wasm__)
u8* native_memory = nullptr;
#endif

void memory_init(u32 frames_max) {
#if !defined(__wasm__)
  // A test makes many arenas one after another: each starts from fresh zero pages at the same place.
  constexpr size_t kReservation = (1ull << 32) + kBlockBytes;
  if (native_memory != nullptr) munmap(native_memory, kReservation);
  void* memory = mmap(nullptr, kReservation, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(memory != MAP_FAILED);
  native_memory = static_cast<u8*>(memory);
#endif
  frames_base = (heap_start() + kBlockBytes - 1) & ~(kBlockBytes - 1);
  frames_count = 0;
  frames_limit = frames_max;
  free_count = 0;
  free_head = 0;
}

void memory_limit(u32 pages) { end_limit = static_cast<u64>(pages) * kWasmPageBytes; }

bool frames_ensure(u32 count) {
  while (free_count < count) {
    const Addr frame = frames_append(1);
    if (frame == 0) return false;
    frame_give(frame);
    at<FreeFrame>(frame)->is_fresh = 1;
  }
  return true;
}

u32 frames_free() { return free_count; }
u32 frames_in_use() { return frames_count - free_count; }

Addr frame_take() {
  if (free_head == 0) return 0;
  const Addr frame = free_head;
  const FreeFrame head = *at<FreeFrame>(frame);
  free_head = head.next;
  free_count--;
  __builtin_memset(at<u8>(frame), 0, head.is_fresh ? sizeof head : kBlockBytes);
  return frame;
}

void frame_give(Addr frame) {
  *at<FreeFrame>(frame) = {free_head, 0};
  free_head = frame;
  free_count++;
}

Addr frames_take_run(u32 count) {
  if (count == 1 && free_head != 0) return frame_take();
  return frames_append(count);  // fresh memory is zero
}

static_assert(kPagesPerFrame * kWasmPageBytes == kBlockBytes);

}  // namespace shibumi
