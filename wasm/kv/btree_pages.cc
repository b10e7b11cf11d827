// Taking and giving back pages, and values that lie in pages of their own. See btree_pages.h.
#include "btree_pages.h"

namespace shibumi {

namespace {

void append_block(SegmentId segment, TreeHeader& header) {
  const u32 block = block_append(segment);
  check(block == header.blocks && block < kTreeBlocksMax);
  header.blocks++;
  header.free_mask[block] = kBlockFree;
  header.free_pages += kPagesPerBlock;
  header.free_from = min_of(header.free_from, block);
}

/// The number of data page `i` of a value; 0 when an index page is absent.
u32 overflow_page(SegmentId segment, const u8* list, u32 i) {
  if (overflow_shape(load<u32>(list)).index_pages == 0) return load<u32>(list + 4 + 4 * i);
  u32 page = load<u32>(list + 4);
  for (;; i -= kIndexPageNumbers) {
    const u8* index = read_page(segment, page);
    if (index == nullptr) return 0;
    if (i < kIndexPageNumbers) return load<u32>(index + sizeof(IndexHeader) + 4 * i);
    page = reinterpret_cast<const IndexHeader*>(index)->next;
  }
}

}  // namespace

Status plan_pages(SegmentId segment, const TreeHeader& header, u32 pages, u32 whole_blocks, TreeNeed& need) {
  for (u32 block = header.free_from; block < header.blocks && pages + whole_blocks > 0; block++) {
    const u16 mask = header.free_mask[block];
    if (mask == 0) continue;
    if (mask == kBlockFree && whole_blocks > 0) {
      whole_blocks--;
    } else if (pages > 0) {
      pages -= min_of(pages, static_cast<u32>(__builtin_popcount(mask)));
    } else {
      continue;
    }
    if (block_read(segment, block) == nullptr) return kAbsent;
    need.touched_blocks++;
  }
  const u32 new_blocks = whole_blocks + (pages + kPagesPerBlock - 1) / kPagesPerBlock;
  if (new_blocks > kTreeBlocksMax - header.blocks) return kFull;
  need.new_blocks += new_blocks;
  return kOk;
}

u32 take_page(SegmentId segment, TreeHeader& header, u32 near) {
  u32 block = block_of_page(near);
  if (header.free_mask[block] == 0) {
    if (header.free_pages == 0) append_block(segment, header);
    while (header.free_mask[header.free_from] == 0) header.free_from++;
    block = header.free_from;
  }
  const u32 bit = static_cast<u32>(__builtin_ctz(header.free_mask[block]));
  header.free_mask[block] = static_cast<u16>(header.free_mask[block] & ~(1u << bit));
  header.free_pages--;
  return block * kPagesPerBlock + bit;
}

u32 take_block(SegmentId segment, TreeHeader& header) {
  u32 block = header.free_from;
  while (block < header.blocks && header.free_mask[block] != kBlockFree) block++;
  if (block == header.blocks) append_block(segment, header);
  header.free_mask[block] = 0;
  header.free_pages -= kPagesPerBlock;
  return block * kPagesPerBlock;
}

void give_page(TreeHeader& header, u32 page) {
  const u32 block = block_of_page(page), bit = 1u << (page % kPagesPerBlock);
  check(page >= kHeaderPages && block < header.blocks && (header.free_mask[block] & bit) == 0);
  header.free_mask[block] = static_cast<u16>(header.free_mask[block] | bit);
  header.free_pages++;
  header.free_from = min_of(header.free_from, block);
}

OverflowShape overflow_shape(u32 bytes) {
  OverflowShape shape{};
  shape.pages = (bytes + kPageBytes - 1) >> kPageShift;
  shape.whole_blocks = shape.pages / kPagesPerBlock;
  const bool direct = shape.pages <= kDirectPagesMax;
  shape.index_pages = direct ? 0 : (shape.pages + kIndexPageNumbers - 1) / kIndexPageNumbers;
  shape.list_bytes = 4 + 4 * (direct ? shape.pages : 1);
  return shape;
}

void write_overflow(SegmentId segment, TreeHeader& header, Bytes value, u32 near, u8* list) {
  const OverflowShape shape = overflow_shape(value.length);
  u32 first_pages[kValueBytesMax / kBlockBytes];
  for (u32 i = 0; i < shape.whole_blocks; i++) first_pages[i] = take_block(segment, header);
  store<u32>(list, value.length);
  u8* numbers = list + 4;     // where the next page number goes
  u8* link = list + 4;        // where the next index page's number goes
  u32 room = shape.index_pages == 0 ? shape.pages : 0;
  for (u32 i = 0; i < shape.pages; i++) {
    if (room == 0) {
      const u32 index = take_page(segment, header, near);
      store<u32>(link, index);
      u8* bytes = write_page(segment, index);
      room = min_of(shape.pages - i, kIndexPageNumbers);
      *reinterpret_cast<IndexHeader*>(bytes) = {kIndexPage, {}, room, 0, 0};
      link = bytes + offsetof(IndexHeader, next);
      numbers = bytes + sizeof(IndexHeader);
    }
    const u32 block = i / kPagesPerBlock;
    const u32 page =
        block < shape.whole_blocks ? first_pages[block] + i % kPagesPerBlock : take_page(segment, header, near);
    store<u32>(numbers, page);
    numbers += 4;
    room--;
    const u32 from = i << kPageShift, bytes = min_of(kPageBytes, value.length - from);
    u8* to = write_page(segment, page);
    __builtin_memcpy(to, value.data + from, bytes);
    // What the page held before is not part of the value; zeros let the block be stored shorter.
    __builtin_memset(to + bytes, 0, kPageBytes - bytes);
  }
}

Status plan_free_overflow(SegmentId segment, const u8* list) {
  const OverflowShape shape = overflow_shape(load<u32>(list));
  u32 page = load<u32>(list + 4);
  for (u32 i = 0; i < shape.index_pages; i++) {
    const u8* index = read_page(segment, page);
    if (index == nullptr) return kAbsent;
    page = reinterpret_cast<const IndexHeader*>(index)->next;
  }
  return kOk;
}

void free_overflow(SegmentId segment, TreeHeader& header, const u8* list) {
  const OverflowShape shape = overflow_shape(load<u32>(list));
  if (shape.index_pages == 0) {
    for (u32 i = 0; i < shape.pages; i++) give_page(header, load<u32>(list + 4 + 4 * i));
    return;
  }
  u32 page = load<u32>(list + 4);
  for (u32 i = 0; i < shape.index_pages; i++) {
    const u8* index = read_page(segment, page);
    check(index != nullptr);
    const IndexHeader& index_header = *reinterpret_cast<const IndexHeader*>(index);
    check(index_header.kind == kIndexPage && index_header.count <= kIndexPageNumbers);
    for (u32 n = 0; n < index_header.count; n++) give_page(header, load<u32>(index + sizeof(IndexHeader) + 4 * n));
    give_page(header, page);
    page = index_header.next;
  }
}

Status read_overflow(SegmentId segment, const u8* list, u32 offset, u8* out, u32 bytes) {
  while (bytes > 0) {
    const u32 number = overflow_page(segment, list, offset >> kPageShift);
    if (number == 0) return kAbsent;
    const u8* page = read_page(segment, number);
    if (page == nullptr) return kAbsent;
    const u32 from = offset & (kPageBytes - 1), count = min_of(bytes, kPageBytes - from);
    __builtin_memcpy(out, page + from, count);
    out += count;
    offset += count;
    bytes -= count;
  }
  return kOk;
}

}  // namespace shibumi
