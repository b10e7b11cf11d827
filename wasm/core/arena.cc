#include "arena.h"

#include "memory.h"
#include "threads.h"

namespace shibumi {

Segment segments[kSegmentsMax];

namespace {

u32 promised_frames = 0;  // see hold()

// The small transient heap: a bump pointer in the frame it last took.
Addr heap_next = 0;
Addr heap_end = 0;
SpinLock heap_lock;

u32 fault_segment_id = 0;
u32 fault_block_index = 0;

struct Missed {
  u32 segment;
  u32 index;
};
Missed missed[kMissedMost];
u32 missed_count = 0;

/// One block of the checkpoint under way.
struct Frozen {
  u32 segment;
  u32 index;
  Addr shadow;  // 0 while the block itself still has the old bytes
  u32 copied;
};
TransientBuffer frozen_list;
u32 frozen_count = 0;
u32 frozen_waiting = 0;  // of those, not yet copied and without a shadow

Addr* frames_of(const Segment& segment) { return at<Addr>(segment.frames); }
u8* flags_of(const Segment& segment) { return at<u8>(segment.flags); }
u16* uses_of(const Segment& segment) { return at<u16>(segment.uses); }

/// Every change of a block's flags, so that the unsaved ones need not be counted when each write asks for their number.
void set_flags(Segment& segment, u32 index, u8 value) {
  u8& flags = flags_of(segment)[index];
  const auto unsaved = [](u8 of) { return static_cast<u32>((of & (kDirty | kFrozen)) != 0); };
  segment.unsaved_count += unsaved(value) - unsaved(flags);
  flags = value;
}

bool grow_tables(Segment& segment, u32 blocks) {
  if (blocks <= segment.capacity) return true;
  const u32 capacity = max_of(max_of(64u, segment.capacity * 2), blocks);
  const Addr frames = transient_alloc(capacity * 4);
  const Addr flags = transient_alloc(capacity);
  const Addr uses = transient_alloc(capacity * 2);
  if (frames == 0 || flags == 0 || uses == 0) return false;
  if (segment.capacity > 0) {
    __builtin_memcpy(at<u8>(frames), at<u8>(segment.frames), segment.capacity * 4);
    __builtin_memcpy(at<u8>(flags), at<u8>(segment.flags), segment.capacity);
    __builtin_memcpy(at<u8>(uses), at<u8>(segment.uses), segment.capacity * 2);
    transient_free(segment.frames, segment.capacity * 4);
    transient_free(segment.flags, segment.capacity);
    transient_free(segment.uses, segment.capacity * 2);
  }
  segment.uses = uses;
  segment.frames = frames;
  segment.flags = flags;
  segment.capacity = capacity;
  return true;
}

/// Saves the bytes of a block that the checkpoint still has to copy.
void save_shadow(SegmentId segment_id, u32 index) {
  Frozen* list = frozen_list.as<Frozen>();
  // Entries are sorted by (segment, index): checkpoint_begin makes them so.
  u32 low = 0, high = frozen_count;
  while (low < high) {
    const u32 middle = (low + high) / 2;
    const Frozen& entry = list[middle];
    if (entry.segment < segment_id || (entry.segment == segment_id && entry.index < index)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  check(low < frozen_count && list[low].segment == segment_id && list[low].index == index);
  const Addr shadow = frame_take();
  check(shadow != 0);  // reserve() counted it
  __builtin_memcpy(at<u8>(shadow), at<u8>(frames_of(segments[segment_id])[index]), kBlockBytes);
  list[low].shadow = shadow;
  frozen_waiting--;
}

u32 bytes_used(Addr frame) {
  const u64* words = at<const u64>(frame);
  u32 count = kBlockBytes / 8;
  while (count > 0 && words[count - 1] == 0) count--;
  return ((count * 8) + 15) & ~15u;
}

template <class Visit>
void each_block(u32 group_mask, u8 flag, Visit visit) {
  for (u32 s = 0; s < kSegmentsMax; s++) {
    const Segment& segment = segments[s];
    if (segment.capacity == 0 || ((group_mask >> segment.group) & 1) == 0) continue;
    const u8* flags = flags_of(segment);
    for (u32 i = 0; i < segment.block_count; i++) {
      if (flags[i] & flag) visit(s, i);
    }
  }
}

}  // namespace

void arena_init(u32 frames_max) {
  memory_init(frames_max);
  __builtin_memset(segments, 0, sizeof segments);
  promised_frames = 0;
  heap_next = heap_end = 0;
  frozen_list = TransientBuffer{};
  frozen_count = frozen_waiting = 0;
  missed_count = 0;
}

void segment_define(SegmentId id, Group group, bool droppable) {
  check(id < kSegmentsMax);
  segments[id].group = group;
  segments[id].droppable = droppable;
}

// The frame tables grow here too, so that block_append cannot fail: every segment may receive all the new blocks.
Status reserve(u32 new_blocks, u32 touched_blocks) {
  const u32 shadows = min_of(touched_blocks, frozen_waiting);
  if (new_blocks > 0) {
    for (Segment& segment : segments) {
      if (!grow_tables(segment, segment.block_count + new_blocks)) return kOutOfMemory;
    }
  }
  return frames_ensure(new_blocks + shadows + promised_frames) ? kOk : kOutOfMemory;
}

Status hold(u32 frames) {
  if (frames > promised_frames && !frames_ensure(frames)) return kOutOfMemory;
  promised_frames = frames;
  return kOk;
}

u32 frames_unpromised() {
  const u32 free = frames_free();
  return free > promised_frames ? free - promised_frames : 0;
}

u32 block_append(SegmentId id) {
  Segment& segment = segments[id];
  check(segment.block_count < segment.capacity);
  const Addr frame = frame_take();
  check(frame != 0);
  const u32 index = segment.block_count++;
  frames_of(segment)[index] = frame;
  set_flags(segment, index, kDirty);
  return index;
}

bool segments_clear(const SegmentId* ids, u32 count) {
  if (frozen_count > 0) return false;
  for (u32 i = 0; i < count; i++) {
    Segment& segment = segments[ids[i]];
    for (u32 b = 0; b < segment.block_count; b++) {
      Addr& frame = frames_of(segment)[b];
      if (frame != 0) frame_give(frame);
      frame = 0;
      set_flags(segment, b, 0);
      uses_of(segment)[b] = 0;
    }
    segment.block_count = segment.absent_count = segment.hand = 0;
  }
  return true;
}

const u8* block_read(SegmentId id, u32 index) {
  const Segment& segment = segments[id];
  check(index < segment.block_count);
  const Addr frame = frames_of(segment)[index];
  if (frame != 0) {
    if (segment.droppable) uses_of(segment)[index] |= kUsedBit;
    return at<const u8>(frame);
  }
  fault_segment_id = id;
  fault_block_index = index;
  return nullptr;
}

bool block_missed(SegmentId id, u32 index) {
  for (u32 i = missed_count; i-- > 0;) {
    if (missed[i].segment == id && missed[i].index == index) return true;
  }
  if (missed_count == kMissedMost) return false;
  missed[missed_count++] = {id, index};
  return true;
}

u32 blocks_missed(u32* out) {
  if (missed_count == 0) block_missed(fault_segment_id, fault_block_index);
  const u32 count = missed_count;
  __builtin_memcpy(out, missed, count * sizeof(Missed));
  missed_count = 0;
  return count;
}

u8* block_write(SegmentId id, u32 index) {
  Segment& segment = segments[id];
  check(index < segment.block_count);
  const Addr frame = frames_of(segment)[index];
  check(frame != 0);
  const u8 flags = flags_of(segment)[index];
  if (flags != kDirty) {
    if (flags & kFrozen) save_shadow(id, index);
    set_flags(segment, index, kDirty);
    uses_of(segment)[index] |= kUsedBit;
  }
  return at<u8>(frame);
}

Addr transient_alloc(u32 bytes) {
  const Holding heap(&heap_lock);
  const u32 size = (bytes + 15) & ~15u;
  if (size >= kBlockBytes) return frames_take_run((size + kBlockBytes - 1) >> kBlockShift);
  if (heap_end - heap_next < size) {
    if (!frames_ensure(promised_frames + 1)) return 0;
    heap_next = frame_take();
    heap_end = heap_next + kBlockBytes;
  }
  const Addr address = heap_next;
  heap_next += size;
  return address;
}

void transient_free(Addr address, u32 bytes) {
  if (address == 0 || bytes < kBlockBytes) return;
  const Holding heap(&heap_lock);
  const u32 count = (bytes + kBlockBytes - 1) >> kBlockShift;
  for (u32 i = 0; i < count; i++) frame_give(address + i * kBlockBytes);
}

bool TransientBuffer::ensure(u32 wanted, bool keep) {
  if (wanted <= bytes) return true;
  u32 size = max_of(max_of(1024u, wanted), bytes * 2);
  if (size >= kBlockBytes) size = (size + kBlockBytes - 1) & ~(kBlockBytes - 1);
  const Addr moved = transient_alloc(size);
  if (moved == 0) return false;
  if (keep && bytes > 0) __builtin_memcpy(at<u8>(moved), at<u8>(address), bytes);
  transient_free(address, bytes);
  address = moved;
  bytes = size;
  return true;
}

void TransientBuffer::release() {
  if (bytes < kBlockBytes) return;
  transient_free(address, bytes);
  *this = TransientBuffer{};
}

void PagedArray::define(SegmentId segment_id, u32 stride_bytes, u32 header_blocks) {
  check(stride_bytes > 0 && stride_bytes % 4 == 0 && stride_bytes <= kBlockBytes);
  segment = segment_id;
  stride = stride_bytes;
  per_block = kBlockBytes / stride_bytes;
  constexpr u64 kOne = 1ull << kReciprocalShift;
  reciprocal = (kOne + per_block - 1) / per_block;
  first_block = header_blocks;
  // record * reciprocal >> shift is exact while record * (reciprocal * per_block - 2^shift) < 2^shift; a segment cannot
  // hold more than 2^32 bytes in memory, so record < 2^32 / stride, and the product stays below 2^59.
  const u64 error = reciprocal * per_block - kOne;
  check(error * ((1ull << 32) / stride_bytes) < kOne);
}

Addr block_adopt(SegmentId id, u32 index) {
  // Nothing that large fits in memory: an absurd index names a damaged manifest, not a large space.
  if (id >= kSegmentsMax || index >= (1u << 24)) return 0;
  Segment& segment = segments[id];
  if (!grow_tables(segment, index + 1)) return 0;
  if (index < segment.block_count && frames_of(segment)[index] != 0) return 0;
  if (!frames_ensure(promised_frames + 1)) return 0;
  const Addr frame = frame_take();
  // Blocks before it that were not spoken of yet are absent until they come.
  if (index < segment.block_count) segment.absent_count--;
  else segment.absent_count += index - segment.block_count;
  frames_of(segment)[index] = frame;
  set_flags(segment, index, 0);
  uses_of(segment)[index] = kUsedBit;
  segment.block_count = max_of(segment.block_count, index + 1);
  return frame;
}

Status block_expect(SegmentId id, u32 index) {
  if (id >= kSegmentsMax || index >= (1u << 24)) return kInvalid;
  Segment& segment = segments[id];
  if (!grow_tables(segment, index + 1)) return kOutOfMemory;
  if (index >= segment.block_count) {
    segment.absent_count += index + 1 - segment.block_count;
    segment.block_count = index + 1;
  }
  return kOk;
}

Status block_drop(SegmentId id, u32 index) {
  if (id >= kSegmentsMax || index >= segments[id].block_count) return kInvalid;
  Segment& segment = segments[id];
  Addr& frame = frames_of(segment)[index];
  u16& uses = uses_of(segment)[index];
  const bool pinned = (uses & ~kUsedBit) != 0;
  if (!segment.droppable || frame == 0 || flags_of(segment)[index] != 0 || pinned) return kInvalid;
  frame_give(frame);
  frame = 0;
  uses = 0;
  segment.absent_count++;
  return kOk;
}

Status block_pin(SegmentId id, u32 index) {
  if (id >= kSegmentsMax || index >= segments[id].block_count || !block_present(id, index)) return kInvalid;
  u16& uses = uses_of(segments[id])[index];
  if ((uses & ~kUsedBit) == kUsedBit - 1) return kInvalid;
  uses++;
  return kOk;
}

void block_unpin(SegmentId id, u32 index) {
  check(id < kSegmentsMax && index < segments[id].block_count);
  u16& uses = uses_of(segments[id])[index];
  check((uses & ~kUsedBit) != 0);
  uses--;
}

u32 blocks_evict(SegmentId id, u32 count) {
  if (id >= kSegmentsMax || !segments[id].droppable) return 0;
  Segment& segment = segments[id];
  u32 dropped = 0;
  // Twice around: the first time takes away the marks of use that the second goes by.
  for (u32 steps = 2 * segment.block_count; steps > 0 && dropped < count; steps--) {
    if (segment.hand >= segment.block_count) segment.hand = 0;
    const u32 index = segment.hand++;
    u16& uses = uses_of(segment)[index];
    if (uses & kUsedBit) {
      uses &= static_cast<u16>(~kUsedBit);
    } else {
      dropped += block_drop(id, index) == kOk;
    }
  }
  return dropped;
}

u32 fault_segment() { return fault_segment_id; }
u32 fault_index() { return fault_block_index; }

i32 checkpoint_begin(u32 group_mask) {
  check(frozen_count == 0);
  const u32 count = dirty_blocks(group_mask);
  if (!frozen_list.ensure(count * static_cast<u32>(sizeof(Frozen)), false)) return kOutOfMemory;
  Frozen* list = frozen_list.as<Frozen>();
  each_block(group_mask, kDirty, [&](u32 segment, u32 index) {
    list[frozen_count++] = {segment, index, 0, 0};
    set_flags(segments[segment], index, kFrozen);
  });
  frozen_waiting = frozen_count;
  return static_cast<i32>(frozen_count);
}

CheckpointEntry checkpoint_entry(u32 i) {
  check(i < frozen_count);
  const Frozen& entry = frozen_list.as<Frozen>()[i];
  check(!entry.copied);
  const Addr address = entry.shadow != 0 ? entry.shadow : frames_of(segments[entry.segment])[entry.index];
  return {entry.segment, entry.index, address, bytes_used(address)};
}

void checkpoint_copied(u32 i) {
  check(i < frozen_count);
  Frozen& entry = frozen_list.as<Frozen>()[i];
  check(!entry.copied);
  entry.copied = 1;
  if (entry.shadow != 0) {
    frame_give(entry.shadow);
    entry.shadow = 0;
  } else {
    set_flags(segments[entry.segment], entry.index, kCopied);
    frozen_waiting--;
  }
}

void checkpoint_end(bool published) {
  for (u32 i = 0; i < frozen_count; i++) {
    Frozen& entry = frozen_list.as<Frozen>()[i];
    if (!entry.copied) checkpoint_copied(i);
    Segment& segment = segments[entry.segment];
    if (!published) set_flags(segment, entry.index, kDirty);
    else if (flags_of(segment)[entry.index] == kCopied) set_flags(segment, entry.index, 0);
  }
  frozen_count = frozen_waiting = 0;
}

u32 unsaved_blocks(SegmentId id) { return segments[id].unsaved_count; }

u32 dirty_blocks(u32 group_mask) {
  u32 count = 0;
  each_block(group_mask, kDirty, [&](u32, u32) { count++; });
  return count;
}

}  // namespace shibumi
