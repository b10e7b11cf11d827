// What `open` checks before a stored image is used. The shallow checks (sizes, counts, that no block is missing) always
// run; the deep ones go through every reference, so that an image of unknown origin cannot lead outside its blocks.
#include "vector_store.h"

namespace shibumi {

bool VectorStore::good_config(const VectorConfig& config) {
  const u32 dimension_max = is_of_bits(config.metric) ? kBitsMax : kDimensionMax;
  if (config.dimension == 0 || config.dimension > dimension_max || config.metric > kMetricMost) return false;
  const bool good_power = config.metric == kLp ? config.power > 0 && config.power <= kPowerMax : config.power == 0;
  if (!good_power || config.id_kind > kStringIdKind || config.index > kIvf || config.codes > kPq) return false;
  if ((config.codes != kNoCodes || config.index == kIvf) && config.metric > kCosine) return false;
  const bool pq = config.codes == kPq;
  // PQ without lists to choose among has one list.
  if (config.index == kIvf ? config.list_count == 0 || config.list_count > kListCountMax : config.list_count != pq) return false;
  if (pq ? config.subspaces == 0 || config.subspaces > min_of(kSubspacesMax, config.dimension) : config.subspaces != 0) return false;
  if (pq && config.index == kFlat) return false;
  return config.index != kHnsw || (config.M >= kMMin && config.M <= kMMax && config.ef_construction > 0 &&
                                   config.ef_construction <= kEfConstructionMax);
}

Status VectorStore::check_superblock() {
  // Only originals may be absent.
  for (SegmentId s = 0; s < kSegmentsMax; s++) {
    if (s == kVectors) continue;
    for (u32 i = 0; i < segments[s].block_count; i++) {
      if (block_read(s, i) == nullptr) return kCorrupt;
    }
  }
  if (segments[kMeta].block_count != 1) return kCorrupt;
  const VectorSuperblock& super = meta_read();
  if (super.magic != kVectorMagic || super.version != kVectorVersion) return kCorrupt;
  const VectorConfig config{super.dimension, super.metric, super.power, super.id_kind, super.index, super.M, super.ef_construction,
                            super.codes, super.list_count, super.subspaces, super.seed};
  if (!has(config)) return kOtherCore;
  if (!good_config(config) || super.reserved != 0) {
    return kCorrupt;
  }
  const bool counts = super.slot_count <= kSlotsMax && super.live_count <= super.slot_count &&
                      super.free_head <= super.slot_count && super.next_stamp > 0;
  return counts ? kOk : kCorrupt;
}

Status VectorStore::check_sizes() const {
  const u32 count = slot_count();
  if (segments[kSlots].block_count != slots_.records.blocks_for(count)) return kCorrupt;
  if (segments[kVectors].block_count != rows_.records.blocks_for(count)) return kCorrupt;
  const u64 string_end = meta_read().string_end;
  const u64 string_blocks = segments[kStringIds].block_count;
  if ((string_end + kBlockBytes - 1) >> kBlockShift != string_blocks) return kCorrupt;
  return segments[kIdTree].block_count > 0 ? kOk : kCorrupt;
}

/// Fills the marks from the records and checks that the counts agree.
Status VectorStore::mark_live() {
  const u32 count = slot_count();
  if (!slots_.mark_bytes.ensure(count, false)) return kOutOfMemory;
  u8* marks = slots_.marks();
  u32 live = 0;
  for (u32 slot = 0; slot < count; slot++) {
    const SlotRecord& record = slots_.record(slot);
    marks[slot] = record.stamp == 0 ? 0 : kLiveMark;
    live += record.stamp != 0;
    if (record.stamp >= meta_read().next_stamp || record.reserved != 0) return kCorrupt;
  }
  return live == live_count() ? kOk : kCorrupt;
}

bool VectorStore::good_string(u64 reference) const {
  const u64 end = meta_read().string_end;
  const u32 within = static_cast<u32>(reference & (kBlockBytes - 1));
  if (reference % 4 != 0 || reference >= end || within + 4 > kBlockBytes) return false;
  const u32 length = Slots::string_at(reference).length;
  return length <= kKeyBytesMax && within + string_record_bytes(length) <= kBlockBytes &&
         reference + string_record_bytes(length) <= end;
}

/// Every id in the tree names a live slot whose id it is. As there are as many ids as live slots and no two ids are the
/// same, each live slot is named once.
Status VectorStore::check_ids() const {
  TreeCursor cursor(tree_);
  u8 storage[8];
  u32 seen = 0;
  Status status = cursor.first();
  for (; status == kOk; status = cursor.next(), seen++) {
    const ValueView value = cursor.value();
    if (value.length != sizeof(u32) || value.data == nullptr) return kCorrupt;
    u32 slot;
    __builtin_memcpy(&slot, value.data, sizeof slot);
    if (slot >= slot_count() || !slots_.live(slot)) return kCorrupt;
    if (slots_.id_kind == kStringIdKind && !good_string(slots_.record(slot).id)) return kCorrupt;
    if (compare_bytes(slots_.key(slot, storage), cursor.key()) != 0) return kCorrupt;
  }
  return status == kNotFound && seen == live_count() ? kOk : kCorrupt;
}

/// The list of free slots holds each free slot once.
Status VectorStore::check_free_list() const {
  const u32 free_count = slot_count() - live_count();
  u64 next = meta_read().free_head;
  for (u32 i = 0; i < free_count; i++) {
    if (next == 0 || next > slot_count() || slots_.live(static_cast<u32>(next) - 1)) return kCorrupt;
    next = slots_.record(static_cast<u32>(next) - 1).id;
  }
  // A list that ends after as many steps as there are free slots has no loop, so it named each of them.
  return next == 0 ? kOk : kCorrupt;
}

}  // namespace shibumi
