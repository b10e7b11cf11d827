#include "vector_store.h"

#include "../index/flat.h"

namespace shibumi {

Bytes IdBatch::key(u32 i, u8* storage) const {
  if (string_ends != nullptr) {
    const u32 start = i == 0 ? 0 : string_ends[i - 1];
    return {string_bytes + start, string_ends[i] - start};
  }
  i64 id;
  __builtin_memcpy(&id, ints + i, sizeof id);
  int_key(id, storage);
  return {storage, 8};
}

// --- life -----------------------------------------------------------------------------------------------------------

const VectorSuperblock& VectorStore::meta_read() {
  return *reinterpret_cast<const VectorSuperblock*>(block_read(kMeta, 0));
}
VectorSuperblock& VectorStore::meta() { return *reinterpret_cast<VectorSuperblock*>(block_write(kMeta, 0)); }

void VectorStore::define(const VectorSuperblock& super) {
  *this = VectorStore{};
  rows_.define(super.dimension, static_cast<Metric>(super.metric), super.power);
  slots_.define(static_cast<IdKind>(super.id_kind));
  define_index(super);
}

void VectorStore::define_index(const VectorSuperblock& super) {
  index_ = static_cast<IndexKind>(super.index);
  ivf_.define({super.list_count, super.subspaces, super.seed}, &rows_, &slots_, &codes_);
  codes_.define(static_cast<CodeKind>(super.codes), &rows_, &slots_, &ivf_.quantizer());
  if (index_ == kHnsw) graph_.define({super.M, super.ef_construction, super.seed}, &rows_, &slots_, &codes_);
}

namespace {

void define_vector_segments() {
  segment_define(kMeta, kPrimary, false);
  segment_define(kVectors, kPrimary, true);
  segment_define(kSlots, kPrimary, false);
  segment_define(kStringIds, kPrimary, false);
  segment_define(kIdTree, kPrimary, false);
  segment_define(kMetadata, kPrimary, false);
  segment_define(kPostings, kPrimary, false);
  segment_define(kGraphMeta, kDerived, false);
  segment_define(kGraphNodes, kDerived, false);
  segment_define(kGraphBase, kDerived, false);
  segment_define(kGraphUpper, kDerived, false);
  segment_define(kCodeMeta, kDerived, false);
  segment_define(kCodes, kDerived, false);
  segment_define(kCodeStamps, kDerived, false);
  segment_define(kQuantizerMeta, kDerived, false);
  segment_define(kCentroids, kDerived, false);
  segment_define(kCodebooks, kDerived, false);
  segment_define(kListEntries, kDerived, false);
}

}  // namespace

Status VectorStore::create(const VectorConfig& config) {
  ready_ = false;
  if (!has(config)) return kOtherCore;
  if (!good_config(config)) return kInvalid;
  define_vector_segments();
  if (segments[kMeta].block_count > 0) return kInvalid;
  if (reserve(1, 0) != kOk) return kOutOfMemory;
  block_append(kMeta);
  VectorSuperblock& super = meta();
  super.magic = kVectorMagic;
  super.version = kVectorVersion;
  super.dimension = config.dimension;
  super.metric = config.metric;
  super.power = config.power;
  super.id_kind = config.id_kind;
  set_index(super, config);
  super.next_stamp = 1;
  super.seed = config.seed;
  define(super);
  Status status = tree_.create();
  if (status == kOk) status = open_index(false);
  ready_ = status == kOk;
  return status;
}

Status VectorStore::open(bool deep) {
  ready_ = false;
  if (opening_index_) return open_rest(deep);
  define_vector_segments();
  Status status = check_superblock();
  if (status != kOk) return status;
  define(meta_read());
  status = check_sizes();
  if (status == kOk) status = tree_.open(deep);
  if (status == kOk && tree_.count() != live_count()) status = kCorrupt;
  if (status == kOk) status = metadata_.open(deep);
  if (status == kOk) status = mark_live();
  if (status == kOk && deep) status = check_free_list();
  if (status == kOk && deep) status = check_ids();
  if (status == kOk && deep && !metadata_.check(slot_count(), [this](u32 slot) { return slots_.live(slot); })) {
    status = kCorrupt;
  }
  return status == kOk ? open_rest(deep) : status;
}

Status VectorStore::open_rest(bool deep) {
  const Status status = open_index(deep);
  opening_index_ = status == kAbsent;
  ready_ = status == kOk;
  return status;
}

/// What has no code is coded first: kAbsent comes before anything else is begun.
Status VectorStore::open_index(bool deep) {
  Status status = codes_.open(slot_count(), live_count());
  if (status == kOk) status = ivf_.open(slot_count());
  if (status == kOk && index_ == kHnsw) status = graph_.open(slot_count(), meta_read().next_stamp, deep);
  // What is linked is measured by its code.
  if (status == kOk && codes_.is(kPq) && index_ == kHnsw && graph_.node_count() > codes_.slot_count()) status = kCorrupt;
  return status;
}

void VectorStore::set_index(VectorSuperblock& super, const VectorConfig& config) {
  const bool hnsw = config.index == kHnsw;
  super.index = config.index;
  super.codes = config.codes;
  super.list_count = config.list_count;
  super.subspaces = config.subspaces;
  super.M = hnsw ? config.M : 0;
  super.ef_construction = hnsw ? config.ef_construction : 0;
}

Status VectorStore::reindex(const VectorConfig& config, bool anew, bool& changed) {
  constexpr SegmentId kOfIndex[] = {kCodeMeta,   kCodes,         kCodeStamps, kGraphMeta, kGraphNodes, kGraphBase,
                                    kGraphUpper, kQuantizerMeta, kCentroids,  kCodebooks, kListEntries};
  const VectorSuperblock& now = meta_read();
  const bool same_space = config.dimension == now.dimension && config.metric == now.metric && config.power == now.power &&
                          config.id_kind == now.id_kind && config.seed == now.seed;
  if (!has(config)) return kOtherCore;
  if (!same_space || !good_config(config)) return kInvalid;
  VectorSuperblock wanted = now;
  set_index(wanted, config);
  changed = anew || __builtin_memcmp(&wanted, &now, sizeof now) != 0;
  if (ready_ && !changed) return kOk;
  const bool keeps_codes = ready_ && now.codes == kSq8 && config.codes == kSq8;
  if (!keeps_codes && rows_.all_present(slot_count()) != kOk) return kAbsent;
  if (reserve(0, 1) != kOk) return kOutOfMemory;
  constexpr u32 kAll = sizeof kOfIndex / sizeof kOfIndex[0], kOfCodes = 3;
  if (!segments_clear(keeps_codes ? kOfIndex + kOfCodes : kOfIndex, keeps_codes ? kAll - kOfCodes : kAll)) return kInvalid;
  ready_ = false;
  graph_.release();
  ivf_.release();
  u8* marks = slots_.marks();
  for (u32 slot = 0; slot < slot_count(); slot++) marks[slot] &= kLiveMark;
  VectorSuperblock& super = meta();
  set_index(super, config);
  define_index(super);
  const Status status = open_index(false);
  ready_ = status == kOk;
  return status;
}

// --- a graph that is linked elsewhere ------------------------------------------------------------------------------

u32 VectorStore::links_wanted() const {
  if (index_ != kHnsw || ivf_.has_work(live_count())) return 0;
  // Graphs over PQ are linked by the originals, but nothing may be linked that has no code.
  if (ivf_.any() && !trained()) return 0;
  return graph_.unmade();
}

Status VectorStore::make_graph_room(u32 nodes, u32 base, u32 upper) {
  constexpr SegmentId kOfGraph[] = {kGraphNodes, kGraphBase, kGraphUpper};
  if (index_ != kHnsw) return kInvalid;
  if (reserve(nodes + base + upper, 1) != kOk) return kOutOfMemory;
  if (!segments_clear(kOfGraph, sizeof kOfGraph / sizeof kOfGraph[0])) return kInvalid;
  for (u32 i = 0; i < nodes; i++) block_append(kGraphNodes);
  for (u32 i = 0; i < base; i++) block_append(kGraphBase);
  for (u32 i = 0; i < upper; i++) block_append(kGraphUpper);
  // Written by the host next.
  block_write(kGraphMeta, 0);
  return kOk;
}

Status VectorStore::adopt_graph() {
  const VectorSuperblock& super = meta_read();
  graph_.release();
  graph_.define({super.M, super.ef_construction, super.seed}, &rows_, &slots_, &codes_);
  u8* marks = slots_.marks();
  for (u32 slot = 0; slot < slot_count(); slot++) marks[slot] &= kLiveMark;
  const Status status = graph_.open(slot_count(), super.next_stamp, false);
  if (status == kOk && codes_.is(kPq) && graph_.node_count() > codes_.slot_count()) return kCorrupt;
  return status;
}

#if defined(SHIBUMI_THREADS)

Status VectorStore::open_for_links(SharedLinks* shared) {
  if (shared == nullptr) define_vector_segments();
  if (segments[kMeta].block_count != 1) return kCorrupt;
  const VectorSuperblock& super = meta_read();
  define(super);
  if (index_ != kHnsw || segments[kSlots].block_count < slots_.records.blocks_for(slot_count())) return kCorrupt;
  const Status status = mark_live();
  if (status != kOk) return status;
  return shared == nullptr ? graph_.open(slot_count(), super.next_stamp, false) : graph_.join(slot_count(), shared);
}

#endif

// --- mutations ------------------------------------------------------------------------------------------------------

u32 VectorStore::take_slot(VectorSuperblock& super) {
  if (super.free_head == 0) {
    const u32 slot = super.slot_count++;
    slots_.records.extend(super.slot_count);
    rows_.records.extend(super.slot_count);
    return slot;
  }
  const u32 slot = super.free_head - 1;
  super.free_head = static_cast<u32>(slots_.record(slot).id);
  return slot;
}

void VectorStore::free_slot(VectorSuperblock& super, u32 slot) {
  if (index_ == kHnsw) graph_.removed(slot);
  metadata_.erase(slot);
  ivf_.removed(slot);
  slots_.mut(slot) = {super.free_head, 0, 0};
  slots_.marks()[slot] &= static_cast<u8>(~kLiveMark);
  super.free_head = slot + 1;
  super.live_count--;
}

u64 VectorStore::append_string(VectorSuperblock& super, Bytes id) {
  const u32 size = string_record_bytes(id.length);
  u64 place = super.string_end;
  const u32 room = kBlockBytes - static_cast<u32>(place & (kBlockBytes - 1));
  if (place == 0 || room == kBlockBytes || room < size) {
    place = static_cast<u64>(block_append(kStringIds)) << kBlockShift;
  }
  u8* entry = block_write(kStringIds, static_cast<u32>(place >> kBlockShift)) + (place & (kBlockBytes - 1));
  __builtin_memcpy(entry, &id.length, sizeof id.length);
  __builtin_memcpy(entry + 4, id.data, id.length);
  super.string_end = place + size;
  return place;
}

namespace {

/// Blocks that `count` strings of `bytes` together can open: a block is left when the next string does not fit, so it is
/// full but for less than one string.
u32 string_blocks(u32 count, u64 bytes) {
  const u64 records = bytes + 8ull * count;
  const u64 filled = kBlockBytes - string_record_bytes(kKeyBytesMax);
  return static_cast<u32>(min_of<u64>(count, records / filled + 1));
}

}  // namespace

/// Everything that can fail, before anything is written.
Status VectorStore::reserve_insert(const IdBatch& ids, u32 count, const MetadataBatch& metadata) {
  const VectorSuperblock& super = meta_read();
  u64 all_bytes = 8ull * count;
  if (slots_.id_kind == kStringIdKind) {
    for (u32 i = 0; i < count; i++) {
      const u32 start = i == 0 ? 0 : ids.string_ends[i - 1];
      if (ids.string_ends[i] < start || ids.string_ends[i] - start > kKeyBytesMax) return kInvalid;
    }
    all_bytes = ids.string_ends[count - 1];
  }
  u32 values = 0;
  for (u32 i = 0; i < count && metadata.ends != nullptr; i++) {
    if (i > 0 && metadata.ends[i] < metadata.ends[i - 1]) return kInvalid;
    const RecordShape shape = shape_of(metadata.record(i));
    if (!shape.good || shape.cleared || metadata.record(i).length > kRecordBytesMax) return kInvalid;
    values += shape.values;
  }
  const u32 metadata_bytes = metadata.ends == nullptr ? 0 : metadata.ends[count - 1];
  const u32 free_count = super.slot_count - super.live_count;
  const u32 fresh = count > free_count ? count - free_count : 0;
  if (fresh > kSlotsMax - super.slot_count || count > ~0u - super.next_stamp) return kFull;
  if (ready_for(ids, count) != kOk) return kAbsent;

  const u32 slots_after = super.slot_count + fresh;
  if (!slots_.mark_bytes.ensure(slots_after, true)) return kOutOfMemory;
  // A replaced vector is freed as well.
  if (index_ == kHnsw && !graph_.reserve_queue(2 * count)) return kOutOfMemory;
  if (!ivf_.reserve_queue(count)) return kOutOfMemory;
  const TreeNeed tree = tree_.bound_total(count, all_bytes + 4ull * count);
  const u32 strings = slots_.id_kind == kStringIdKind ? string_blocks(count, all_bytes) : 0;
  const u32 appended = rows_.records.missing_blocks(slots_after) + slots_.records.missing_blocks(slots_after) +
                       codes_.missing_blocks(slots_after) + strings;
  // The superblock; the records of reused and of freed slots; the block where strings go on.
  const u32 touched = 2 + min_of(2 * count + 1, segments[kSlots].block_count) +
                      min_of(count + 1, segments[kVectors].block_count) + codes_.touched_blocks(count);
  const TreeNeed data = metadata_.bound(count, values, metadata_bytes);
  const Status status = reserve(appended + tree.new_blocks + data.new_blocks,
                                touched + tree.touched_blocks + data.touched_blocks);
  return status == kOk && metadata_bytes > 0 && !metadata_.prepare() ? kOutOfMemory : status;
}

/// Slots that are free are used in the order of their list, a replaced vector's as soon as it is free; then new ones, which
/// begin in the last block.
Status VectorStore::ready_for(const IdBatch& ids, u32 count) const {
  if (!rows_.some_absent()) return kOk;
  const VectorSuperblock& super = meta_read();
  // What trains at an insert reads everything.
  if (codes_.is(kBits)) return rows_.all_present(super.slot_count);
  Status status = kOk;
  const auto need = [&](u32 slot) {
    if (rows_.present(slot)) return true;
    status = kAbsent;
    return rows_.missed(slot);
  };
  u32 next = super.free_head;
  for (u32 i = 0; i < count && next != 0; i++) {
    if (!need(next - 1)) return status;
    next = static_cast<u32>(slots_.record(next - 1).id);
  }
  u8 storage[8];
  for (u32 i = 0; i < count; i++) {
    u32 slot;
    if (find(ids.key(i, storage), slot) == kOk && !need(slot)) return status;
  }
  if (super.slot_count > 0) need(super.slot_count - 1);
  return status;
}

Status VectorStore::insert(const IdBatch& ids, const u8* vectors, u32 count, const MetadataBatch& metadata) {
  if (count == 0) return kOk;
  if (!rows_.acceptable(vectors, count)) return kInvalid;
  const Status ready = reserve_insert(ids, count, metadata);
  if (ready != kOk) return ready;
  version_++;
  u8 storage[8];
  for (u32 i = 0; i < count; i++) {
    insert_one(ids.key(i, storage), vectors + static_cast<size_t>(i) * rows_.vector_bytes, metadata.record(i));
  }
  codes_.grown(slot_count(), live_count());
  return kOk;
}

void VectorStore::insert_one(Bytes key, const u8* vector, Bytes record) {
  TreePlan plan;
  check(tree_.plan_put(key, sizeof(u32), plan) == kOk);
  // What was reserved for the batch is enough for a tree as it was then; what this id needs of it as it is now costs
  // nothing to make sure of.
  const u32 slots_after = meta_read().slot_count + 1;
  const u32 appended = rows_.records.missing_blocks(slots_after) + slots_.records.missing_blocks(slots_after) +
                       codes_.missing_blocks(slots_after) + 1;
  check(reserve(appended + plan.need.new_blocks, plan.need.touched_blocks + 8) == kOk);
  u32 old_slot = 0;
  if (plan.found) {
    ValueView view;
    check(tree_.get(key, view) == kOk && view.length == sizeof(u32));
    __builtin_memcpy(&old_slot, view.data, sizeof old_slot);
  }

  VectorSuperblock& super = meta();
  const u32 slot = take_slot(super);
  const u32 stamp = super.next_stamp++;
  rows_.write(slot, vector);
  u64 id;
  if (slots_.id_kind == kIntIds) {
    id = static_cast<u64>(int_of_key(key.data));
  } else {
    id = plan.found ? slots_.record(old_slot).id : append_string(super, key);
  }
  slots_.mut(slot) = {id, stamp, 0};
  u8& mark = slots_.marks()[slot];
  mark = static_cast<u8>(kLiveMark | (mark & kChainedMark));
  super.live_count++;
  if (codes_.written_at_insert()) codes_.write(slot, stamp);
  u8 value[sizeof slot];
  __builtin_memcpy(value, &slot, sizeof slot);
  tree_.apply_put(plan, key, {value, sizeof value}, 0);
  if (plan.found) free_slot(super, old_slot);
  metadata_.write(slot, record);
  if (index_ == kHnsw) graph_.inserted(slot, stamp);
  ivf_.inserted(slot, stamp);
}

Status VectorStore::remove(Bytes key) {
  u32 slot;
  Status status = find(key, slot);
  if (status != kOk) return status;
  TreePlan plan;
  status = tree_.plan_remove(key, plan);
  if (status != kOk) return status;
  if (index_ == kHnsw && !graph_.reserve_queue(1)) return kOutOfMemory;
  const TreeNeed data = metadata_.bound(0, 0, 0);
  status = reserve(plan.need.new_blocks + data.new_blocks, plan.need.touched_blocks + data.touched_blocks + 2);
  if (status != kOk) return status;
  version_++;
  tree_.apply_remove(plan);
  free_slot(meta(), slot);
  return kOk;
}

Status VectorStore::update_metadata(Bytes key, Bytes patch, bool replace) {
  u32 slot;
  const Status status = find(key, slot);
  if (status != kOk) return status;
  const RecordShape shape = shape_of(patch);
  if (!shape.good || patch.length > kRecordBytesMax) return kInvalid;
  const TreeNeed need = metadata_.bound(1, shape.values, patch.length);
  if (reserve(need.new_blocks, need.touched_blocks) != kOk) return kOutOfMemory;
  if (patch.length > 0 && !metadata_.prepare()) return kOutOfMemory;
  if (!metadata_.update(slot, patch, replace)) return kFull;
  version_++;
  return kOk;
}

u32 VectorStore::plan_removals(u32 count) const {
  return 2 + min_of(count, unsaved_blocks(kSlots)) + unsaved_blocks(kIdTree) + metadata_.unsaved();
}

u32 VectorStore::plan(u32 count, u32 id_bytes, const MetadataPlan& metadata) const {
  const u64 key_bytes = slots_.id_kind == kIntIds ? 8ull * count : id_bytes;
  const TreeNeed tree = tree_.bound_total(count, key_bytes + 4ull * count);
  const u32 strings = slots_.id_kind == kIntIds ? 0 : string_blocks(count, id_bytes);
  const u32 slot_blocks = count / slots_.records.per_block + 2;
  const u32 row_blocks = count / rows_.records.per_block + 2;
  const u32 touched = 2 + min_of(2 * count + 1, unsaved_blocks(kSlots) + slot_blocks) +
                      min_of(count + 1, unsaved_blocks(kVectors) + row_blocks);
  const u32 data = metadata_.bound(count + metadata.updates, metadata.values, metadata.bytes).new_blocks +
                   metadata_.unsaved();
  if (count == 0) return data;
  const u32 code_blocks = codes_.blocks_bound(count);
  // Training touches them all.
  const u32 coded = code_blocks == 0 ? 0 : 2 * code_blocks + unsaved_blocks(kCodes) + unsaved_blocks(kCodeStamps) + 1;
  return slot_blocks + row_blocks + strings + touched + coded + tree.new_blocks + tree.touched_blocks + data;
}

Status VectorStore::link(u32 most) {
  if (pending() == 0) return kOk;
  if (needs_originals() && rows_.all_present(slot_count()) != kOk) return kAbsent;
  for (u32 i = 0; i < most; i++) {
    // First what is coded, then what is linked: so whatever is linked has a code.
    const Status status = ivf_.has_work(live_count()) ? ivf_.step(slot_count(), live_count())
                          : index_ == kHnsw           ? graph_.link_next()
                                                      : kNotFound;
    if (status != kOk) return status == kNotFound ? kOk : status;
  }
  return kOk;
}

u32 VectorStore::pending() const {
  if (ivf_.any() && !ivf_.trained() && !ivf_.has_work(live_count())) return 0;
  const u32 to_link = index_ == kHnsw ? graph_.pending() : 0;
  return min_of(max_of(to_link, ivf_.waiting()), live_count());
}

// --- reads ----------------------------------------------------------------------------------------------------------

Status VectorStore::find(Bytes key, u32& slot) const {
  ValueView view;
  const Status status = tree_.get(key, view);
  if (status == kOk) __builtin_memcpy(&slot, view.data, sizeof slot);
  return status;
}

Status VectorStore::get(Bytes key, u8* out) const {
  u32 slot;
  const Status status = find(key, slot);
  if (status != kOk) return status;
  const f32* row = rows_.row_or_fault(slot);
  if (row == nullptr) return kAbsent;
  __builtin_memcpy(out, row, rows_.vector_bytes);
  return kOk;
}

bool VectorStore::ensure_hits(u64 hits) {
  const u64 bytes = hits * sizeof(Hit);
  return bytes < (1ull << 31) && hit_buffer_.ensure(static_cast<u32>(bytes), false);
}

/// A cosine query is brought to unit length first, so that the inner product of huge vectors does not overflow. One of
/// bits is filled up to whole words.
void VectorStore::prepare_values(const u8* query, f32* prepared) const {
  if (is_of_bits(rows_.metric)) {
    prepared[rows_.words - 1] = 0;
    __builtin_memcpy(prepared, query, rows_.vector_bytes);
    return;
  }
  const f32* values = reinterpret_cast<const f32*>(query);
  const f32 inverse = rows_.metric == kCosine ? inverse_norm(values, rows_.dimension) : 1.0f;
  for (u32 i = 0; i < rows_.dimension; i++) {
    f32 value;
    __builtin_memcpy(&value, values + i, sizeof value);
    prepared[i] = value * inverse;
  }
}

bool VectorStore::prepare_query(const u8* query, u32 hits, Probe& probe) {
  if (!ensure_hits(hits)) return false;
  probe = {reinterpret_cast<const f32*>(query), 1.0f};
  if (!is_of_bits(rows_.metric) && rows_.metric != kCosine) return true;
  if (!query_buffer_.ensure(rows_.words * sizeof(f32), false)) return false;
  prepare_values(query, query_buffer_.as<f32>());
  probe.values = query_buffer_.as<f32>();
  return true;
}

/// A graph search measures some ten vectors a candidate, scattered in memory; a scan as many in a row costs less. Where
/// only one in n is allowed, a search comes by n times as many vectors before it has its candidates, so what a scan may
/// cost grows with n (at 20k x 128 and 10 % a walk took 3.3 ms, longer than a scan of everything). And where most slots are
/// pending they are scanned anyway.
bool VectorStore::scan_is_faster(SearchEffort effort, u32 allowed) const {
  constexpr u64 kScannedPerCandidate = 24;  // of those allowed, for each candidate and each vector that a walk passes over
  const u64 live = live_count();
  if (ivf_.any() && (!ivf_.trained() || ivf_.waiting() > live / 2)) return true;
  switch (index_) {
    case kHnsw:
      if (allowed < live && static_cast<u64>(allowed) * allowed <= kScannedPerCandidate * effort.ef * live) return true;
      return allowed / 8 <= effort.ef || graph_.pending() > live / 2;
    // As many vectors as the lists that would be looked through have together. Codes of PQ cost less than originals, but where
    // a filter cuts out a region, the nearest lists hold few of those that match, and not the best of them.
    case kIvf: {
      if (!by_lists()) return true;
      const u64 scanned = static_cast<u64>(allowed) * ivf_.list_count();
      if (!codes_.is(kPq)) return scanned <= live * effort.nprobe;
      return ivf_.list_count() > 1 && 2 * scanned <= live * effort.nprobe;
    }
    default: return true;
  }
}

/// Whether the originals are scanned: where nothing else knows more, and where codes would leave most of them to be
/// measured again. Codes of PQ are only found through the index, and before an index is trained its searches are exact.
bool VectorStore::exact_is_faster(SearchEffort effort, u32 wanted, u32 allowed) const {
  const bool scan = scan_is_faster(effort, allowed);
  if (!trained()) return true;
  if (!codes_.any() || (codes_.is(kPq) && scan)) return scan;
  return allowed / 8 <= max_of(wanted, effort.rerank);
}

/// The nearest by the codes, then by the originals of those.
Status VectorStore::search_by_codes(const Probe& probe, SearchEffort effort, u32 matches, const Allowed& allowed,
                                    TopK& best, SearchProgress& progress) {
  if (!codes_.prepare(probe)) return kOutOfMemory;
  const bool scan = scan_is_faster(effort, matches);
  const auto find = [&](TopK& into) {
    if (scan) return code_scan(codes_, slots_, slot_count(), allowed, into);
    return by_lists() ? ivf_.search(probe, effort.nprobe, allowed, into) : graph_.search(probe, effort.ef, allowed, into);
  };
  if (effort.rerank == 0) {
    const Status status = find(best);
    if (status == kOk && !scan) scan_pending(probe, allowed, best, true);
    return status;
  }
  if (progress.phase == kUnlinked) return scan_unlinked(probe, allowed, best, progress);
  const u32 count = min_of(max_of(effort.rerank, best.capacity()), matches);
  if (!candidate_buffer_.ensure(count * sizeof(Hit), false)) return kOutOfMemory;
  TopK nearest(slots_, candidate_buffer_.as<Hit>(), count, __builtin_inff());
  Status status = find(nearest);
  if (status == kOk) status = rerank(probe, candidate_buffer_.as<Hit>(), nearest.count(), best, progress);
  return status != kOk || scan ? status : scan_unlinked(probe, allowed, best, progress);
}

/// What the index does not know yet, exactly.
Status VectorStore::scan_unlinked(const Probe& probe, const Allowed& allowed, TopK& best, SearchProgress& progress) {
  const bool at_once = !rows_.some_absent() && progress.phase != kUnlinked;
  if (at_once || index_ != kHnsw) return scan_pending(probe, allowed, best, false), kOk;
  // Of copies behind a vector that is gone there may be more than are counted as pending.
  u32 count = 0, filled = 0;
  graph_.each_pending(allowed, [&](u32) { count++; });
  if (!order_buffer_.ensure(count * sizeof(u32), false)) return kOutOfMemory;
  u32* slots = order_buffer_.as<u32>();
  graph_.each_pending(allowed, [&](u32 slot) { slots[filled++] = slot; });
  return measure_in_order(rows_, probe, slots, count, false, kUnlinked, progress, best);
}

Status VectorStore::search_index(const Probe& probe, SearchEffort effort, const Allowed& allowed, TopK& best) {
  const Status status = by_lists() ? ivf_.search(probe, effort.nprobe, allowed, best)
                                       : graph_.search(probe, effort.ef, allowed, best);
  if (status == kOk) scan_pending(probe, allowed, best, false);
  return status;
}

/// What the index does not know yet, by the originals or by what the index measures.
void VectorStore::scan_pending(const Probe& probe, const Allowed& allowed, TopK& best, bool by_codes) {
  if (by_lists()) {
    ivf_.scan_waiting(probe, allowed, best, by_codes);
  } else if (by_codes) {
    graph_.scan_pending_codes(probe, allowed, best);
  } else {
    graph_.scan_pending(probe, allowed, best);
  }
}

Status VectorStore::rerank(const Probe& probe, const Hit* candidates, u32 count, TopK& best, SearchProgress& progress) {
  if (rows_.some_absent() || progress.phase == kCandidates) {
    if (!order_buffer_.ensure(count * sizeof(u32), false)) return kOutOfMemory;
    u32* slots = order_buffer_.as<u32>();
    for (u32 i = 0; i < count; i++) slots[i] = candidates[i].slot;
    return measure_in_order(rows_, probe, slots, count, true, kCandidates, progress, best);
  }
  for (u32 i = 0; i < count; i += 4) {
    const u32 n = min_of(4u, count - i);
    const f32* some[4];
    f32 distances[4];
    for (u32 j = 0; j < 4; j++) some[j] = rows_.row(candidates[i + min_of(j, n - 1)].slot);
    rows_.distance_x4(probe, some, distances);
    for (u32 j = 0; j < n; j++) best.offer(candidates[i + j].slot, distances[j]);
  }
  return kOk;
}

Status VectorStore::scan_exactly(const Probe& probe, const Allowed& allowed, TopK& best, SearchProgress& progress) {
  u32 first = progress.phase == kEverything ? progress.slot : 0;
  const Status status = flat_scan(rows_, slots_, probe, first, slot_count(), allowed, best);
  if (status != kOk) progress.phase = kEverything, progress.slot = first;
  return status;
}

Status VectorStore::search(const u8* query, u32 k, SearchEffort effort, const Hit*& hits, u32& found,
                           const Allowed& allowed, SearchProgress& progress) {
  found = 0;
  const u32 matches = allowed.all() ? live_count() : allowed.count;
  const u32 wanted = min_of(k, matches);
  if (wanted == 0) return kOk;
  // A graph of originals walks anywhere.
  if (!codes_.any() && index_ != kFlat && rows_.all_present(slot_count()) != kOk) return kAbsent;
  if (progress.version != static_cast<u32>(version_)) progress = {};
  progress.version = static_cast<u32>(version_);
  Probe probe;
  if (!prepare_query(query, wanted, probe)) return kOutOfMemory;
  Hit* storage = hit_buffer_.as<Hit>();
  hits = storage;
  effort.ef = max_of(effort.ef, max_of(wanted, effort.rerank));
  effort.nprobe = max_of(effort.nprobe, 1u);
  if (progress.phase != kEverything && !exact_is_faster(effort, wanted, matches)) {
    TopK best(slots_, storage, wanted, __builtin_inff());
    progress.offer_to(best);
    const Status status = codes_.any() ? search_by_codes(probe, effort, matches, allowed, best, progress)
                                       : search_index(probe, effort, allowed, best);
    found = best.finish();
    // Fewer than there are: part of the graph cannot be reached, or too much that is no hit lies between.
    if (status != kOk || found == wanted) return status;
    progress.next();
  }
  if (progress.phase != kEverything) progress.next();
  TopK best(slots_, storage, wanted, __builtin_inff());
  progress.offer_to(best);
  const Status status = scan_exactly(probe, allowed, best, progress);
  found = best.finish();
  return status;
}

Status VectorStore::search_batch(const u8* queries, u32 count, u32 k, SearchEffort effort, const Hit*& hits, u32& found,
                                 const Allowed& allowed) {
  found = 0;
  if (count == 0 || count > kBatchMost) return kInvalid;
  const u32 matches = allowed.all() ? live_count() : allowed.count;
  const u32 wanted = min_of(k, matches);
  if (wanted == 0) return kOk;
  if (rows_.some_absent()) return kNotFound;
  const u32 candidates = max_of(wanted, effort.rerank);
  effort.ef = max_of(effort.ef, candidates);
  effort.nprobe = max_of(effort.nprobe, 1u);
  if (!exact_is_faster(effort, wanted, matches)) return kNotFound;
  const u32 bytes = rows_.words * sizeof(f32);
  if (!ensure_hits(static_cast<u64>(wanted) * count) || !query_buffer_.ensure(bytes * count, false)) return kOutOfMemory;
  Probe probes[kBatchMost];
  TopK best[kBatchMost];
  Hit* storage = hit_buffer_.as<Hit>();
  for (u32 i = 0; i < count; i++) {
    f32* prepared = query_buffer_.as<f32>() + static_cast<size_t>(i) * rows_.words;
    prepare_values(queries + static_cast<size_t>(i) * rows_.vector_bytes, prepared);
    probes[i] = {prepared, 1.0f};
    best[i] = TopK(slots_, storage + static_cast<size_t>(i) * wanted, wanted, __builtin_inff());
  }
  batch_scan(rows_, slots_, probes, count, slot_count(), allowed, best);
  for (u32 i = 0; i < count; i++) found = best[i].finish();
  check(found == wanted);
  hits = storage;
  return kOk;
}

Status VectorStore::range(const u8* query, f32 radius, u32 limit, const Hit*& hits, u32& found, const Allowed& allowed,
                          const RangeStart* after, SearchProgress& progress) {
  found = 0;
  const u32 most = min_of(limit, allowed.all() ? live_count() : allowed.count);
  if (most == 0 || !(radius > -__builtin_inff())) return kOk;
  if (progress.version != static_cast<u32>(version_)) progress = {};
  progress.version = static_cast<u32>(version_);
  Probe probe;
  if (!prepare_query(query, most, probe)) return kOutOfMemory;
  // Strictly below the radius is at most the f32 before it.
  const f32 bound = of_ordered_bits(ordered_bits(radius == 0 ? -0.0f : radius) - 1);
  TopK best(slots_, hit_buffer_.as<Hit>(), most, bound);
  if (after != nullptr) best.start_behind(after->distance, after->id);
  progress.offer_to(best);
  const Status status = scan_exactly(probe, allowed, best, progress);
  hits = hit_buffer_.as<Hit>();
  found = best.finish();
  return status;
}

u32 VectorStore::scan(const Bytes* after, u32 limit, u32* out, const Allowed& allowed) const {
  TreeCursor cursor(tree_);
  u32 count = 0;
  Status status = after == nullptr ? cursor.first() : cursor.seek(*after, true);
  for (; status == kOk && count < limit; status = cursor.next()) {
    const ValueView view = cursor.value();
    u32 slot;
    __builtin_memcpy(&slot, view.data, sizeof slot);
    if (allowed(slot)) out[count++] = slot;
  }
  return count;
}

}  // namespace shibumi
