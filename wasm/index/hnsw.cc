#include "hnsw.h"

namespace shibumi {

namespace {

/// SplitMix64's finalizer (Steele, Lea, Flood 2014).
u64 mix(u64 x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

bool contains(const u32* links, u32 count, u32 slot) {
  for (u32 i = 0; i < count; i++) {
    if (links[i] == slot + 1) return true;
  }
  return false;
}

u32 count_links(const u32* links, u32 width) {
  u32 count = 0;
  while (count < width && links[count] != 0) count++;
  return count;
}

}  // namespace

// --- storage --------------------------------------------------------------------------------------------------------

void Hnsw::define(const HnswConfig& config, const Rows* rows, Slots* slots, const Codes* codes) {
  *this = Hnsw{};
  rows_ = rows;
  slots_ = slots;
  pending_.define(slots);
  codes_ = codes;
  M_ = config.M;
  ef_construction_ = config.ef_construction;
  seed_ = config.seed;
  nodes_.define(kGraphNodes, sizeof(GraphNode));
  base_.define(kGraphBase, 2 * M_ * sizeof(u32));
  upper_.define(kGraphUpper, M_ * sizeof(u32));
}

const GraphSuperblock& Hnsw::meta_read() const {
  return *reinterpret_cast<const GraphSuperblock*>(block_read(kGraphMeta, 0));
}
GraphSuperblock& Hnsw::meta() const { return *reinterpret_cast<GraphSuperblock*>(block_write(kGraphMeta, 0)); }

const u32* Hnsw::list(u32 slot, u32 level) const {
  return reinterpret_cast<const u32*>(level == 0 ? base_.get(slot) : upper_.get(node(slot).upper + level - 2));
}
u32* Hnsw::list_mut(u32 slot, u32 level) const {
  return reinterpret_cast<u32*>(level == 0 ? base_.mut(slot) : upper_.mut(node(slot).upper + level - 2));
}

/// The list to read a neighbour's neighbours from: of a graph that others link into, a copy that no one is just changing.
SHIBUMI_HOT const u32* Hnsw::read_list(u32 slot, u32 level, u32* copy) const {
  if (shared_ == nullptr) return list(slot, level);
  const Holding node(shared_->of(slot));
  __builtin_memcpy(copy, list(slot, level), width(level) * sizeof(u32));
  return copy;
}

u32 Hnsw::level_of(u32 slot) const {
  // P(level >= L) = M^-L: as many times as the hash stays below a threshold that shrinks by M.
  const u64 hash = mix(seed_ ^ mix(slot));
  u32 level = 0;
  for (u64 threshold = ~0ull / M_; hash < threshold && level < kLevelMax; threshold /= M_) level++;
  return level;
}

Status Hnsw::create() {
  if (reserve(1, 0) != kOk) return kOutOfMemory;
  block_append(kGraphMeta);
  GraphSuperblock& graph = meta();
  graph.magic = kGraphMagic;
  graph.version = kGraphVersion;
  graph.M = M_;
  graph.seed = seed_;
  return kOk;
}

Status Hnsw::open(u32 slot_count, u32 next_stamp, bool deep) {
  if (segments[kGraphMeta].block_count == 0) {
    if (segments[kGraphNodes].block_count + segments[kGraphBase].block_count + segments[kGraphUpper].block_count > 0) {
      return kCorrupt;
    }
    const Status made = create();
    if (made != kOk) return made;
  }
  const GraphSuperblock& graph = meta_read();
  if (graph.magic != kGraphMagic || graph.version != kGraphVersion || graph.M != M_ || graph.seed != seed_ ||
      segments[kGraphMeta].block_count != 1 || graph.node_count > slot_count || graph.linked > graph.node_count ||
      graph.upper_count > kSlotsMax || segments[kGraphNodes].block_count != nodes_.blocks_for(graph.node_count) ||
      segments[kGraphBase].block_count != base_.blocks_for(graph.node_count) ||
      segments[kGraphUpper].block_count != upper_.blocks_for(graph.upper_count) ||
      (graph.entry == 0) != (graph.linked == 0) || graph.entry > graph.node_count) {
    return kCorrupt;
  }
  if (graph.entry != 0) {
    const GraphNode& entry = node(graph.entry - 1);
    if (entry.stamp == 0 || entry.previous_copy != 0 || level_of(graph.entry - 1) != graph.entry_level) return kCorrupt;
  }
  if (deep && check_nodes(next_stamp) != kOk) return kCorrupt;
  return queue_pending(slot_count) ? kOk : kOutOfMemory;
}

Status Hnsw::check_nodes(u32 next_stamp) const {
  const GraphSuperblock& graph = meta_read();
  u32 linked = 0;
  for (u32 slot = 0; slot < graph.node_count; slot++) {
    if (check_node(slot, graph.node_count, next_stamp) != kOk) return kCorrupt;
    if (node(slot).stamp != 0) linked++;
  }
  return linked == graph.linked ? kOk : kCorrupt;
}

Status Hnsw::check_node(u32 slot, u32 node_count, u32 next_stamp) const {
  const GraphNode& checked = node(slot);
  const u32 level_count = checked.upper == 0 ? 0 : level_of(slot), upper_count = meta_read().upper_count;
  if (checked.stamp >= next_stamp || !good_chain(slot, node_count)) return kCorrupt;
  if (checked.upper != 0 && (checked.upper > upper_count || level_count > upper_count - checked.upper + 1)) return kCorrupt;
  const bool has_links = checked.stamp != 0 && checked.previous_copy == 0;
  if (has_links && level_count != level_of(slot)) return kCorrupt;
  for (u32 level = 0; level <= level_count; level++) {
    const u32* links = list(slot, level);
    const u32 count = count_links(links, width(level));
    if (count > 0 && !has_links) return kCorrupt;
    for (u32 i = 0; i < width(level); i++) {
      if (i >= count && links[i] != 0) return kCorrupt;
      if (i >= count) continue;
      const u32 neighbour = links[i] - 1;
      if (neighbour >= node_count || neighbour == slot) return kCorrupt;
      if (node(neighbour).stamp == 0 || level_of(neighbour) < level) return kCorrupt;
    }
  }
  return kOk;
}

// --- pending slots --------------------------------------------------------------------------------------------------

bool Hnsw::queue_pending(u32 slot_count) {
  const u32 node_count = meta_read().node_count;
  u8* marks = slots_->marks();
  u32 waiting = 0;
  for (u32 slot = 0; slot < slot_count; slot++) {
    const u32 stamp = slots_->record(slot).stamp;
    const bool linked = stamp != 0 && slot < node_count && node(slot).stamp == stamp;
    if (linked) live_linked_++, marks[slot] |= kLinkedMark;
    if (stamp != 0 && !linked) waiting++;
    if (slot >= node_count) continue;
    set_chained(slot);
    if (leads_copies(slot) && !linked) waiting++;
  }
  if (!reserve_queue(waiting)) return false;
  for (u32 slot = 0; slot < slot_count; slot++) {
    const u32 stamp = slots_->record(slot).stamp;
    if (marks[slot] & kLinkedMark) continue;
    if (slot < node_count && leads_copies(slot)) inserted(slot, 0);
    if (stamp != 0) inserted(slot, stamp);
  }
  pending_.sort();
  return true;
}

void Hnsw::removed(u32 slot) {
  const u8 mark = slots_->marks()[slot];
  if ((mark & kLinkedMark) == 0) {
    pending_.freed();
    return;
  }
  live_linked_--;
  if ((mark & kChainedMark) && leads_copies(slot)) inserted(slot, 0);
}

template <class Measure>
void Hnsw::scan_queue(const Measure& query, const Allowed& allowed, TopK& best) const {
  each_pending(allowed, [&](u32 slot) { best.offer(slot, query.distance(query.at(slot))); });
}

void Hnsw::scan_pending(const Probe& query, const Allowed& allowed, TopK& best) const {
  scan_queue(RowSource(*rows_, query).query(), allowed, best);
}

void Hnsw::scan_pending_codes(const Probe& query, const Allowed& allowed, TopK& best) const {
  // What is not linked has no code of PQ yet.
  if (codes_->is(kPq)) return scan_pending(query, allowed, best);
  with_source(*codes_, *rows_, query, [&](const auto& source) { scan_queue(source.query(), allowed, best); });
}

// --- search ---------------------------------------------------------------------------------------------------------

bool Hnsw::ensure_pool(u32 ef, const Allowed& allowed) {
  const u32 live = allowed.all() ? live_linked_ : min_of(live_linked_, allowed.count);
  const u32 dead = meta_read().linked - live;
  const u32 room = ef + min_of(dead, 8 * ef + 64);
  pool_.capacity = room;
  // Every slot may become a node.
  return pool_storage_.ensure(room * sizeof(u64), false) && visited_.ensure(slots_->mark_bytes.bytes / 8 + 1, false);
}

template <class Measure>
void Hnsw::measure(const Measure& from, const u32* some, u32 count, Near* out) const {
  for (u32 i = 0; i < count; i += 4) {
    const u32 n = min_of(4u, count - i);
    const u8* records[4];
    f32 distances[4];
    for (u32 j = 0; j < 4; j++) records[j] = from.at(some[i + min_of(j, n - 1)]);
    from.distance_x4(records, distances);
    for (u32 j = 0; j < n; j++) out[i + j] = {distances[j], some[i + j]};
  }
}

/// Algorithm 2 with ef 1: walks to a nearer neighbour until there is none.
template <class Measure>
Hnsw::Near Hnsw::greedy(const Measure& query, Near from, u32 level, u32 skip) const {
  u32 some[kMMax], copied[kMMax];
  Near measured[kMMax];
  for (bool moved = true; moved;) {
    moved = false;
    const u32* links = read_list(from.slot, level, copied);
    u32 count = 0;
    for (u32 i = 0; i < M_ && links[i] != 0; i++) {
      if (links[i] - 1 != skip && !is_copy(links[i] - 1)) some[count++] = links[i] - 1;
    }
    measure(query, some, count, measured);
    for (u32 i = 0; i < count; i++) {
      if (measured[i].distance < from.distance) from = measured[i], moved = true;
    }
  }
  return from;
}

/// From the entry point down to just above `level`. Requires: the graph is not empty.
template <class Measure>
Hnsw::Near Hnsw::descend(const Measure& query, Entry from, u32 level, u32 skip) const {
  Near at_entry{query.distance(query.at(from.node - 1)), from.node - 1};
  for (u32 l = from.level; l > level; l--) at_entry = greedy(query, at_entry, l, skip);
  return at_entry;
}

/// Appends to `some` the neighbours of `slot` that this search has not come by, and marks them.
u32 Hnsw::gather(u32 slot, u32 level, u32* some, u32 count) const {
  u8* const visited = visited_.as<u8>();
  u32 copied[2 * kMMax];
  const u32* links = read_list(slot, level, copied);
  const bool chains = any_chained_;
  for (u32 i = 0, most = width(level); i < most && links[i] != 0; i++) {
    // Whether it is new decides without a branch, which would be guessed wrong half of the time.
    const u32 neighbour = links[i] - 1, bit = 1u << (neighbour & 7), eight = visited[neighbour >> 3];
    visited[neighbour >> 3] = static_cast<u8>(eight | bit);
    some[count] = neighbour;
    u32 fresh = (eight & bit) == 0;
    if (chains) fresh &= !is_copy(neighbour);
    count += fresh;
  }
  // Ahead of its use: the list that comes next if none of these is nearer.
  if (pool_.cursor < pool_.size && shared_ == nullptr) fetched = list(slot_of(pool_.entries[pool_.cursor]), level)[0];
  return count;
}

/// Into the pool, as a hit or as one that only leads the way.
void Hnsw::take(u32 slot, f32 distance, const Allowed& allowed) {
  // In a graph of nothing but tombstones, those are what a new node can be linked to.
  const u8 hit_mark = live_linked_ > 0 ? kLiveMark | kLinkedMark : 0;
  const bool hit = (slots_->marks()[slot] & hit_mark) == hit_mark && (allowed(slot) || copy_allowed(slot, allowed));
  pool_.insert(distance, slot, hit);
}

/// With more nodes than this most records are in no cache when a search comes by them (16 MB of codes of 384 dimensions).
constexpr u32 kFarNodes = 40'000;

/// Algorithm 2: leaves what it found in pool_; `skip` is left out. Requires: ensure_pool(ef).
template <class Measure>
void Hnsw::search_level(const Measure& measure, Near from, u32 ef, u32 level, u32 skip, const Allowed& allowed,
                        Narrow narrow) {
  const Measure query = measure;
  u8* const visited = visited_.as<u8>();
  __builtin_memset(visited, 0, meta_read().node_count / 8 + 1);
  visited[from.slot >> 3] |= 1u << (from.slot & 7);
  if (skip != kNoSlot) visited[skip >> 3] |= 1u << (skip & 7);
  pool_.start(pool_storage_.as<u64>(), pool_.capacity, ef, narrow);
  take(from.slot, from.distance, allowed);
  u32 some[2 * kMMax + 3], count = 0;
  const u8* records[2 * kMMax + 3];
  const bool far = meta_read().node_count > kFarNodes;
  // Four are measured at a time; up to three wait for those that come next, as a pass with less than four costs as much.
  for (u32 slot;;) {
    const bool more = pool_.next(slot);
    if (!more && count == 0) break;
    if (more) {
      const u32 waiting = count;
      count = gather(slot, level, some, count);
      u32 seen = 0;
      for (u32 i = waiting; i < count; i++) {
        records[i] = query.at(some[i]);
        seen ^= query.touch(records[i], far);
      }
      fetched = seen;
    } else {
      for (u32 i = count; i < 4; i++) records[i] = records[count - 1];
    }
    const u32 measured = more ? count & ~3u : count;
    for (u32 i = 0; i < measured; i += 4) {
      f32 distances[4];
      query.distance_x4(records + i, distances);
      for (u32 j = 0; j < min_of(4u, measured - i); j++) {
        if (distances[j] < pool_.bound) take(some[i + j], distances[j], allowed);
      }
    }
    count -= measured;
    for (u32 i = 0; i < count; i++) some[i] = some[measured + i], records[i] = records[measured + i];
  }
}

/// Where one in n is allowed, the `wanted` nearest of those are about the n * wanted nearest of all: that many more candidates find
/// them, if about one in n of those that were found is allowed. At 20k x 384, 50 % and equal recall twice the queries of a
/// search that waits for ef hits. Below a quarter too few candidates would say what the share is.
Narrow Hnsw::narrow_for(u32 ef, u32 wanted, const Allowed& allowed) const {
  if (allowed.all() || allowed.count < meta_read().linked / 4) return {};
  const f32 share = min_of(1.0f, static_cast<f32>(allowed.count) / static_cast<f32>(meta_read().linked));
  const f32 most = static_cast<f32>(ef) + static_cast<f32>(wanted) * (1 / share - 1);
  // Three in ten fewer than expected: with a hundred candidates that happens to one search in a thousand.
  const u32 hits = max_of(wanted, static_cast<u32>(0.7f * share * most));
  return hits < ef && most < static_cast<f32>(pool_.capacity) ? Narrow{static_cast<u32>(most), hits} : Narrow{};
}

Status Hnsw::search(const Probe& query, u32 ef, const Allowed& allowed, TopK& best) {
  if (live_linked_ == 0) return kOk;
  if (!ensure_pool(ef, allowed)) return kOutOfMemory;
  with_source(*codes_, *rows_, query, [&](const auto& source) {
    const auto measure = source.query();
    const Near from = descend(measure, entry(), 0, kNoSlot);
    search_level(measure, from, ef, 0, kNoSlot, allowed, narrow_for(ef, best.capacity(), allowed));
    if (!pool_.failed) return;
    // Fewer are allowed around the query than elsewhere.
    search_level(measure, from, ef, 0, kNoSlot, allowed);
  });
  const u8* marks = slots_->marks();
  for (u32 i = 0; i < pool_.size; i++) {
    const u64 entry = pool_.entries[i];
    if ((entry & kHitBit) == 0) continue;
    const u32 slot = slot_of(entry);
    if (allowed(slot)) best.offer(slot, distance_of(entry));
    // All equally near: no answer has room for more of them than ef.
    if (marks[slot] & kChainedMark) {
      each_copy(slot, allowed, ef, [&](u32 copy) { best.offer(copy, distance_of(entry)); });
    }
  }
  return kOk;
}

// --- linking --------------------------------------------------------------------------------------------------------

/// Nearest first, ties by slot. Insertion sort: a list and one more.
void Hnsw::sort(Near* some, u32 count) {
  for (u32 i = 1; i < count; i++) {
    const Near moved = some[i];
    u32 j = i;
    for (; j > 0 && (some[j - 1].distance > moved.distance ||
                     (some[j - 1].distance == moved.distance && some[j - 1].slot > moved.slot));
         j--) {
      some[j] = some[j - 1];
    }
    some[j] = moved;
  }
}

/// Algorithm 4: of `candidates`, nearest first, those that are nearer to the base than to any neighbour chosen before
/// them, `most` at most; the nearest of the others fill what is left (keepPrunedConnections: 0.2 to 1 % more recall at
/// the same efSearch, and a graph that stands deletes better).
///
/// A full list that takes one more has a quarter of its room emptied at once: choosing again for each that comes made a build
/// a quarter slower, for recall of the same searches. Were it always the farthest that go, whoever stands alone beside a
/// crowd would lose all links to it in time; so of the farthest those go to which there is the best way round
/// (test/recall/outliers).
///
/// Copies of one vector need care. A copy of the base is at the same distance from everybody as the base itself: were equal
/// distances to count as nearer, it would keep everyone else out; were they never to count, copies would link to nothing
/// but each other. So they count only between two that are equally near to the base, as two copies are.
template <class Source>
u32 Hnsw::select(const Source& source, const Near* candidates, u32 count, u32 most, Fill fill,
                 u32* chosen) const {
  const u8* chosen_records[2 * kMMax];
  f32 chosen_distances[2 * kMMax];
  constexpr u32 pruned_max = 2 * kMMax + 1;
  u32 pruned[pruned_max];
  f32 margins[pruned_max];
  u32 chosen_count = 0, pruned_count = 0;
  for (u32 c = 0; c < count && chosen_count < most; c++) {
    const auto candidate = source.slot(candidates[c].slot);
    bool good = true;
    f32 nearer_by = 0;
    for (u32 i = 0; i < chosen_count && good; i += 4) {
      f32 distances[4];
      const u8* records[4];
      for (u32 j = 0; j < 4; j++) records[j] = chosen_records[min_of(i + j, chosen_count - 1)];
      candidate.distance_x4(records, distances);
      for (u32 j = 0; j < 4; j++) {
        const f32 own = candidates[c].distance, other = chosen_distances[min_of(i + j, chosen_count - 1)];
        good = good && !(distances[j] < own || (distances[j] == own && own == other));
        nearer_by = max_of(nearer_by, own - distances[j]);
      }
    }
    if (good) {
      chosen_records[chosen_count] = candidate.at(candidates[c].slot);
      chosen_distances[chosen_count] = candidates[c].distance;
      chosen[chosen_count++] = candidates[c].slot;
    } else if (pruned_count < pruned_max) {
      margins[pruned_count] = nearer_by / (__builtin_fabsf(candidates[c].distance) + 1e-30f);
      pruned[pruned_count++] = candidates[c].slot;
    }
  }
  if (fill == Fill::kLeaveRoom && chosen_count + pruned_count > most) {
    u32 leaving = min_of(pruned_count, chosen_count + pruned_count - most);
    const u32 first = pruned_count - min_of(pruned_count, leaving + kLeavable);
    for (; leaving > 0; leaving--) {
      u32 worst = first;
      for (u32 i = first + 1; i < pruned_count; i++) {
        if (margins[i] >= margins[worst]) worst = i;
      }
      pruned_count--;
      for (u32 i = worst; i < pruned_count; i++) pruned[i] = pruned[i + 1], margins[i] = margins[i + 1];
    }
  }
  for (u32 i = 0; i < pruned_count && chosen_count < most; i++) chosen[chosen_count++] = pruned[i];
  return chosen_count;
}

/// For linking `slot` after unlinking `gone`.
Status Hnsw::reserve_link(u32 slot, u32 gone) {
  const u32 level = level_of(slot);
  const u32 fresh = nodes_.missing_blocks(slot + 1) + base_.missing_blocks(slot + 1) +
                    upper_.missing_blocks(meta_read().upper_count + level);
  // The lists of the neighbours of both; a list is in one block.
  const u32 lists = (level + level_of(gone) + 2) * 2 * M_ + 16;
  const u32 blocks = 1 + segments[kGraphNodes].block_count + segments[kGraphBase].block_count +
                     segments[kGraphUpper].block_count;
  return reserve(fresh, min_of(lists, blocks));
}

Status Hnsw::link_next() {
  u32 slot, stamp;
  if (!pending_.first(slot, stamp)) return kNotFound;
  if (!ensure_pool(ef_construction_, {})) return kOutOfMemory;
  const u32 heir = stamp == 0 ? heir_of(slot) : slot;
  if (heir != kNoSlot && reserve_link(heir, slot) != kOk) return kOutOfMemory;
  pending_.take();
  if (stamp == 0) {
    replace_head(slot, heir);
    return kOk;
  }
  if (slot < meta_read().node_count && node(slot).stamp != 0) {
    if (node(slot).previous_copy != 0) leave(slot);
    else unlink(slot);
  }
  // With freed copies behind it, it cannot go behind another.
  const bool alone = slot >= meta_read().node_count || !leads_copies(slot);
  link_node(slot, stamp, alone);
  slots_->marks()[slot] |= kLinkedMark;
  live_linked_++;
  return kOk;
}

void Hnsw::link_node(u32 slot, u32 stamp, bool may_join) {
  make_node(slot, stamp);
  with_stored_source(*codes_, *rows_, [&](const auto& source) { connect(source, slot, may_join); });
}

/// Makes `slot` a node without links, which nothing leads to. Requires: reserve_link.
void Hnsw::make_node(u32 slot, u32 stamp) {
  const u32 level = level_of(slot);
  GraphSuperblock& graph = meta();
  graph.node_count = max_of(graph.node_count, slot + 1);
  nodes_.extend(graph.node_count);
  base_.extend(graph.node_count);
  GraphNode& made = node_mut(slot);
  if (made.stamp == 0) graph.linked++;
  made.stamp = stamp;
  if (level > 0 && made.upper == 0) {
    made.upper = graph.upper_count + 1;
    graph.upper_count += level;
    upper_.extend(graph.upper_count);
  }
}

/// Gives a node that nothing leads to links both ways or, with `may_join`, makes it one of the copies of a vector that is there.
/// Requires: ensure_pool.
template <class Source>
void Hnsw::connect(const Source& source, u32 slot, bool may_join) {
  const u32 level = level_of(slot);
  Holding alone(shared_ == nullptr ? nullptr : &shared_->entry);
  const Entry known = entry();
  if (known.node != 0 && level <= known.level) alone.release();
  if (known.node != 0) {
    const auto probe = source.slot(slot);
    const u32 shared = min_of(level, known.level);
    Near from = descend(probe, known, level, slot);
    for (u32 l = shared + 1; l-- > 0;) {
      search_level(probe, from, ef_construction_, l, slot, {});
      const u32 copy = may_join ? copy_in_pool(source, slot) : kNoSlot;
      if (copy != kNoSlot) {
        for (u32 above = shared; above > l; above--) __builtin_memset(list_mut(slot, above), 0, width(above) * sizeof(u32));
        const Holding chains(shared_ == nullptr ? nullptr : &shared_->copies);
        join(slot, copy);
        return;
      }
      from = {distance_of(pool_.entries[0]), slot_of(pool_.entries[0])};
      choose_neighbours(source, slot, l);
    }
    // Only now that it is known not to be a copy does anything lead to it.
    for (u32 l = shared + 1; l-- > 0;) {
      u32 chosen[2 * kMMax], copied[2 * kMMax];
      Near measured[2 * kMMax];
      const u32* links = read_list(slot, l, copied);
      const u32 count = count_links(links, width(l));
      for (u32 i = 0; i < count; i++) chosen[i] = links[i] - 1;
      measure(probe, chosen, count, measured);
      for (u32 i = 0; i < count; i++) link_back(source, chosen[i], slot, measured[i].distance, l);
    }
  }
  if (known.node == 0 || level > known.level) {
    GraphSuperblock& graph = meta();
    graph.entry = slot + 1;
    graph.entry_level = level;
  }
}

/// A live node in pool_ that is the same as `slot` to the measure, or kNoSlot. The pool has what was nearest to that vector;
/// under an inner product longer vectors may be nearer than a copy, which is then linked like any other.
template <class Source>
u32 Hnsw::copy_in_pool(const Source& source, u32 slot) const {
  for (u32 i = 0; i < pool_.size; i++) {
    const u64 entry = pool_.entries[i];
    const u32 other = slot_of(entry);
    if ((entry & kHitBit) && slots_->live(other) && source.same(slot, other)) return other;
  }
  return kNoSlot;
}

/// Gives `slot` on one level the best of what search_level left in pool_.
template <class Source>
void Hnsw::choose_neighbours(const Source& source, u32 slot, u32 level) {
  Near candidates[kEfConstructionMax];
  u32 count = 0;
  const bool hits_only = pool_.hits > 0;
  for (u32 i = 0; i < pool_.size && count < ef_construction_; i++) {
    const u64 entry = pool_.entries[i];
    if (hits_only && (entry & kHitBit) == 0) continue;
    candidates[count++] = {distance_of(entry), slot_of(entry)};
  }
  u32 chosen[2 * kMMax];
  // Of what is farther than the nearer half little is chosen, and looking at all of it cost a tenth of the build; but the
  // farthest may be the few that stand alone.
  u32 looked_at = min_of(count, max_of(ef_construction_ / 2, 2 * M_));
  for (u32 i = max_of(looked_at, count - min_of(count, ef_construction_ / 5)); i < count; i++) {
    candidates[looked_at++] = candidates[i];
  }
  const u32 chosen_count = select(source, candidates, looked_at, M_, Fill::kNearest, chosen);
  u32* links = list_mut(slot, level);
  for (u32 i = 0; i < chosen_count; i++) links[i] = chosen[i] + 1;
}

/// Adds `slot` to the neighbours of `target`; where there is no room, the heuristic decides who stays, with some to spare.
template <class Source>
void Hnsw::link_back(const Source& source, u32 target, u32 slot, f32 distance, u32 level) {
  const u32 most = width(level);
  const Holding node(shared_ == nullptr ? nullptr : shared_->of(target));
  const u32* links = list(target, level);
  const u32 count = count_links(links, most);
  if (contains(links, count, slot)) return;
  if (count < most) {
    list_mut(target, level)[count] = slot + 1;
    return;
  }
  u32 some[2 * kMMax];
  Near candidates[2 * kMMax + 1];
  for (u32 i = 0; i < count; i++) some[i] = links[i] - 1;
  measure(source.slot(target), some, count, candidates);
  candidates[count] = {distance, slot};
  sort(candidates, count + 1);
  u32 chosen[2 * kMMax];
  const u32 kept = select(source, candidates, count + 1, most - most / 4, Fill::kLeaveRoom, chosen);
  u32* changed = list_mut(target, level);
  for (u32 i = 0; i < most; i++) changed[i] = i < kept ? chosen[i] + 1 : 0;
}

// --- unlinking ------------------------------------------------------------------------------------------------------

/// Takes a stale node out of the lists of the neighbours it knows and empties its own. It stays counted as linked: the
/// caller links the slot again at once.
void Hnsw::unlink(u32 slot) {
  with_stored_source(*codes_, *rows_, [&](const auto& source) { unlink_from(source, slot); });
}

template <class Source>
void Hnsw::unlink_from(const Source& source, u32 slot) {
  u32 around[2 * kMMax];
  for (u32 level = 0; level <= level_of(slot); level++) {
    const u32 most = width(level);
    const u32* links = list(slot, level);
    const u32 count = count_links(links, most);
    for (u32 i = 0; i < count; i++) around[i] = links[i] - 1;
    for (u32 i = 0; i < count; i++) mend(source, around[i], slot, around, count, level);
    __builtin_memset(list_mut(slot, level), 0, most * sizeof(u32));
  }
  if (meta_read().entry == slot + 1) replace_entry(slot);
}

/// Gives `target` one of the lost neighbour's other neighbours in its place: the nearest the heuristic lets in, else the
/// nearest. The full heuristic over both lists costs several times as much, and recall after replacing every vector
/// did not tell them apart.
template <class Source>
void Hnsw::mend(const Source& source, u32 target, u32 lost, const u32* around, u32 count, u32 level) {
  const u32 most = width(level);
  u32* links = list_mut(target, level);
  u32 link_count = count_links(links, most);
  if (!contains(links, link_count, lost)) return;
  u32 kept = 0;
  for (u32 i = 0; i < link_count; i++) {
    if (links[i] != lost + 1) links[kept++] = links[i];
  }
  for (u32 i = kept; i < link_count; i++) links[i] = 0;

  u32 some[2 * kMMax], some_count = 0;
  for (u32 i = 0; i < count; i++) {
    if (around[i] == target || is_copy(around[i]) || contains(links, kept, around[i])) continue;
    some[some_count++] = around[i];
  }
  if (some_count == 0) return;
  Near candidates[2 * kMMax], rivals[2 * kMMax];
  measure(source.slot(target), some, some_count, candidates);
  sort(candidates, some_count);
  for (u32 i = 0; i < kept; i++) some[i] = links[i] - 1;
  u32 best = 0;
  for (u32 c = 0; c < some_count; c++) {
    measure(source.slot(candidates[c].slot), some, kept, rivals);
    bool good = true;
    for (u32 i = 0; i < kept; i++) good = good && !(rivals[i].distance <= candidates[c].distance);
    if (!good) continue;
    best = c;
    break;
  }
  links[kept] = candidates[best].slot + 1;
}

/// Makes the highest other node the entry point. A scan of all nodes: rare, as the entry point is one of them.
void Hnsw::replace_entry(u32 without) {
  GraphSuperblock& graph = meta();
  graph.entry = graph.entry_level = 0;
  for (u32 slot = 0; slot < graph.node_count; slot++) {
    const GraphNode& other = node(slot);
    if (slot == without || other.stamp == 0 || other.previous_copy != 0) continue;
    const u32 level = level_of(slot);
    if (graph.entry != 0 && level <= graph.entry_level) continue;
    graph.entry = slot + 1;
    graph.entry_level = level;
  }
}

}  // namespace shibumi
