// The border of the core, part one: arena, checkpoint, scratch memory. exports_vector.cc and exports_kv.cc are the rest.
//
// Every export takes numbers and (address, length) pairs, checks them, and returns a Status, a count or an address.
// One instance serves one space and one thread.
#include "core/arena.h"
#include "core/border.h"
#include "core/memory.h"
#include "core/threads.h"

using namespace shibumi;

namespace {
constexpr u32 kAbiVersion = 1;
SHIBUMI_THREAD_LOCAL TransientBuffer scratch_buffer;
Checksum64 running_checksum;
}  // namespace

SHIBUMI_EXPORT(abi_version) u32 export_abi_version() { return kAbiVersion; }
#if defined(SHIBUMI_RELAXED)
/// Only there in the relaxed build: tells a compiled module's build by its exports.
SHIBUMI_EXPORT(build_relaxed) u32 export_build_relaxed() { return 1; }
#endif
SHIBUMI_EXPORT(block_bytes) u32 export_block_bytes() { return kBlockBytes; }

SHIBUMI_EXPORT(arena_init) void export_arena_init(u32 frames_max) {
  arena_init(frames_max);
  scratch_buffer = TransientBuffer{};
}

/// How far this instance's memory may grow from now on: what a host that shares a budget among instances sets.
SHIBUMI_EXPORT(memory_limit) void export_memory_limit(u32 pages) { memory_limit(pages); }

/// A transient buffer of at least `bytes` bytes for arguments and results; 0 when memory is out. The former contents are
/// lost when it has to grow, and its address changes: ask for everything a call needs at once.
SHIBUMI_EXPORT(scratch) Addr export_scratch(u32 bytes) {
  return scratch_buffer.ensure(max_of(bytes, 16u), false) ? scratch_buffer.address : 0;
}

SHIBUMI_EXPORT(arena_hold) i32 export_arena_hold(u32 frames) { return hold(frames); }
SHIBUMI_EXPORT(arena_frames_in_use) u32 export_arena_frames_in_use() { return frames_in_use(); }
/// Frames that are free and promised to nobody.
SHIBUMI_EXPORT(arena_frames_free) u32 export_arena_frames_free() { return frames_unpromised(); }
SHIBUMI_EXPORT(arena_segment_blocks) u32 export_arena_segment_blocks(u32 segment) {
  return segment < kSegmentsMax ? segments[segment].block_count : 0;
}
SHIBUMI_EXPORT(arena_dirty_blocks) u32 export_arena_dirty_blocks(u32 group_mask) { return dirty_blocks(group_mask); }

SHIBUMI_EXPORT(block_expect) i32 export_block_expect(u32 segment, u32 index) { return block_expect(segment, index); }
SHIBUMI_EXPORT(block_adopt) Addr export_block_adopt(u32 segment, u32 index) { return block_adopt(segment, index); }
/// Where a block's bytes are, to copy them out; 0 when it is absent or not there. Good until the next call.
SHIBUMI_EXPORT(block_at) Addr export_block_at(u32 segment, u32 index) {
  if (segment >= kSegmentsMax || index >= segments[segment].block_count) return 0;
  const u8* bytes = block_read(segment, index);
  return bytes == nullptr ? 0 : addr_of(bytes);
}
/// Of a block that was adopted and is not stored in this form anywhere: the next checkpoint stores it. Requires: the space is open.
SHIBUMI_EXPORT(block_unsaved) void export_block_unsaved(u32 segment, u32 index) {
  check(segment < kSegmentsMax && index < segments[segment].block_count);
  block_write(segment, index);
}
SHIBUMI_EXPORT(block_drop) i32 export_block_drop(u32 segment, u32 index) { return block_drop(segment, index); }
SHIBUMI_EXPORT(block_pin) i32 export_block_pin(u32 segment, u32 index) { return block_pin(segment, index); }
SHIBUMI_EXPORT(block_unpin) void export_block_unpin(u32 segment, u32 index) { block_unpin(segment, index); }
SHIBUMI_EXPORT(blocks_evict) u32 export_blocks_evict(u32 segment, u32 count) { return blocks_evict(segment, count); }
/// Blocks of a segment that are absent.
SHIBUMI_EXPORT(blocks_absent) u32 export_blocks_absent(u32 segment) {
  return segment < kSegmentsMax ? segments[segment].absent_count : 0;
}
/// After a call that answered kAbsent: u32 {segment, index} for each block it needs, to `out`, which has room for
/// kMissedMost (64). Returns how many.
SHIBUMI_EXPORT(blocks_missed) u32 export_blocks_missed(Addr out) {
  check(in_memory(out, kMissedMost * 8));
  return blocks_missed(at<u32>(out));
}

SHIBUMI_EXPORT(checkpoint_begin) i32 export_checkpoint_begin(u32 group_mask) { return checkpoint_begin(group_mask); }
/// Writes the CheckpointEntry (4 x u32: segment, index, address, used bytes) of entry `i` to `out`.
SHIBUMI_EXPORT(checkpoint_entry) void export_checkpoint_entry(u32 i, Addr out) {
  check(in_memory(out, sizeof(CheckpointEntry)));
  const CheckpointEntry entry = checkpoint_entry(i);
  __builtin_memcpy(at<u8>(out), &entry, sizeof entry);
}
SHIBUMI_EXPORT(checkpoint_copied) void export_checkpoint_copied(u32 i) { checkpoint_copied(i); }
SHIBUMI_EXPORT(checkpoint_end) void export_checkpoint_end(u32 published) { checkpoint_end(published != 0); }

/// XXH64 of the bytes, as an i64.
SHIBUMI_EXPORT(checksum64) u64 export_checksum64(Addr bytes, u32 count) {
  check(in_memory(bytes, count));
  return checksum64(at<const u8>(bytes), count);
}

/// The same over bytes that come piece by piece: pieces of whole 32-byte stripes, then the last one.
SHIBUMI_EXPORT(checksum64_more) void export_checksum64_more(Addr bytes, u32 count) {
  check(in_memory(bytes, count));
  running_checksum.more(at<const u8>(bytes), count);
}
SHIBUMI_EXPORT(checksum64_end) u64 export_checksum64_end(Addr bytes, u32 count) {
  check(in_memory(bytes, count));
  return running_checksum.end(at<const u8>(bytes), count);
}
