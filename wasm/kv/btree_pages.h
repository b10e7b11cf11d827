// The pages of a tree's segment: which are in use, how one is reached, and values that need pages of their own.
//
// Pages 0 and 1 are the tree's header: totals, the root, and for every block the mask of its free pages. A mask rather
// than a list through the free pages: giving a page back then touches no page that may be absent, a page given back
// twice is seen at once, and a page can be chosen near its neighbours, which keeps the blocks a mutation dirties few.
//
// A value that does not fit beside its key lies in whole pages without headers. Its cell's payload is a page list:
//   u32 value bytes, then the pages' numbers if they are at most kDirectPagesMax, else one index page's number.
// Index page: IndexHeader, u32 numbers[]; index pages form a chain. So a value can be freed, or read from any offset,
// without touching the pages between.
//
// Values of a block or more take wholly free blocks for their whole blocks: then what they may dirty is counted in
// blocks and not in pages.
#pragma once

#include "btree_page.h"

namespace shibumi {

constexpr u64 kTreeMagic = 0x3130656572744253;  // "SBtree01"
constexpr u32 kTreeVersion = 1;
constexpr u32 kHeaderPages = 2;
constexpr u32 kTreeBlocksMax = (kHeaderPages * kPageBytes - 80) / 2;
constexpr u16 kBlockFree = 0xFFFF;

struct TreeHeader {
  u64 magic;
  u32 version;
  u32 page_bytes;
  u32 root;
  u32 levels;
  u32 entries;
  u32 blocks;       // blocks of the segment
  u64 key_bytes;    // of all entries
  u64 value_bytes;
  u32 free_pages;
  u32 free_from;    // no block below has a free page
  u32 reserved[6];  // 0
  u16 free_mask[kTreeBlocksMax];  // bit p: page p of the block is free
};
static_assert(sizeof(TreeHeader) == kHeaderPages * kPageBytes);
static_assert(kPagesPerBlock == 16, "a block's pages are the bits of a u16");

inline u32 block_of_page(u32 page) { return page / kPagesPerBlock; }
inline u32 byte_of_page(u32 page) { return (page % kPagesPerBlock) << kPageShift; }

/// A page for reading; nullptr when its block is absent, the fault recorded. Traps on a number outside the segment.
inline const u8* read_page(SegmentId segment, u32 page) {
  const Segment& s = segments[segment];
  const u32 block = block_of_page(page);
  check(block < s.block_count);
  const Addr frame = at<const Addr>(s.frames)[block];
  if (__builtin_expect(frame == 0, 0)) return block_read(segment, block);
  return at<const u8>(frame) + byte_of_page(page);
}
inline u8* write_page(SegmentId segment, u32 page) {
  return block_write(segment, block_of_page(page)) + byte_of_page(page);
}
/// Whether a page's block is there; records no fault.
inline bool page_present(SegmentId segment, u32 page) {
  return at<const Addr>(segments[segment].frames)[block_of_page(page)] != 0;
}

/// The header, or nullptr when its block is absent (the fault recorded) or the segment is empty.
inline const TreeHeader* read_header(SegmentId segment) {
  if (segments[segment].block_count == 0) return nullptr;
  return reinterpret_cast<const TreeHeader*>(read_page(segment, 0));
}
inline TreeHeader* write_header(SegmentId segment) {
  return reinterpret_cast<TreeHeader*>(write_page(segment, 0));
}

/// Checks that `whole_blocks` wholly free blocks and `pages` single ones can be had, those that are free already being
/// present, and adds what that takes to `need`. kOk, kAbsent or kFull.
Status plan_pages(SegmentId segment, const TreeHeader& header, u32 pages, u32 whole_blocks, TreeNeed& need);
/// Takes a page, in the block of page `near` if that has a free one. Requires: planned; the block of `near` is present.
/// All whole blocks of a plan are taken before its single pages: the plan counted in this order.
u32 take_page(SegmentId segment, TreeHeader& header, u32 near);
/// Takes a whole block and returns its first page. Requires: planned.
u32 take_block(SegmentId segment, TreeHeader& header);
void give_page(TreeHeader& header, u32 page);

// --- values in pages of their own -------------------------------------------------------------------------------------

constexpr u32 kDirectPagesMax = 8;
constexpr u32 kPageListBytesMax = 4 + 4 * kDirectPagesMax;

struct IndexHeader {
  u8 kind;  // kIndexPage
  u8 reserved0[3];
  u32 count;
  u32 next;  // 0 = the last
  u32 reserved1;
};
static_assert(sizeof(IndexHeader) == 16);
constexpr u32 kIndexPageNumbers = (kPageBytes - sizeof(IndexHeader)) / 4;

/// What a value of `bytes` bytes takes outside its leaf.
struct OverflowShape {
  u32 pages;         // data pages
  u32 index_pages;
  u32 whole_blocks;  // of the data pages, those taken as blocks
  u32 list_bytes;    // payload in the cell
};
OverflowShape overflow_shape(u32 bytes);
inline u32 overflow_single_pages(const OverflowShape& shape) {
  return shape.pages - shape.whole_blocks * kPagesPerBlock + shape.index_pages;
}

inline bool fits_inline(u32 key_bytes, u32 value_bytes) {
  return kCellHeaderBytes + key_bytes + value_bytes <= kCellBytesMax;
}

/// Writes a value to pages of its own and its page list to `list` (kPageListBytesMax bytes). Requires: planned.
void write_overflow(SegmentId segment, TreeHeader& header, Bytes value, u32 near, u8* list);
/// Sees that the index pages of a page list are present: what free_overflow needs. kOk or kAbsent.
Status plan_free_overflow(SegmentId segment, const u8* list);
void free_overflow(SegmentId segment, TreeHeader& header, const u8* list);
/// kOk or kAbsent. Requires: offset + bytes <= the value's length.
Status read_overflow(SegmentId segment, const u8* list, u32 offset, u8* out, u32 bytes);

}  // namespace shibumi
