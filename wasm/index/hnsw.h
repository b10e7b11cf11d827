// HNSW: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
// World graphs" (2016; arXiv 1603.09320). Neighbours are chosen by their heuristic (Algorithm 4).
//
// Inserting and linking are two things. An insert stores the vector and queues its slot here; `link` takes slots from the
// queue in the order of their stamps and makes them nodes of the graph. Until then a slot is *pending* and is measured
// exactly by every search. So inserts run at the speed of memory, a long build can be cut in slices, and a graph that is
// older than the vectors (after a crash) is only a graph with more pending slots.
//
// Invariants
//  * A slot is linked when its node carries the slot's stamp. A node with another stamp is *stale*: its slot was freed
//    (a tombstone: its vector still leads the way) or given to another vector (then that one is pending).
//  * Only slots below node_count, whose node has a stamp, are neighbours of anything.
//  * A node of level L has lists for levels 0..L, and its neighbours on a level have that level too.
//  * A node's level is a function of the seed and the slot, so it outlives the slot's reuse and its upper lists are never
//    moved. Levels are geometric with 1 / ln M, as in the paper.
//  * Copies of one vector do not fight for neighbours (hnsw_copies.cc): the first is a node as any other, the later ones
//    form a chain behind it and have no links.
//  * Links may be one-way. A slot used again is first unlinked from the neighbours it knows, whose lists are mended;
//    a one-way link that still points to it leads to a live node elsewhere, which is harmless, or to a copy without
//    links, which searches pass over.
//  * The same seed, order of operations and build give the same bytes.
//
// Where the space has codes, the graph measures these, in building as in searching; else the originals. Over codes of PQ it is
// only searched: they are too coarse to build with, and a slot is linked after it was coded (VectorStore).
//
// Requires throughout: what is measured is present.
#pragma once

#include "../codes/codes.h"
#include "allowed.h"
#include "pending.h"
#include "pool.h"
#include "shared_links.h"
#include "top_k.h"

namespace shibumi {

constexpr u32 kLevelMax = 15;
constexpr u32 kNoSlot = ~0u;

struct HnswConfig {
  u32 M;                // neighbours a node asks for; 2M at most on level 0, M above
  u32 ef_construction;  // candidates looked at for them
  u64 seed;
};

class Hnsw {
 public:
  /// Names the segments and forgets all transient state. Call before `create` or `open`.
  void define(const HnswConfig& config, const Rows* rows, Slots* slots, const Codes* codes);

  /// Gives the transient memory back; `define` comes next.
  void release() {
    pending_.release();
    pool_storage_.release();
    visited_.release();
  }

  /// Makes an empty graph. Requires: no graph block exists. kOk or kOutOfMemory.
  Status create();
  /// Checks the stored graph's sizes, marks linked slots and queues pending ones; with `deep` also every level, list and
  /// neighbour. Without any graph block it starts an empty graph. kOk, kCorrupt or kOutOfMemory.
  Status open(u32 slot_count, u32 next_stamp, bool deep);

  /// Makes room to queue `count` more slots, each given to a vector or freed. False when memory is out.
  bool reserve_queue(u32 count) { return pending_.reserve(count); }
  /// A slot was given to a new vector. Requires: reserve_queue.
  void inserted(u32 slot, u32 stamp) { pending_.add(slot, stamp); }
  /// A live slot is about to be freed (its mark still says whether it was linked). Requires: reserve_queue.
  void removed(u32 slot);

  u32 pending() const { return pending_.count(); }
  u32 node_count() const { return meta_read().node_count; }

  /// Links the oldest pending slot. kOk, kNotFound when none is pending, or kOutOfMemory (then nothing changed).
  Status link_next();

  /// Offers the `ef` live linked slots that a search of the graph finds, of those allowed, at the distances it measured.
  /// Requires: the codes are prepared for the query. kOk or kOutOfMemory.
  Status search(const Probe& query, u32 ef, const Allowed& allowed, TopK& best);
  /// Calls visit(slot) for every pending slot that is allowed.
  template <class Visit>
  void each_pending(const Allowed& allowed, Visit visit) const {
    pending_.each([&](u32 slot, u32 stamp) {
      if (stamp == 0) {
        each_copy(slot, allowed, kSlotsMax, visit);
      } else if (allowed(slot)) {
        visit(slot);
      }
    });
  }
  /// Offers every pending slot that is allowed.
  void scan_pending(const Probe& query, const Allowed& allowed, TopK& best) const;
  /// The same by what the graph measures. Requires: the codes are prepared for the query.
  void scan_pending_codes(const Probe& query, const Allowed& allowed, TopK& best) const;

  /// The level of a slot's node.
  u32 level_of(u32 slot) const;

  // What several threads link at once is made ready by one (parallel_links.h).

  /// Pending slots that have never had a node.
  u32 unmade() const;
  /// Makes nodes without links of those, and lists them in `slots`, which has room for them, in the order of the queue. They
  /// count as linked from then on: `connect_made` has to be called for each. kOk or kOutOfMemory.
  Status make_unmade(u32* slots);
  /// Instead of `open`, for a thread that links into a graph that others link into already: nothing is checked. kOk or kOutOfMemory.
  Status join(u32 slot_count, SharedLinks* shared) {
    shared_ = shared;
    // Others may be chaining copies by now.
    const Holding chains(&shared->copies);
    return queue_pending(slot_count) && ensure_pool(ef_construction_, {}) ? kOk : kOutOfMemory;
  }
  /// Links a node that make_unmade made. Requires: join.
  void connect_made(u32 slot);
  /// Checks every node as a deep `open` does.
  Status check_nodes(u32 next_stamp) const;

