// The arena: everything of a space that must last, cut into fixed blocks.
//
// A block is named (segment, index). Segments separate primary data (ids, originals, keys, values) from what can be
// derived from it (graph), so that the two can be written at different times. A block lives in a *frame* of linear
// memory; the frame table of each segment maps index -> frame, 0 where the block is absent. Only droppable segments may
// have absent blocks once a space is open. Frames are reused; linear memory itself never shrinks.
//
// Invariants
//  * A block's frame never moves while the block is present: pointers into it stay good until it is dropped.
//  * Every write goes through block_write (or PagedArray::mut), which marks the block dirty. While a checkpoint is being
//    taken, the first write to a block that is still to be copied first saves the old bytes in a shadow frame
//    (copy-on-write), so the checkpoint sees the state of one operation boundary and writers never wait for the disk.
//  * A mutation first calls `reserve` for all frames it may need (new blocks and shadows); after that its write phase
//    cannot fail. block_append and block_write trap when they run out: that is a bug, not a condition.
//  * New blocks and the unused tail of every block are zero; the host may store a block without its trailing zeros.
//
// Concurrency: none; one instance is used by one thread. In a build with threads (threads.h) the transient heap may be used by
// all of them at once, and blocks may be read and written by all where what is in them is guarded.
#pragma once

#include "status.h"
#include "types.h"

namespace shibumi {

constexpr u32 kBlockShift = 18;
constexpr u32 kBlockBytes = 1u << kBlockShift;  // 256 KiB: the least that pays in IndexedDB, the finest dirty grain
constexpr u32 kSegmentsMax = 32;

/// Primary data must be in every checkpoint; derived data is checkpointed when it pays.
enum Group : u8 { kPrimary = 0, kDerived = 1 };

using SegmentId = u32;

struct Segment {
  Addr frames;      // Addr[capacity]: frame of each block, 0 = absent
  Addr flags;       // u8[capacity]: BlockFlag bits
  u32 capacity;     // entries the two tables have room for
  u32 block_count;  // blocks that exist (present or absent)
  u8 group;         // Group
  u8 droppable;     // blocks may be absent
  u32 absent_count; // blocks that are absent
  u32 unsaved_count; // blocks that are dirty or frozen
  Addr uses;        // u16[capacity]: kUsedBit, below it how often the block is pinned
  u32 hand;         // where the clock of blocks_evict stands
};

/// The block was read or written since the clock's hand last came by.
constexpr u16 kUsedBit = 1u << 15;

/// kFrozen: a checkpoint has still to copy the block; kCopied: it has, but is not published, so that storage has no other
/// copy that counts: not to be dropped.
enum BlockFlag : u8 { kDirty = 1, kFrozen = 2, kCopied = 4 };

extern Segment segments[kSegmentsMax];

/// Sets a segment's kind. Call once per used segment before anything else touches it.
void segment_define(SegmentId segment, Group group, bool droppable);

/// Makes sure that `new_blocks` blocks can be appended and `touched_blocks` existing ones written without fail, growing
/// memory if needed. `touched_blocks` may be an overestimate: it only costs frames while a checkpoint is under way.
/// Returns kOk or kOutOfMemory.
Status reserve(u32 new_blocks, u32 touched_blocks);

/// Sets how many free frames are promised to mutations that are planned but not yet applied (they wait for the log).
/// Grows memory so that they are there; every `reserve` of somebody else leaves them alone. The host lowers the promise
/// right before it applies such a mutation. kOutOfMemory leaves the former promise in force.
Status hold(u32 frames);

/// Appends one zeroed, dirty block to a segment and returns its index. Requires: reserve.
u32 block_append(SegmentId segment);

/// Removes all blocks of a segment and frees their frames; the host forgets the stored ones at the next checkpoint. False,
/// and nothing changed, while a checkpoint is under way.
bool segments_clear(const SegmentId* ids, u32 count);

/// The block's bytes, or nullptr if it is absent (then the fault is recorded for the host, see Status::kAbsent).
const u8* block_read(SegmentId segment, u32 index);

/// Whether a block is there; nothing is recorded.
inline bool block_present(SegmentId segment, u32 index) { return at<const Addr>(segments[segment].frames)[index] != 0; }

/// Names an absent block beside others that the same call needs. False when no more can be named: kMissedMost at a time.
constexpr u32 kMissedMost = 64;
bool block_missed(SegmentId segment, u32 index);

/// The block's bytes for writing; marks it dirty and keeps a checkpoint's copy. Requires: present, reserve.
u8* block_write(SegmentId segment, u32 index);

/// Transient memory (never stored): visited marks, frame tables, scratch. Zeroed. Returns 0 when memory is out.
/// Large pieces (>= kBlockBytes) are given back as frames by transient_free; small ones come from a bump heap and are
/// only reused by the same owner growing (doubling bounds the loss).
Addr transient_alloc(u32 bytes);
void transient_free(Addr address, u32 bytes);

/// A buffer that grows by doubling and forgets its contents when it does not ask to keep them.
struct TransientBuffer {
  Addr address = 0;
  u32 bytes = 0;
  /// Makes room for at least `wanted` bytes; keeps the contents if `keep`. False when memory is out (unchanged then).
  bool ensure(u32 wanted, bool keep);
  /// Gives a large buffer's frames back; a small one is kept for the next time.
  void release();
  template <class T>
  T* as() const {
    return at<T>(address);
  }
};

constexpr u32 kReciprocalShift = 44;

/// Fixed-size records numbered from 0, laid out in a segment's blocks, none crossing a block's end.
/// Position of record r: block r / per_block, byte (r % per_block) * stride. The division is a multiplication.
struct PagedArray {
  SegmentId segment = 0;
  u32 stride = 0;     // bytes; a multiple of 4, of 16 where SIMD reads it
  u32 per_block = 0;  // records in one block
  u64 reciprocal = 0; // ceil(2^kReciprocalShift / per_block)
  u32 first_block = 0; // blocks before this one hold something else (a header)

