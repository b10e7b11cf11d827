#include "btree_salvage.h"

#include "btree_pages.h"

namespace shibumi {

/// The page, or nullptr (counted) when it is lost or not what its parent says.
const u8* TreeSalvage::page_at(u32 number, u32 level) {
  const Segment& segment = segments[tree_.segment()];
  const bool there = block_of_page(number) < segment.block_count && at<const Addr>(segment.frames)[block_of_page(number)] != 0;
  const u8* page = there ? read_page(tree_.segment(), number) : nullptr;
  if (page != nullptr && page_header(page).level == level &&
      page_header(page).kind == (level == 0 ? kLeafPage : kBranchPage)) {
    return page;
  }
  lost_pages_++;
  return nullptr;
}

/// Goes down to the first leaf below `number` that is there and holds an entry.
bool TreeSalvage::descend(u32 number, u32 level) {
  const u8* page = page_at(number, level);
  if (page == nullptr) return false;
  page_[level] = page;
  position_[level] = -1;
  if (level == 0) return page_header(page).count > 0;
  const i32 count = page_header(page).count;
  for (; position_[level] < count; position_[level]++) {
    if (descend(branch_child(page, position_[level]), level - 1)) return true;
  }
  return false;
}

bool TreeSalvage::next() {
  if (!started_) {
    started_ = true;
    const bool there = segments[tree_.segment()].block_count > 0 && at<const Addr>(segments[tree_.segment()].frames)[0] != 0;
    if (!there) {
      lost_pages_++;
      return false;
    }
    const TreeHeader* header = read_header(tree_.segment());
    if (header->levels == 0 || header->levels > kTreeLevelsMax) return false;
    levels_ = header->levels;
    if (!descend(header->root, levels_ - 1)) {
      levels_ = 0;
      return false;
    }
    position_[0] = 0;
    return true;
  }
  if (levels_ == 0) return false;
  if (++position_[0] < page_header(page_[0]).count) return true;
  for (u32 level = 1; level < levels_; level++) {
    const i32 count = page_header(page_[level]).count;
    while (++position_[level] < count) {
      if (!descend(branch_child(page_[level], position_[level]), level - 1)) continue;
      position_[0] = 0;
      return true;
    }
  }
  levels_ = 0;
  return false;
}

Bytes TreeSalvage::key() const { return page_key(page_[0], static_cast<u32>(position_[0])); }
ValueView TreeSalvage::value() const { return leaf_value(page_[0], static_cast<u32>(position_[0])); }

}  // namespace shibumi
