// The tree's reading half: opening, point reads, and the plans of mutations. Applying them is btree_write.cc, stepping
// through entries btree_cursor.cc, checking an untrusted image btree_check.cc.
#include "btree.h"

#include "btree_check.h"
#include "btree_pages.h"
#include "key_hints.h"

namespace shibumi {

namespace {

/// Reads the pages from the root to the leaf where `key` is or would be. `path` gets all but the leaf's position.
Status descend_to_leaf(SegmentId segment, Bytes key, TreePath& path, const u8*& leaf) {
  const TreeHeader* header = read_header(segment);
  if (header == nullptr) return kAbsent;
  path.levels = header->levels;
  u32 page = header->root;
  for (u32 level = header->levels - 1;; level--) {
    path.page[level] = page;
    const u8* bytes = read_page(segment, page);
    if (bytes == nullptr) return kAbsent;
    if (level == 0) {
      leaf = bytes;
      return kOk;
    }
    path.position[level] = branch_find(bytes, key);
    page = branch_child(bytes, path.position[level]);
  }
}

/// The leaf where `key` is or would be; nullptr when a block on the way is absent, the fault recorded.
const u8* leaf_of(SegmentId segment, Bytes key, u32& page) {
  const TreeHeader* header = read_header(segment);
  if (header == nullptr) return nullptr;
  page = header->root;
  for (u32 level = header->levels - 1; level > 0; level--) {
    const u8* branch = read_page(segment, page);
    if (branch == nullptr) return nullptr;
    page = branch_child(branch, branch_find(branch, key));
  }
  return read_page(segment, page);
}

/// How many pages splits may take when `bytes` more go into the leaf. Separators are cut short when leaves split, but
/// how short is not known yet: a branch counts as full when the longest key would not fit.
u32 pages_for_splits(SegmentId segment, const TreePath& path, u32 leaf_free, u32 bytes) {
  if (bytes <= leaf_free) return 0;
  constexpr u32 kSeparatorBytesMax = kCellHeaderBytes + kKeyBytesMax;
  u32 level = 1;
  while (level < path.levels && page_free(read_page(segment, path.page[level])) < kSeparatorBytesMax) level++;
  return level < path.levels ? level : path.levels + 1;  // one more: a new root
}

/// An upper bound for `count` mutations that put `cell_bytes` into leaves and take pages for large values besides.
TreeNeed bound_pages(SegmentId segment, u64 count, u64 cell_bytes, u64 pages, u64 whole_blocks) {
  const TreeHeader* header = read_header(segment);
  const u64 levels = header == nullptr ? 4 : header->levels;
  const u64 used = header == nullptr ? 0 : u64{header->blocks} * kPagesPerBlock - header->free_pages;
  // Each page there is may be full and be cut once; a new one has to be filled by a third of its room first. Branches
  // are cut by what leaves' cuts send up, at four or more of them, but for one climb to the root.
  const u64 leaf_cuts = min_of(count, used + 3 * cell_bytes / kPageRoom);
  pages += leaf_cuts + leaf_cuts / 4 + levels + 1;
  const u64 blocks = header == nullptr ? 0 : header->blocks;
  const u64 new_blocks = whole_blocks + (pages + kPagesPerBlock - 1) / kPagesPerBlock;
  // Touched: the header, the leaf of each mutation and one it merges with, branches, pages taken from the free ones.
  const u64 touched = 1 + 2 * count + 2 * levels + pages + whole_blocks;
  return {static_cast<u32>(min_of<u64>(new_blocks, kTreeBlocksMax)),
          static_cast<u32>(min_of(touched, blocks + new_blocks))};
}

}  // namespace

Status Btree::create() {
  check(segments[segment_].block_count == 0);
  const Status status = reserve(1, 0);
  if (status != kOk) return status;
  block_append(segment_);
  constexpr u32 root = kHeaderPages;
  TreeHeader* header = write_header(segment_);
  header->magic = kTreeMagic;
  header->version = kTreeVersion;
  header->page_bytes = kPageBytes;
  header->root = root;
  header->levels = 1;
  header->blocks = 1;
  header->free_pages = kPagesPerBlock - kHeaderPages - 1;
  header->free_mask[0] = static_cast<u16>(kBlockFree << (kHeaderPages + 1));
  page_init(write_page(segment_, root), 0, 0);
  return kOk;
}

Status Btree::open(bool deep) const {
  if (segments[segment_].block_count == 0) return kCorrupt;
  const TreeHeader* header = read_header(segment_);
  if (header == nullptr) return kAbsent;
  const bool plausible = header->magic == kTreeMagic && header->version == kTreeVersion &&
                         header->page_bytes == kPageBytes && header->blocks == segments[segment_].block_count &&
                         header->blocks <= kTreeBlocksMax && header->levels >= 1 && header->levels <= kTreeLevelsMax &&
                         header->root >= kHeaderPages && block_of_page(header->root) < header->blocks;
  if (!plausible) return kCorrupt;
  return deep ? check_tree(segment_) : kOk;
}

u32 Btree::count() const {
  const TreeHeader* header = read_header(segment_);
  return header == nullptr ? 0 : header->entries;
}

u64 Btree::payload_bytes() const {
  const TreeHeader* header = read_header(segment_);
  return header == nullptr ? 0 : header->key_bytes + header->value_bytes;
}

void Btree::learn(Bytes key, u32 page, u32 cell) const {
  if (hints_ != nullptr) hints_->learn(key, key_hash(key), page, cell, count());
}

u32 KeyHints::find(Bytes key, u64 hash) const {
  const HintLine* line = line_of(hash);
  const u32 place = line == nullptr ? 0 : guess(*line, key, hash);
  const u8* cell = place == 0 ? nullptr : cell_at(place);
  return cell != nullptr && same_bytes(cell + kCellHeaderBytes, key) ? place : 0;
}

Status Btree::get(Bytes key, ValueView& out) const {
  const u32 place = hints_ == nullptr ? 0 : hints_->find(key, key_hash(key));
  if (place != 0) {
    out = cell_value(hints_->cell_at(place), key.length);
    return kOk;
  }
  u32 page = 0;
  const u8* leaf = leaf_of(segment_, key, page);
  if (leaf == nullptr) return kAbsent;
  const i32 position = leaf_find(leaf, key);
  if (position < 0) return kNotFound;
  out = leaf_value(leaf, static_cast<u32>(position));
  learn(key, page, page_slots(leaf)[position].cell);
  return kOk;
}

void Btree::get_group(const Bytes* keys, u32 count, ValueView* out, Status* statuses) const {
  const HintLine* lines[kGroupMax];
  u64 hashes[kGroupMax];
  u32 touched = 0;
  // Each loop of touches does nothing else: what a processor looks ahead over is then only loads, and their misses overlap.
  // The touches must stay, and must come before what follows.
  for (u32 i = 0; i < count; i++) {
    hashes[i] = hints_ == nullptr ? 0 : key_hash(keys[i]);
    lines[i] = hints_ == nullptr ? nullptr : hints_->line_of(hashes[i]);
    if (lines[i] != nullptr) touched += lines[i]->tag[0];
  }
  asm volatile("" ::"r"(touched) : "memory");
  const u8* cells[kGroupMax];
  for (u32 i = 0; i < count; i++) {
    const u32 place = lines[i] == nullptr ? 0 : hints_->guess(*lines[i], keys[i], hashes[i]);
    cells[i] = place == 0 ? nullptr : hints_->cell_at(place);
    // To the page's end: what lies there is in memory, whosever it is.
    if (cells[i] == nullptr) continue;
    const u32 behind = (0 - addr_of(cells[i])) & (kPageBytes - 1);
    touched += cells[i][0] + cells[i][min_of(64u, behind - 1)] + cells[i][min_of(128u, behind - 1)];
  }
  asm volatile("" ::"r"(touched) : "memory");
  u8 unknown[kGroupMax];
  u32 left = 0;
  for (u32 i = 0; i < count; i++) {
    if (cells[i] != nullptr && same_bytes(cells[i] + kCellHeaderBytes, keys[i])) {
      out[i] = cell_value(cells[i], keys[i].length);
      statuses[i] = kOk;
    } else {
      unknown[left++] = static_cast<u8>(i);
    }
  }
  if (left > 0) find_group(keys, unknown, left, out, statuses);
}

/// Those of a group that no hint leads to.
__attribute__((minsize)) void Btree::find_group(const Bytes* keys, const u8* which, u32 count, ValueView* out, Status* statuses) const {
  const u8* leaves[kGroupMax];
  u32 pages[kGroupMax];
  i32 positions[kGroupMax];
  u32 touched = 0;
  // With the descents among the touches a key took a fifth longer.
  for (u32 i = 0; i < count; i++) leaves[i] = leaf_of(segment_, keys[which[i]], pages[i]);
  for (u32 i = 0; i < count; i++) {
    // The header's line and those of the tags: most leaves have up to two hundred entries.
    if (leaves[i] != nullptr) touched += leaves[i][0] + leaves[i][64] + leaves[i][128];
  }
  asm volatile("" ::"r"(touched) : "memory");
  for (u32 i = 0; i < count; i++) positions[i] = leaves[i] == nullptr ? -1 : leaf_guess(leaves[i], keys[which[i]]);
  for (u32 i = 0; i < count; i++) {
    if (positions[i] >= 0) touched += page_slots(leaves[i])[positions[i]].cell;
  }
  asm volatile("" ::"r"(touched) : "memory");
  for (u32 i = 0; i < count; i++) {
    if (positions[i] < 0) continue;
    const u32 cell = page_slots(leaves[i])[positions[i]].cell;
    touched += leaves[i][cell] + leaves[i][min_of(cell + 64, kPageBytes - 1)] + leaves[i][min_of(cell + 128, kPageBytes - 1)];
  }
  asm volatile("" ::"r"(touched) : "memory");
  for (u32 i = 0; i < count; i++) {
    const Bytes key = keys[which[i]];
    ValueView& value = out[which[i]];
    Status& status = statuses[which[i]];
    if (leaves[i] == nullptr) {
      // Once more, for the fault to be of this key's block.
      status = get(key, value);
      continue;
    }
    i32 position = positions[i];
    if (position >= 0 && compare_keys(page_key(leaves[i], static_cast<u32>(position)), key) != 0)
      position = leaf_find(leaves[i], key);
    status = position < 0 ? kNotFound : kOk;
    if (position < 0) continue;
    value = leaf_value(leaves[i], static_cast<u32>(position));
    learn(key, pages[i], page_slots(leaves[i])[position].cell);
  }
}

Status Btree::read_value(const ValueView& value, u32 offset, u8* out, u32 bytes) const {
  if (offset > value.length || bytes > value.length - offset) return kInvalid;
  if (value.data == nullptr) return read_overflow(segment_, value.overflow, offset, out, bytes);
  __builtin_memcpy(out, value.data + offset, bytes);
  return kOk;
}

Status Btree::plan_put(Bytes key, u32 value_bytes, TreePlan& plan) const {
  if (key.length > kKeyBytesMax || value_bytes > kValueBytesMax) return kInvalid;
  const u8* leaf = nullptr;
  Status status = descend_to_leaf(segment_, key, plan.path, leaf);
  if (status != kOk) return status;
  // By tags first: what is replaced is then found with a third of the misses.
  const i32 found = leaf_find(leaf, key);
  plan.found = found >= 0;
  const u32 position = plan.found ? static_cast<u32>(found) : page_lower_bound(leaf, key, plan.found);
  plan.path.position[0] = static_cast<i32>(position);
  plan.need = {0, plan.path.levels + 1};

  u32 leaf_free = page_free(leaf);
  if (plan.found) {
    const Cell old = page_cell(leaf, position);
    learn(key, plan.path.page[0], page_slots(leaf)[position].cell);
    leaf_free += old.bytes();
    if (cell_kind(old.header) == kOverflowCell) status = plan_free_overflow(segment_, old.payload.data);
    if (status != kOk) return status;
  }
  u32 payload_bytes = value_bytes, pages = 0, whole_blocks = 0;
  if (!fits_inline(key.length, value_bytes)) {
    const OverflowShape shape = overflow_shape(value_bytes);
    payload_bytes = shape.list_bytes;
    pages = overflow_single_pages(shape);
    whole_blocks = shape.whole_blocks;
  }
  pages += pages_for_splits(segment_, plan.path, leaf_free, kCellHeaderBytes + key.length + payload_bytes);
  if (pages + whole_blocks == 0) return kOk;
  if (plan.path.levels == kTreeLevelsMax) return kFull;
  return plan_pages(segment_, *read_header(segment_), pages, whole_blocks, plan.need);
}

Status Btree::plan_remove(Bytes key, TreePlan& plan) const {
  const u8* leaf = nullptr;
  const Status status = descend_to_leaf(segment_, key, plan.path, leaf);
  if (status != kOk) return status;
  const u32 position = page_lower_bound(leaf, key, plan.found);
  if (!plan.found) return kNotFound;
  plan.path.position[0] = static_cast<i32>(position);
  // The path, and at each level a sibling to merge with; the header.
  plan.need = {0, 2 * plan.path.levels + 1};
  const Cell cell = page_cell(leaf, position);
  return cell_kind(cell.header) == kOverflowCell ? plan_free_overflow(segment_, cell.payload.data) : kOk;
}

Status Btree::put(Bytes key, Bytes value, u8 flags, bool& existed) {
  TreePlan plan;
  Status status = plan_put(key, value.length, plan);
  if (status == kOk) status = reserve(plan.need.new_blocks, plan.need.touched_blocks);
  if (status != kOk) return status;
  existed = plan.found;
  apply_put(plan, key, value, flags);
  return kOk;
}

Status Btree::remove(Bytes key) {
  TreePlan plan;
  Status status = plan_remove(key, plan);
  if (status == kOk) status = reserve(0, plan.need.touched_blocks);
  if (status != kOk) return status;
  apply_remove(plan);
  return kOk;
}

TreeNeed Btree::bound(u32 count, u32 key_bytes, u32 value_bytes) const {
  u64 cell_bytes = kEntryOverhead + key_bytes + value_bytes, pages = 0, whole_blocks = 0;
  if (!fits_inline(key_bytes, value_bytes)) {
    const OverflowShape shape = overflow_shape(value_bytes);
    cell_bytes = kEntryOverhead + key_bytes + shape.list_bytes;
    pages = overflow_single_pages(shape);
    whole_blocks = shape.whole_blocks;
  }
  return bound_pages(segment_, count, count * cell_bytes, count * pages, count * whole_blocks);
}

TreeNeed Btree::bound_total(u32 count, u64 payload_bytes) const {
  // Values with pages of their own are longer than this, and waste less than two pages each.
  constexpr u64 kOverflowBytesMin = kCellBytesMax - kCellHeaderBytes;
  const u64 overflowing = min_of<u64>(count, payload_bytes / kOverflowBytesMin);
  const u64 pages = (payload_bytes >> kPageShift) + 2 * overflowing;
  return bound_pages(segment_, count, payload_bytes + u64{count} * kEntryOverhead, pages, 0);
}

}  // namespace shibumi
