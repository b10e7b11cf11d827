// Nodes that are made at once and linked later, by whoever comes to them: what several threads build a graph of.
#include "hnsw.h"

namespace shibumi {

u32 Hnsw::unmade() const {
  const u32 node_count = meta_read().node_count;
  u32 count = 0;
  pending_.each([&](u32 slot, u32 stamp) {
    count += stamp != 0 && (slot >= node_count || node(slot).stamp == 0);
  });
  return count;
}

#if defined(SHIBUMI_THREADS)

Status Hnsw::make_unmade(u32* slots) {
  u32 count = 0, end = meta_read().node_count, upper = meta_read().upper_count;
  pending_.each([&](u32 slot, u32 stamp) {
    if (stamp == 0 || (slot < meta_read().node_count && node(slot).stamp != 0)) return;
    slots[count++] = slot;
    end = max_of(end, slot + 1);
    upper += level_of(slot);
  });
  if (reserve(nodes_.missing_blocks(end) + base_.missing_blocks(end) + upper_.missing_blocks(upper), 1) != kOk) {
    return kOutOfMemory;
  }
  for (u32 i = 0; i < count; i++) make_node(slots[i], slots_->record(slots[i]).stamp);
  // Marked here, blocks are not marked by those who link at once.
  constexpr SegmentId kOfGraph[] = {kGraphMeta, kGraphNodes, kGraphBase, kGraphUpper};
  for (const SegmentId segment : kOfGraph) {
    for (u32 i = 0; i < segments[segment].block_count; i++) block_write(segment, i);
  }
  return kOk;
}

void Hnsw::connect_made(u32 slot) {
  with_stored_source(*codes_, *rows_, [&](const auto& source) { connect(source, slot, true); });
}

#endif

}  // namespace shibumi
