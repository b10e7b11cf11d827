// The tree's writing half: applying what was planned. Nothing here can miss a page or run out of memory; `check` traps
// if a plan was wrong.
//
// A page that overflows is cut in two and the cut's separator goes one level up. A page that runs low is merged with a
// sibling when both fit in one, and an empty one is freed, so that removed entries give their space back. Merging is
// skipped when the sibling's block is absent: fetching a block only to save space would make removals slow.
#include "btree_pages.h"
#include "key_hints.h"

namespace shibumi {

namespace {

// A page is offered for merging below 3/8 and merged up to 13/16 of its room: well apart, so that a few inserts do not
// split again what was just merged.
constexpr u32 kMergeBelowBytes = kPageRoom / 8 * 3;
constexpr u32 kMergeUpToBytes = kPageRoom / 16 * 13;

// Separators on their way up. Two, because level n+1's is made while level n's is still to be inserted.
u8 separator_bytes[2][kKeyBytesMax];

/// The cells of a full page with a new one among them.
struct CellsWithNew {
  const u8* page;
  u32 position;
  Cell added;
  Cell operator()(u32 i) const {
    if (i == position) return added;
    return page_cell(page, i < position ? i : i - 1);
  }
};

/// Where to cut `total` cells: the first cell of the right page (of a branch: the cell that goes up).
u32 choose_cut(const CellsWithNew& cells, u32 total, u32 level, bool ascending) {
  // Keys that come in order would leave every page half full behind them: cut right after the new one instead, at the
  // end of the tree as well as in the middle (one prefix among many growing at its end).
  if (ascending && cells.position == total - 1) return level == 0 ? total - 1 : total - 2;
  u32 sum = 0, left_with_new = 0;
  for (u32 i = 0; i < total; i++) {
    sum += footprint(cells(i), level);
    if (i == cells.position) left_with_new = sum;
  }
  if (ascending && level == 0 && left_with_new <= kPageRoom - kTagSlack) return cells.position + 1;
  u32 left = 0, cut = 0;
  for (u32 size = footprint(cells(0), level); left + size / 2 < sum / 2; size = footprint(cells(cut), level)) {
    left += size;
    cut++;
  }
  return min_of(max_of(cut, 1u), level == 0 ? total - 1 : total - 2);
}

struct TreeWriter {
  SegmentId segment;
  TreeHeader& header;
  KeyHints* hints;

  u8* page(u32 number) const { return write_page(segment, number); }

  void moved(u32 number) const {
    if (hints != nullptr) hints->moved(number);
  }
  /// Gives a page back that may have been a leaf.
  void give(u32 number) const {
    moved(number);
    give_page(header, number);
  }

  /// Puts a cell into the page of `path` at `level`, cutting pages up to the root as needed.
  void insert(const TreePath& path, u32 level, u32 position, Cell cell) {
    for (;; level++) {
      u8* bytes = page(path.page[level]);
      if (page_free(bytes) >= cell.bytes()) {
        if (page_insert_compacts(bytes, cell.bytes())) moved(path.page[level]);
        page_insert(bytes, position, cell);
        return;
      }
      cell = cut(path.page[level], bytes, position, cell);
      if (level + 1 == path.levels) {
        grow_root(cell);
        return;
      }
      position = static_cast<u32>(path.position[level + 1] + 1);
    }
  }