  void define(SegmentId segment_id, u32 stride_bytes, u32 header_blocks = 0);

  SHIBUMI_HOT u32 block_of(u32 record) const { return static_cast<u32>((record * reciprocal) >> kReciprocalShift); }

  /// Blocks that must exist for `count` records.
  u32 blocks_for(u32 count) const {
    return count == 0 ? first_block : first_block + block_of(count - 1) + 1;
  }
  /// Blocks that have still to be appended before `count` records fit.
  u32 missing_blocks(u32 count) const {
    const u32 need = blocks_for(count), have = segments[segment].block_count;
    return need > have ? need - have : 0;
  }
  /// Appends what is missing. Requires: reserve(missing_blocks(count), …).
  void extend(u32 count) {
    while (segments[segment].block_count < blocks_for(count)) block_append(segment);
  }

  /// Read access. Requires: the block is present (always so in segments that are not droppable).
  SHIBUMI_HOT const u8* get(u32 record) const {
    const u32 block = block_of(record);
    const Addr frame = at<const Addr>(segments[segment].frames)[first_block + block];
    return at<const u8>(frame) + (record - block * per_block) * stride;
  }
  /// Read access to what may be absent: nullptr then, the fault recorded.
  const u8* get_or_fault(u32 record) const {
    const u32 block = block_of(record);
    const u8* bytes = block_read(segment, first_block + block);
    return bytes == nullptr ? nullptr : bytes + (record - block * per_block) * stride;
  }
  /// Write access; marks the block dirty. Requires: present, reserve.
  u8* mut(u32 record) const {
    const u32 block = block_of(record);
    return block_write(segment, first_block + block) + (record - block * per_block) * stride;
  }
};

/// Read access to an array's records for as long as one operation that appends and drops nothing: where the frames are is
/// looked up once, not for every record. Requires: the blocks are present.
struct PagedView {
  const Addr* frames;
  u32 stride;
  u32 per_block;
  u64 reciprocal;

