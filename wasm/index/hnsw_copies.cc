// Copies of one vector in the graph.
//
// Nodes at distance 0 from one another spoil Algorithm 4: either they link to nothing but each other and the graph falls
// apart, or they crowd each other out and a search reaches a few of a hundred. So only one of them, the *head*, is a node
// with neighbours; the others are chained behind it in both directions (GraphNode::next_copy, previous_copy) and are
// answered wherever the head is. Finding all copies costs a search nothing until there are any, and linking one costs the
// search that finds its head.
//
// A head that is freed still leads the way as any tombstone does, but its slot may be given to another vector at any
// time. So the queue is told (an entry with stamp 0): until it comes to that entry the chain is measured with what is
// pending, then the first live copy is linked as a node of its own and becomes the head. A freed copy stays in its chain,
// skipped, until its slot is used again. A slot that was a node and is a copy now may still be linked to from afar:
// searches pass over it.
#include "hnsw.h"

namespace shibumi {

/// Chains `slot` behind `head`. Requires: it is in no chain.
void Hnsw::join(u32 slot, u32 head) {
  const u32 next = node(head).next_copy;
  GraphNode& joined = node_mut(slot);
  joined.next_copy = next;
  joined.previous_copy = head + 1;
  if (next != 0) node_mut(next - 1).previous_copy = slot + 1;
  node_mut(head).next_copy = slot + 1;
  set_chained(slot);
  set_chained(head);
}

/// Takes a copy out of its chain.
void Hnsw::leave(u32 slot) {
  GraphNode& left = node_mut(slot);
  const u32 next = left.next_copy, previous = left.previous_copy;
  left.next_copy = left.previous_copy = 0;
  node_mut(previous - 1).next_copy = next;
  if (next != 0) node_mut(next - 1).previous_copy = previous;
  set_chained(slot);
  set_chained(previous - 1);
}

void Hnsw::set_chained(u32 slot) {
  u8& mark = slots_->marks()[slot];
  const bool chained = node(slot).next_copy != 0 || node(slot).previous_copy != 0;
  mark = static_cast<u8>(chained ? mark | kChainedMark : mark & ~kChainedMark);
  any_chained_ = any_chained_ || chained;
}

bool Hnsw::leads_copies(u32 slot) const { return node(slot).next_copy != 0 && node(slot).previous_copy == 0; }

/// The first live copy behind `head`, or kNoSlot.
u32 Hnsw::heir_of(u32 head) const {
  u32 heir = kNoSlot;
  each_copy(head, {}, 1, [&heir](u32 copy) { heir = copy; });
  return heir;
}

/// Links `heir` as a node of its own, with all the copies behind `head`, which stays a tombstone. Without an heir nothing
/// is done: the freed copies leave one by one as their slots are used again.
void Hnsw::replace_head(u32 head, u32 heir) {
  if (heir == kNoSlot) return;
  leave(heir);
  const u32 rest = node(head).next_copy;
  node_mut(heir).next_copy = rest;
  if (rest != 0) node_mut(rest - 1).previous_copy = heir + 1;
  node_mut(head).next_copy = 0;
  set_chained(head);
  set_chained(heir);
  // Not to join anybody: it has a chain of its own.
  link_node(heir, node(heir).stamp, false);
}

/// Whether the links of a node to the copies beside it are mutual. As each has one before and one behind, no walk from a
/// head can come to a circle.
bool Hnsw::good_chain(u32 slot, u32 node_count) const {
  const u32 next = node(slot).next_copy, previous = node(slot).previous_copy;
  if (node(slot).stamp == 0) return next == 0 && previous == 0;
  if (next > node_count || previous > node_count) return false;
  if (next != 0 && (node(next - 1).previous_copy != slot + 1 || node(next - 1).stamp == 0)) return false;
  return previous == 0 || (node(previous - 1).next_copy == slot + 1 && node(previous - 1).stamp != 0);
}

}  // namespace shibumi
