// Linear memory below the arena: how it grows, how frames are handed out and taken back.
//
// Memory above the static data is a row of frames of kBlockBytes. Single frames come from a free list first; runs of
// several frames (transient arrays) always come from fresh memory at the end, and go back to the free list frame by
// frame. Nothing is ever returned to the host: WASM cannot.
#pragma once

#include "types.h"

namespace shibumi {

constexpr u32 kWasmPageBytes = 1u << 16;

/// `frames_max` bounds how many frames may ever exist.
void memory_init(u32 frames_max);

/// Memory may grow to `pages` of 64 KiB from now on; what is there stays, also beyond. Without a call: 4 GiB.
void memory_limit(u32 pages);

/// Makes sure that at least `count` single frames are free (the promised ones included). False when memory is out.
bool frames_ensure(u32 count);
u32 frames_free();
u32 frames_in_use();

/// A zeroed frame; 0 if none is free (call frames_ensure first).
Addr frame_take();
void frame_give(Addr frame);

/// `count` adjacent zeroed frames at the end of memory, 0 when memory is out.
Addr frames_take_run(u32 count);

}  // namespace shibumi
