// Reading what is left of a tree some of whose blocks are lost. Every block that is there passed its checksum, so that a page
// that can be read is right; a page that cannot takes what is below it along. Entries come in key order.
//
// Concurrency: none; dies with any change of the tree.
#pragma once

#include "btree.h"

namespace shibumi {

class TreeSalvage {
 public:
  constexpr explicit TreeSalvage(SegmentId segment) : tree_(segment) {}

  /// Goes to the next entry there is. False at the end.
  bool next();
  // Requires: standing on an entry.
  Bytes key() const;
  ValueView value() const;
  const Btree& tree() const { return tree_; }
  /// Pages met that are not there, each with all that was below it.
  u32 lost_pages() const { return lost_pages_; }

 private:
  const u8* page_at(u32 page, u32 level);
  bool descend(u32 page, u32 level);
  Btree tree_;
  bool started_ = false;
  u32 levels_ = 0;
  u32 lost_pages_ = 0;
  const u8* page_[kTreeLevelsMax] = {};  // by level, 0 = leaf
  i32 position_[kTreeLevelsMax] = {};
};

}  // namespace shibumi