  explicit PagedView(const PagedArray& array)
      : frames(at<const Addr>(segments[array.segment].frames) + array.first_block),
        stride(array.stride),
        per_block(array.per_block),
        reciprocal(array.reciprocal) {}

  SHIBUMI_HOT const u8* get(u32 record) const {
    const u32 block = static_cast<u32>((record * reciprocal) >> kReciprocalShift);
    return at<const u8>(frames[block]) + (record - block * per_block) * stride;
  }
};

// --- what the host drives -------------------------------------------------------------------------------------------

/// Readies an empty arena. `frames_max` bounds how many frames this instance may ever hold.
void arena_init(u32 frames_max);

/// Gives the (absent or new) block a zeroed frame and returns its address for the host to fill; 0 when memory is out or
/// the index is unreasonable. The block counts as clean.
Addr block_adopt(SegmentId segment, u32 index);

/// Says that a block exists, though it may never be adopted (it is lost): it is absent, and not out of bounds. kOk,
/// kInvalid or kOutOfMemory.
Status block_expect(SegmentId segment, u32 index);

/// Makes a clean, present block of a droppable segment absent and frees its frame. kInvalid otherwise.
Status block_drop(SegmentId segment, u32 index);

/// A pinned block is not evicted. Pins are counted. kInvalid for a block that is absent, or pinned too often.
Status block_pin(SegmentId segment, u32 index);
/// Requires: block_pin.
void block_unpin(SegmentId segment, u32 index);

/// Drops up to `count` blocks of a droppable segment that are clean and not pinned, of those the least recently used, as
/// far as a clock can tell (Corbato, "A paging experiment with the Multics system", 1968). Returns how many.
u32 blocks_evict(SegmentId segment, u32 count);

/// What the call that answered kAbsent asks for: the blocks it named with block_missed, or else the one it came upon.
/// Pairs of segment and index, kMissedMost at most; returns how many. They are forgotten then.
u32 blocks_missed(u32* out);

u32 fault_segment();
u32 fault_index();

struct CheckpointEntry {
  u32 segment;
  u32 index;
  Addr address;    // where the bytes of the checkpoint's moment are: the block itself or its shadow
  u32 used_bytes;  // without trailing zeros, rounded up to 16
};

/// Freezes every dirty block of the groups in `group_mask` (1 << Group) at this operation boundary; they count as clean
/// from here on unless written again. Returns how many, or kOutOfMemory (negative). One checkpoint at a time.
i32 checkpoint_begin(u32 group_mask);
/// Describes entry `i`; the address is good until the next call that may write.
CheckpointEntry checkpoint_entry(u32 i);
/// The host has copied entry `i`: its shadow, if any, is freed, and writes no longer need one.
void checkpoint_copied(u32 i);
/// Ends it. If `published` is false all its blocks are dirty again.
void checkpoint_end(bool published);

u32 dirty_blocks(u32 group_mask);
/// Blocks of a segment that a checkpoint is copying or the next one will: only these can need a shadow.
u32 unsaved_blocks(SegmentId segment);
/// Frames in use by blocks, shadows and transient runs; free frames not counted.
u32 frames_in_use();
/// Free frames beyond those that `hold` has promised.
u32 frames_unpromised();

/// XXH64 (Collet), seed 0, over bytes that come piece by piece: every piece but the last in whole stripes.
struct Checksum64 {
  static constexpr u32 kStripe = 32;
  static constexpr u64 kPrime1 = 0x9E3779B185EBCA87ull, kPrime2 = 0xC2B2AE3D27D4EB4Full;

  u64 a = kPrime1 + kPrime2, b = kPrime2, c = 0, d = 0 - kPrime1;
  u64 total = 0;  // bytes so far

  /// Requires: `count` is a multiple of kStripe.
  void more(const u8* bytes, u32 count);
  /// The checksum with this last piece, of any length; begins anew.
  u64 end(const u8* bytes, u32 count);
};

/// XXH64, seed 0, of a run of bytes: the checksum of blocks, log records and manifests.
u64 checksum64(const u8* bytes, u32 count);

}  // namespace shibumi
