// Stepping through a tree in key order. There are no links between leaves: a step past a leaf's edge goes up the kept
// path and down again, so that a split or merge has fewer pages to change; one step in a hundred pays for it.
#include "btree_pages.h"

namespace shibumi {

/// Goes down from the child that `path` names at `from_level` to the first or last entry below it.
Status TreeCursor::descend_edge(TreePath& path, u32 from_level, bool rightmost) {
  for (u32 level = from_level;; level--) {
    const u8* bytes = read_page(segment_, path.page[level]);
    if (bytes == nullptr) return kAbsent;
    const i32 count = page_header(bytes).count;
    if (level == 0) {
      if (count == 0) return kNotFound;  // only the root leaf of an empty tree
      path.position[0] = rightmost ? count - 1 : 0;
      leaf_ = bytes;
      return kOk;
    }
    path.position[level] = rightmost ? count - 1 : -1;
    path.page[level - 1] = branch_child(bytes, path.position[level]);
  }
}

/// Moves to the nearest entry of the next (or previous) leaf.
Status TreeCursor::step_leaf(bool forward) {
  TreePath path = path_;
  for (u32 level = 1; level < path.levels; level++) {
    const u8* branch = read_page(segment_, path.page[level]);
    if (branch == nullptr) return kAbsent;
    i32& position = path.position[level];
    if (forward ? position + 1 >= page_header(branch).count : position < 0) continue;
    position += forward ? 1 : -1;
    path.page[level - 1] = branch_child(branch, position);
    const Status status = descend_edge(path, level - 1, !forward);
    if (status == kOk) path_ = path;
    return status;
  }
  leaf_ = nullptr;
  return kNotFound;
}

/// Finds the leaf of `key` and the first slot there that is >= key; the slot may be one past the leaf's last.
Status TreeCursor::locate(Bytes key, bool& equal) {
  const TreeHeader* header = read_header(segment_);
  if (header == nullptr) return kAbsent;
  TreePath path;
  path.levels = header->levels;
  path.page[path.levels - 1] = header->root;
  for (u32 level = path.levels - 1; level > 0; level--) {
    const u8* branch = read_page(segment_, path.page[level]);
    if (branch == nullptr) return kAbsent;
    path.position[level] = branch_find(branch, key);
    path.page[level - 1] = branch_child(branch, path.position[level]);
  }
  const u8* leaf = read_page(segment_, path.page[0]);
  if (leaf == nullptr) return kAbsent;
  path.position[0] = static_cast<i32>(page_lower_bound(leaf, key, equal));
  path_ = path;
  leaf_ = leaf;
  return kOk;
}

Status TreeCursor::seek(Bytes key, bool after) {
  const TreeCursor before = *this;
  bool equal = false;
  Status status = locate(key, equal);
  if (status != kOk) return status;
  if (equal && after) path_.position[0]++;
  if (path_.position[0] == page_header(leaf_).count) status = step_leaf(true);
  if (status == kAbsent) *this = before;
  return status;
}

Status TreeCursor::seek_before(Bytes key, bool inclusive) {
  const TreeCursor before = *this;
  bool equal = false;
  Status status = locate(key, equal);
  if (status != kOk) return status;
  if (equal && inclusive) return kOk;
  if (path_.position[0] > 0) {
    path_.position[0]--;
  } else {
    status = step_leaf(false);
  }
  if (status == kAbsent) *this = before;
  return status;
}

Status TreeCursor::edge(bool rightmost) {
  const TreeHeader* header = read_header(segment_);
  if (header == nullptr) return kAbsent;
  TreePath path;
  path.levels = header->levels;
  path.page[path.levels - 1] = header->root;
  const Status status = descend_edge(path, path.levels - 1, rightmost);
  if (status == kOk) path_ = path;
  if (status == kNotFound) leaf_ = nullptr;
  return status;
}

Status TreeCursor::first() { return edge(false); }
Status TreeCursor::last() { return edge(true); }

Status TreeCursor::next() {
  if (path_.position[0] + 1 >= page_header(leaf_).count) return step_leaf(true);
  path_.position[0]++;
  return kOk;
}

Status TreeCursor::previous() {
  if (path_.position[0] == 0) return step_leaf(false);
  path_.position[0]--;
  return kOk;
}

Bytes TreeCursor::key() const { return page_key(leaf_, static_cast<u32>(path_.position[0])); }
ValueView TreeCursor::value() const { return leaf_value(leaf_, static_cast<u32>(path_.position[0])); }

}  // namespace shibumi
