// Checks every page of a tree that may come from anywhere. Checksums tell damage, not malice: an import or a static
// snapshot can carry right checksums over wrong offsets.
//
// Walks the tree with a stack of its own (one entry a level), marking the owner of every page, and then compares marks
// with the free masks: each page is the header's, one parent's, one value's, or free, never two of them and never none.
#include "btree_check.h"

#include "btree_pages.h"

namespace shibumi {

namespace {

/// An open range of keys a subtree must stay in: low <= key, and key < high where there is one.
struct KeyRange {
  Bytes low;  // empty: no bound
  Bytes high;
  bool has_high = false;
};

struct TreeCheck {
  SegmentId segment;
  const TreeHeader& header;
  u16* marks;  // u16[blocks]: pages seen
  u32 entries = 0;
  u64 key_bytes = 0;
  u64 value_bytes = 0;

  Status run() {
    for (u32 page = 0; page < kHeaderPages; page++) {
      if (!own(page)) return kCorrupt;
    }
    const Status status = walk();
    if (status != kOk) return status;
    return totals_hold() ? kOk : kCorrupt;
  }

  /// Marks a page as owned. False when it is outside the segment, owned already, or free.
  bool own(u32 page) {
    const u32 block = block_of_page(page), bit = 1u << (page % kPagesPerBlock);
    if (block >= header.blocks || (marks[block] & bit) != 0 || (header.free_mask[block] & bit) != 0) return false;
    marks[block] = static_cast<u16>(marks[block] | bit);
    return true;
  }

  Status overflow(const Cell& cell) {
    if (cell.payload.length < 4) return kCorrupt;
    const u32 bytes = load<u32>(cell.payload.data);
    if (bytes > kValueBytesMax || fits_inline(cell.key.length, bytes)) return kCorrupt;
    const OverflowShape shape = overflow_shape(bytes);
    if (cell.payload.length != shape.list_bytes) return kCorrupt;
    value_bytes += bytes;
    if (shape.index_pages == 0) return own_pages(cell.payload.data + 4, shape.pages);
    u32 number = load<u32>(cell.payload.data + 4), left = shape.pages;
    for (u32 i = 0; i < shape.index_pages; i++) {
      if (!own(number)) return kCorrupt;
      const u8* page = read_page(segment, number);
      if (page == nullptr) return kAbsent;
      const IndexHeader& index = *reinterpret_cast<const IndexHeader*>(page);
      if (index.kind != kIndexPage || index.count != min_of(left, kIndexPageNumbers)) return kCorrupt;
      if (own_pages(page + sizeof(IndexHeader), index.count) != kOk) return kCorrupt;
      left -= index.count;
      number = index.next;
    }
    return number == 0 ? kOk : kCorrupt;
  }

  Status own_pages(const u8* numbers, u32 count) {
    for (u32 i = 0; i < count; i++) {
      if (!own(load<u32>(numbers + 4 * i))) return kCorrupt;
    }
    return kOk;
  }

  /// Bounds: slots and cells inside the page, cells apart from each other and adding up with the garbage.
  static bool layout_holds(const u8* page, u32 level) {
    const PageHeader& h = page_header(page);
    if (h.kind != (level == 0 ? kLeafPage : kBranchPage) || h.level != level || (level == 0 && h.first_child != 0)) {
      return false;
    }
    const u32 slots_end = slots_at(level, h.count) + h.count * kSlotBytes;
    if (h.cells > kPageBytes || slots_end > h.cells || h.cells + h.garbage > kPageBytes) return false;
    u64 taken[kPageBytes / 64] = {};
    u32 bytes = 0;
    for (u32 i = 0; i < h.count; i++) {
      const Slot& slot = page_slots(page)[i];
      if (slot.cell < h.cells || slot.cell + kCellHeaderBytes + slot.key_bytes > kPageBytes) return false;
      if (slot.key_bytes > kKeyBytesMax || slot.key_bytes < h.prefix) return false;
      const Cell cell = page_cell(page, i);
      if (cell.bytes() > kCellBytesMax || slot.cell + cell.bytes() > kPageBytes) return false;
      for (u32 b = slot.cell; b < slot.cell + cell.bytes(); b++) {
        if ((taken[b / 64] >> (b % 64)) & 1) return false;
        taken[b / 64] |= 1ull << (b % 64);
      }
      bytes += cell.bytes();
    }
    return h.cells + h.garbage + bytes == kPageBytes;
  }