  /// Cuts a page that a cell does not fit in. Returns the cell for the level above.
  Cell cut(u32 number, u8* left, u32 position, const Cell& cell) {
    const u32 right_number = take_page(segment, header, number);
    moved(number);
    u8* right = page(right_number);
    const PageHeader old = page_header(left);
    const CellsWithNew cells{page_stash(left), position, cell};
    const u32 total = old.count + 1u;
    const bool ascending = position > 0 && old.last_insert == position;
    const u32 at = choose_cut(cells, total, old.level, ascending);

    // What goes up must outlive the stash. Of a leaf it is the shortest key that still parts the two pages (Bayer and
    // Unterauer, "Prefix B-trees", 1977): short separators keep branches wide.
    const Bytes first = cells(at).key;
    const u32 length = old.level == 0 ? common_prefix(cells(at - 1).key, first) + 1 : first.length;
    u8* separator = separator_bytes[old.level & 1];
    __builtin_memcpy(separator, first.data, length);

    const u32 right_from = old.level == 0 ? at : at + 1;
    page_init(right, old.level, old.level == 0 ? 0 : cells(at).header);
    page_fill(right, cells, right_from, total);
    page_init(left, old.level, old.first_child);
    page_fill(left, cells, 0, at);
    if (position < at) page_header(left).last_insert = static_cast<u16>(position + 1);
    if (position >= right_from) page_header(right).last_insert = static_cast<u16>(position - right_from + 1);
    return {right_number, {separator, length}, {}};
  }

  void grow_root(const Cell& separator) {
    check(header.levels < kTreeLevelsMax);
    const u32 root = take_page(segment, header, header.root);
    u8* bytes = page(root);
    page_init(bytes, header.levels, header.root);
    page_insert(bytes, 0, separator);
    header.root = root;
    header.levels++;
  }

  /// After cells were removed from the leaf of `path`: frees and merges pages up to the root.
  void shrink(const TreePath& path) {
    bool childless = page_header(read_page(segment, path.page[0])).count == 0;  // an empty leaf, a branch without child
    for (u32 level = 0; level + 1 < path.levels; level++) {
      const u32 number = path.page[level];
      if (childless) {
        give(number);
        childless = !remove_child(path, level + 1);
      } else if (page_used(read_page(segment, number)) >= kMergeBelowBytes || !merge_with_sibling(path, level)) {
        return;
      }
    }
    if (childless && path.levels > 1) {
      page_init(page(header.root), 0, 0);
      header.levels = 1;
    }
    while (header.levels > 1) {
      const PageHeader& root = page_header(read_page(segment, header.root));
      if (root.count > 0) return;
      const u32 child = root.first_child;
      // The child may be absent, and then is not looked into: a root with one child is right, only higher than needed.
      if (!page_present(segment, child)) return;
      give(header.root);
      header.root = child;
      header.levels--;
    }
  }

  /// Removes the child that `path` took in its page at `level`. False when that was the last one.
  bool remove_child(const TreePath& path, u32 level) {
    u8* bytes = page(path.page[level]);
    const i32 position = path.position[level];
    if (position >= 0) {
      page_remove(bytes, static_cast<u32>(position));
      return true;
    }
    if (page_header(bytes).count == 0) return false;
    page_header(bytes).first_child = branch_child(bytes, 0);
    page_remove(bytes, 0);
    return true;
  }

  bool merge_with_sibling(const TreePath& path, u32 level) {
    const u32 parent = path.page[level + 1];
    const u8* branch = read_page(segment, parent);
    const i32 position = path.position[level + 1];
    if (position + 1 < page_header(branch).count && merge(parent, branch, position)) return true;
    return position >= 0 && merge(parent, branch, position - 1);
  }

