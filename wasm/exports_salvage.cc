// The border of the core for reading what is left of a damaged space. No space needs to be open: the host adopts the blocks
// that are intact and asks for the entries of a tree, one at a time, and for vectors by slot.
#include "core/border.h"
#include "kv/btree_salvage.h"
#include "vector/vector_store.h"

using namespace shibumi;

namespace {

TreeSalvage salvage{0};
Rows salvage_rows;

bool good_segment(u32 segment) { return segment < kSegmentsMax && segments[segment].block_count > 0; }

}  // namespace

/// Begins with the entries of the tree in `segment`.
SHIBUMI_EXPORT(salvage_begin) void export_salvage_begin(u32 segment) {
  salvage = TreeSalvage{segment < kSegmentsMax ? segment : 0};
}

/// The next entry: u32 {key address, key bytes, value bytes, flags} at `out`; the key's address is good until the next
/// call. 1, or 0 at the end.
SHIBUMI_EXPORT(salvage_next) i32 export_salvage_next(Addr out) {
  if (!in_memory(out, 16) || !good_segment(salvage.tree().segment()) || !salvage.next()) return 0;
  const Bytes key = salvage.key();
  const ValueView value = salvage.value();
  u32* facts = at<u32>(out);
  facts[0] = addr_of(key.data);
  facts[1] = key.length;
  facts[2] = value.length;
  facts[3] = value.flags;
  return 1;
}

/// Copies the value of the entry last given. kOk, or kAbsent when part of it is lost.
SHIBUMI_EXPORT(salvage_value) i32 export_salvage_value(Addr out) {
  const ValueView value = salvage.value();
  if (!in_memory(out, value.length)) return kInvalid;
  if (value.data == nullptr) return salvage.tree().read_value(value, 0, at<u8>(out), value.length);
  __builtin_memcpy(at<u8>(out), value.data, value.length);
  return kOk;
}

/// Pages that were lost so far, each with all below it.
SHIBUMI_EXPORT(salvage_lost) u32 export_salvage_lost() { return salvage.lost_pages(); }

/// Says how vectors lie in their segment. metric as for vec_create.
SHIBUMI_EXPORT(salvage_rows) i32 export_salvage_rows(u32 dimension, u32 metric) {
  if (dimension == 0 || dimension > (1u << 16) || metric > kMetricMost) return kInvalid;
  salvage_rows.define(dimension, static_cast<Metric>(metric), 0);
  return kOk;
}

/// Where a slot's f32[dimension] are; 0 when its block is lost.
SHIBUMI_EXPORT(salvage_row) Addr export_salvage_row(u32 slot) {
  if (slot >= kSlotsMax || salvage_rows.records.block_of(slot) >= segments[kVectors].block_count) return 0;
  const f32* row = salvage_rows.row_or_fault(slot);
  return row == nullptr ? 0 : addr_of(row);
}