  /// Order: prefix, heads and tags are right, keys ascend strictly and stay in their range.
  static bool order_holds(const u8* page, const KeyRange& range) {
    const PageHeader& h = page_header(page);
    for (u32 i = 0; i < h.count; i++) {
      const Bytes key = page_key(page, i);
      if (common_bytes(key.data, page_key(page, 0).data, h.prefix) != h.prefix) return false;
      if (page_slots(page)[i].head != key_head(key, h.prefix)) return false;
      if (h.level == 0 && leaf_tags(page)[i] != key_tag(key)) return false;
      if (i > 0 && compare_keys(page_key(page, i - 1), key) >= 0) return false;
    }
    if (h.count == 0) return true;
    if (compare_keys(page_key(page, 0), range.low) < 0) return false;
    return !range.has_high || compare_keys(page_key(page, h.count - 1u), range.high) < 0;
  }

  Status leaf(const u8* page) {
    const u32 count = page_header(page).count;
    if (count == 0 && header.levels > 1) return kCorrupt;
    for (u32 i = 0; i < count; i++) {
      const Cell cell = page_cell(page, i);
      entries++;
      key_bytes += cell.key.length;
      if (cell_kind(cell.header) == kInlineCell) {
        value_bytes += cell.payload.length;
        continue;
      }
      if (cell_kind(cell.header) != kOverflowCell) return kCorrupt;
      const Status status = overflow(cell);
      if (status != kOk) return status;
    }
    return kOk;
  }

  Status walk() {
    struct Level {
      const u8* page;
      i32 position;
      KeyRange range;
    } stack[kTreeLevelsMax];
    const u32 top = header.levels - 1;
    u32 number = header.root, level = top;
    KeyRange range;
    for (;;) {
      if (!own(number)) return kCorrupt;
      const u8* page = read_page(segment, number);
      if (page == nullptr) return kAbsent;
      if (!layout_holds(page, level) || !order_holds(page, range)) return kCorrupt;
      if (level > 0) {
        stack[level] = {page, -2, range};
      } else {
        const Status status = leaf(page);
        if (status != kOk) return status;
        level++;
      }
      // Up past the branches that are done, then to the next child.
      while (level <= top && stack[level].position + 1 == page_header(stack[level].page).count) level++;
      if (level > top) return kOk;
      Level& branch = stack[level];
      branch.position++;
      number = branch_child(branch.page, branch.position);
      range = branch.range;
      if (branch.position >= 0) range.low = page_key(branch.page, static_cast<u32>(branch.position));
      if (branch.position + 1 < page_header(branch.page).count) {
        range.high = page_key(branch.page, static_cast<u32>(branch.position + 1));
        range.has_high = true;
      }
      level--;
    }
  }

  bool totals_hold() const {
    u32 free_pages = 0;
    for (u32 block = 0; block < header.blocks; block++) {
      const u16 mask = header.free_mask[block];
      if ((marks[block] | mask) != kBlockFree) return false;  // own() has seen to it that they do not overlap
      if (mask != 0 && block < header.free_from) return false;
      free_pages += static_cast<u32>(__builtin_popcount(mask));
    }
    for (u32 block = header.blocks; block < kTreeBlocksMax; block++) {
      if (header.free_mask[block] != 0) return false;
    }
    return free_pages == header.free_pages && entries == header.entries && key_bytes == header.key_bytes &&
           value_bytes == header.value_bytes;
  }
};

}  // namespace

Status check_tree(SegmentId segment) {
  const TreeHeader* header = read_header(segment);
  if (header == nullptr) return kAbsent;
  // Every block must be there: kAbsent names one after the other, so that the host can fetch them all.
  for (u32 block = 0; block < header->blocks; block++) {
    if (block_read(segment, block) == nullptr) return kAbsent;
  }
  // A whole frame, though an eighth would do: only frames are given back.
  static_assert(kTreeBlocksMax * 2 <= kBlockBytes);
  const Addr marks = transient_alloc(kBlockBytes);
  if (marks == 0) return kOutOfMemory;
  const Status status = TreeCheck{segment, *header, at<u16>(marks)}.run();
  transient_free(marks, kBlockBytes);
  return status;
}

}  // namespace shibumi