  /// Merges the children at `position` and after it into the first of them, if both are present and fit.
  bool merge(u32 parent, const u8* branch, i32 position) {
    const u32 left_number = branch_child(branch, position), right_number = branch_child(branch, position + 1);
    if (!page_present(segment, left_number) || !page_present(segment, right_number)) return false;
    const u8* right = read_page(segment, right_number);
    const u32 level = page_header(right).level;
    const u32 parting = static_cast<u32>(position + 1);
    const Cell separator{page_header(right).first_child, page_key(branch, parting), {}};
    const u32 between = level == 0 ? 0 : 1;  // the separator comes down between the cells of two branches
    const u32 both = page_used(read_page(segment, left_number)) + page_used(right);
    if (both + between * footprint(separator, level) > kMergeUpToBytes) return false;

    moved(left_number);
    u8* left = page(left_number);
    const u8* old = page_stash(left);
    const u32 left_count = page_header(old).count;
    const auto cells = [&](u32 i) {
      if (i < left_count) return page_cell(old, i);
      return i < left_count + between ? separator : page_cell(right, i - left_count - between);
    };
    page_init(left, level, page_header(old).first_child);
    page_fill(left, cells, 0, left_count + between + page_header(right).count);
    give(right_number);
    page_remove(page(parent), parting);
    return true;
  }
};

/// The page list of an overflow cell, kept while the cell is overwritten. Freeing comes last: pages given back earlier
/// could be taken again by the same mutation, and their blocks may be absent.
struct KeptPageList {
  bool any = false;
  u8 bytes[kPageListBytesMax];
  explicit KeptPageList(const Cell& cell) {
    any = cell_kind(cell.header) == kOverflowCell;
    if (any) __builtin_memcpy(bytes, cell.payload.data, min_of(cell.payload.length, kPageListBytesMax));
  }
};

u32 cell_value_bytes(const Cell& cell) {
  return cell_kind(cell.header) == kOverflowCell ? load<u32>(cell.payload.data) : cell.payload.length;
}

}  // namespace

void Btree::apply_put(const TreePlan& plan, Bytes key, Bytes value, u8 flags) {
  TreeHeader* header = write_header(segment_);
  TreeWriter writer{segment_, *header, hints_};
  const u32 leaf_number = plan.path.page[0], position = static_cast<u32>(plan.path.position[0]);
  u8* leaf = write_page(segment_, leaf_number);

  u8 list[kPageListBytesMax];
  Bytes payload = value;
  CellKind kind = kInlineCell;
  if (!fits_inline(key.length, value.length)) {
    write_overflow(segment_, *header, value, leaf_number, list);
    payload = {list, overflow_shape(value.length).list_bytes};
    kind = kOverflowCell;
  }
  const Cell cell{leaf_cell_header(payload.length, flags, kind), key, payload};
  header->value_bytes += value.length;
  if (!plan.found) {
    header->entries++;
    header->key_bytes += key.length;
    writer.insert(plan.path, 0, position, cell);
    return;
  }
  const Cell old = page_cell(leaf, position);
  const KeptPageList old_pages(old);
  header->value_bytes -= cell_value_bytes(old);
  if (old.payload.length == payload.length) {
    u8* to = leaf + page_slots(leaf)[position].cell;
    store<u32>(to, cell.header);
    copy_run(to + kCellHeaderBytes + key.length, payload.data, payload.length);
  } else {
    if (hints_ != nullptr) hints_->forget(key);
    page_remove(leaf, position);
    writer.insert(plan.path, 0, position, cell);
  }
  if (old_pages.any) free_overflow(segment_, *header, old_pages.bytes);
}

bool Btree::put_by_hint(Bytes key, Bytes value, u8 flags) {
  const u32 place = hints_ == nullptr ? 0 : hints_->find(key, key_hash(key));
  if (place == 0) return false;
  const u32 header = load<u32>(hints_->cell_at(place));
  if (cell_kind(header) != kInlineCell || cell_payload_bytes(header) != value.length) return false;
  if (reserve(0, 1) != kOk) return false;
  u8* to = write_page(segment_, place >> kPageShift) + (place & (kPageBytes - 1));
  store<u32>(to, leaf_cell_header(value.length, flags, kInlineCell));
  copy_run(to + kCellHeaderBytes + key.length, value.data, value.length);
  return true;
}

void Btree::apply_remove(const TreePlan& plan) {
  TreeHeader* header = write_header(segment_);
  u8* leaf = write_page(segment_, plan.path.page[0]);
  const u32 position = static_cast<u32>(plan.path.position[0]);
  const Cell old = page_cell(leaf, position);
  const KeptPageList old_pages(old);
  header->entries--;
  header->key_bytes -= old.key.length;
  header->value_bytes -= cell_value_bytes(old);
  if (hints_ != nullptr) hints_->forget(old.key);
  page_remove(leaf, position);
  TreeWriter{segment_, *header, hints_}.shrink(plan.path);
  if (old_pages.any) free_overflow(segment_, *header, old_pages.bytes);
}

}  // namespace shibumi