 private:
  struct Near {
    f32 distance;
    u32 slot;
  };
  struct Entry {
    u32 node;  // slot + 1, 0 = the graph is empty
    u32 level;
  };

  GraphSuperblock& meta() const;
  const GraphSuperblock& meta_read() const;
  const GraphNode& node(u32 slot) const { return *reinterpret_cast<const GraphNode*>(nodes_.get(slot)); }
  GraphNode& node_mut(u32 slot) const { return *reinterpret_cast<GraphNode*>(nodes_.mut(slot)); }
  u32 width(u32 level) const { return level == 0 ? 2 * M_ : M_; }
  const u32* list(u32 slot, u32 level) const;
  u32* list_mut(u32 slot, u32 level) const;
  const u32* read_list(u32 slot, u32 level, u32* copy) const;
  Entry entry() const { return {meta_read().entry, meta_read().entry_level}; }

  bool ensure_pool(u32 ef, const Allowed& allowed);
  /// A slot's mark once this search has come by it.
  // What of a search is the same for all measures: compiled once, not into each of them.
  __attribute__((noinline)) u32 gather(u32 slot, u32 level, u32* some, u32 count) const;
  __attribute__((noinline)) void take(u32 slot, f32 distance, const Allowed& allowed);
  template <class Measure>
  Near greedy(const Measure& query, Near from, u32 level, u32 skip) const;
  template <class Measure>
  Near descend(const Measure& query, Entry from, u32 level, u32 skip) const;
  template <class Measure>
  void search_level(const Measure& query, Near from, u32 ef, u32 level, u32 skip, const Allowed& allowed,
                    Narrow narrow = {});
  Narrow narrow_for(u32 ef, u32 wanted, const Allowed& allowed) const;
  template <class Measure>
  void scan_queue(const Measure& query, const Allowed& allowed, TopK& best) const;

  /// Which of the candidates that the heuristic passes over fill what room is left.
  enum class Fill {
    kNearest,
    /// The same but for some of the farthest: those that a chosen one is nearest to, beside the base.
    kLeaveRoom,
  };
  /// Among how many more than go those are looked for.
  static constexpr u32 kLeavable = 8;
  template <class Source>
  u32 select(const Source& source, const Near* candidates, u32 count, u32 most, Fill fill, u32* chosen) const;
  template <class Measure>
  void measure(const Measure& from, const u32* some, u32 count, Near* out) const;
  static void sort(Near* some, u32 count);
  void link_node(u32 slot, u32 stamp, bool may_join);
  void make_node(u32 slot, u32 stamp);
  template <class Source>
  void connect(const Source& source, u32 slot, bool may_join);
  template <class Source>
  void choose_neighbours(const Source& source, u32 slot, u32 level);
  template <class Source>
  void link_back(const Source& source, u32 target, u32 slot, f32 distance, u32 level);
  void unlink(u32 slot);
  template <class Source>
  void unlink_from(const Source& source, u32 slot);
  template <class Source>
  void mend(const Source& source, u32 target, u32 lost, const u32* around, u32 count, u32 level);
  void replace_entry(u32 without);
  Status reserve_link(u32 slot, u32 gone);
  Status check_node(u32 slot, u32 node_count, u32 next_stamp) const;
  bool queue_pending(u32 slot_count);

  // hnsw_copies.cc
  template <class Source>
  u32 copy_in_pool(const Source& source, u32 slot) const;
  void join(u32 slot, u32 head);
  void leave(u32 slot);
  u32 heir_of(u32 head) const;
  bool is_copy(u32 slot) const {
    return any_chained_ && (slots_->marks()[slot] & kChainedMark) && node(slot).previous_copy != 0;
  }
  void replace_head(u32 head, u32 heir);
  void set_chained(u32 slot);
  bool leads_copies(u32 slot) const;
  bool good_chain(u32 slot, u32 node_count) const;
  bool copy_allowed(u32 head, const Allowed& allowed) const {
    bool found = false;
    if (slots_->marks()[head] & kChainedMark) each_copy(head, allowed, 1, [&found](u32) { found = true; });
    return found;
  }
  /// Calls visit(slot) for at most `most` live and allowed copies behind a node.
  template <class Visit>
  void each_copy(u32 head, const Allowed& allowed, u32 most, Visit visit) const {
    constexpr u8 wanted = kLiveMark | kLinkedMark;
    const u8* marks = slots_->marks();
    for (u32 next = node(head).next_copy; next != 0 && most > 0; next = node(next - 1).next_copy) {
      if ((marks[next - 1] & wanted) == wanted && allowed(next - 1)) visit(next - 1), most--;
    }
  }

  const Rows* rows_ = nullptr;
  Slots* slots_ = nullptr;
  const Codes* codes_ = nullptr;
  PagedArray nodes_, base_, upper_;
  u32 M_ = 0;
  u32 ef_construction_ = 0;
  u64 seed_ = 0;

  // Transient.
  // Stamp 0: the slot leads a chain of copies and was freed; one of them takes its place.
  PendingSlots pending_;
  u32 live_linked_ = 0;    // live slots in the graph
  TransientBuffer pool_storage_;
  Pool pool_;
  // A bit a node: whether this search has come by it. Cleared by every search; an epoch in the slots' marks, which needs no
  // clearing but eight times the first cache, made builds and searches an eighth slower.
  TransientBuffer visited_;
  bool any_chained_ = false;
  SharedLinks* shared_ = nullptr;  // of a graph that others link into at the same time
};

}  // namespace shibumi
