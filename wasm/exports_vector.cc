// The border of the core for vector spaces. Ranges are checked here, before anything is read through an address.
//
// Answers are a Status, or a count that is negative where a Status failed.
#include "core/border.h"
#include "core/threads.h"
#include "vector/vector_store.h"

using namespace shibumi;

namespace {

constexpr i32 kNoSuchId = -101;
constexpr i32 kSearchEach = -102;
SHIBUMI_THREAD_LOCAL VectorStore vector_space;

bool good_vectors(Addr vectors, u32 count) {
  return in_memory(vectors, static_cast<u64>(count) * vector_space.vector_bytes());
}

bool good_query(Addr query, u32 hits, Addr out_slots, Addr out_distances) {
  return vector_space.ready() && good_vectors(query, 1) && in_memory(out_slots, static_cast<u64>(hits) * 4) &&
         in_memory(out_distances, static_cast<u64>(hits) * 4);
}

/// What a search that came to absent originals goes on from: u32 phase, slot, count and version. The hits so far are where
/// it puts its hits.
struct StoredProgress {
  u32 phase, slot, count, version;
};
static_assert(sizeof(StoredProgress) == 16);

/// False when it does not lie in memory or tells of more hits than there is room for, or of slots there are not.
bool read_progress(Addr from, u32 room, Addr slots, Addr distances, SearchProgress& progress) {
  if (!in_memory(from, sizeof(StoredProgress))) return false;
  StoredProgress stored;
  __builtin_memcpy(&stored, at<u8>(from), sizeof stored);
  progress = {stored.phase, stored.slot, stored.count, stored.version, at<const u32>(slots), at<const f32>(distances)};
  if (progress.phase == kFromBeginning) progress.count = 0;
  if (progress.count > room) return false;
  for (u32 i = 0; i < progress.count; i++) {
    if (!vector_space.live(progress.slots[i])) progress.version--;  // it is of other contents
  }
  return true;
}

void write_progress(const SearchProgress& progress, u32 found, Addr to) {
  const StoredProgress stored{progress.phase, progress.slot, found, progress.version};
  __builtin_memcpy(at<u8>(to), &stored, sizeof stored);
}

i32 give_hits(const Hit* hits, u32 found, Addr out_slots, Addr out_distances) {
  u32* slots = at<u32>(out_slots);
  f32* distances = at<f32>(out_distances);
  for (u32 i = 0; i < found; i++) {
    slots[i] = hits[i].slot;
    distances[i] = hits[i].distance;
  }
  return static_cast<i32>(found);
}

bool good_string(Addr bytes, u32 length) {
  return vector_space.ready() && vector_space.id_kind() == kStringIdKind && in_memory(bytes, length);
}

bool good_metadata(Addr ends, Addr bytes, u32 count, MetadataBatch& batch) {
  if (ends == 0 || count == 0) return true;
  if (!in_memory(ends, static_cast<u64>(count) * 4)) return false;
  batch.ends = at<const u32>(ends);
  if (!in_memory(bytes, batch.ends[count - 1])) return false;
  batch.bytes = at<const u8>(bytes);
  return true;
}

/// Evaluates the filter program at an address; without bytes everything is allowed.
Status filter_at(Addr program, u32 length, Allowed& allowed) {
  if (length == 0) return kOk;
  return in_memory(program, length) ? vector_space.filter({at<const u8>(program), length}, allowed) : kInvalid;
}

bool takes_ints() { return vector_space.ready() && vector_space.id_kind() == kIntIds; }

}  // namespace

/// A VectorConfig.
SHIBUMI_EXPORT(vec_create) i32 export_vec_create(Addr config_at) {
  if (!in_memory(config_at, sizeof(VectorConfig))) return kInvalid;
  VectorConfig config;
  __builtin_memcpy(&config, at<u8>(config_at), sizeof config);
  return vector_space.create(config);
}

/// After the host adopted all blocks. `deep` = 1 checks every reference.
SHIBUMI_EXPORT(vec_open) i32 export_vec_open(u32 deep) { return vector_space.open(deep != 0); }

/// A VectorConfig that differs from the space's in the index. 1 when the index is another one now or was to be made
/// `anew`, 0 when it was that one.
SHIBUMI_EXPORT(vec_reindex) i32 export_vec_reindex(Addr config_at, u32 anew) {
  if (segments[kMeta].block_count == 0 || !in_memory(config_at, sizeof(VectorConfig))) return kInvalid;
  VectorConfig config;
  __builtin_memcpy(&config, at<u8>(config_at), sizeof config);
  bool changed = false;
  const Status status = vector_space.reindex(config, anew != 0, changed);
  return status == kOk ? changed : static_cast<i32>(status);
}

/// Frames an insert of `count` vectors, whose string ids have `id_bytes` together, and `updates` updates of metadata may
/// need, for arena_hold. The records and patches have `metadata_bytes` together and `values` indexed values.
SHIBUMI_EXPORT(vec_plan)
u32 export_vec_plan(u32 count, u32 id_bytes, u32 updates, u32 values, u32 metadata_bytes) {
  return vector_space.ready() ? vector_space.plan(count, id_bytes, {updates, values, metadata_bytes}) : 0;
}

/// Frames `count` removals may need.
SHIBUMI_EXPORT(vec_plan_removals) u32 export_vec_plan_removals(u32 count) {
  return vector_space.ready() ? vector_space.plan_removals(count) : 0;
}

/// i64[count] and count vectors: f32[dimension] each, or of bits u8[dimension / 8 rounded up]; u32[count] cumulative ends
/// and the bytes of metadata records, or 0 and 0.
SHIBUMI_EXPORT(vec_insert)
i32 export_vec_insert(Addr ids, Addr vectors, Addr metadata_ends, Addr metadata_bytes, u32 count) {
  if (!takes_ints() || !in_memory(ids, static_cast<u64>(count) * 8) || !good_vectors(vectors, count)) return kInvalid;
  MetadataBatch metadata;
  if (!good_metadata(metadata_ends, metadata_bytes, count, metadata)) return kInvalid;
  IdBatch batch;
  batch.ints = at<const i64>(ids);
  return vector_space.insert(batch, at<const u8>(vectors), count, metadata);
}

/// u32[count] cumulative ends, the ids' bytes one after another, the vectors; metadata as above.
SHIBUMI_EXPORT(vec_insert_strings)
i32 export_vec_insert_strings(Addr id_ends, Addr id_bytes, Addr vectors, Addr metadata_ends, Addr metadata_bytes,
                              u32 count) {
  if (!good_string(id_ends, 0) || !in_memory(id_ends, static_cast<u64>(count) * 4)) return kInvalid;
  IdBatch batch;
  batch.string_ends = at<const u32>(id_ends);
  const u32 all = count == 0 ? 0 : batch.string_ends[count - 1];
  if (!in_memory(id_bytes, all) || !good_vectors(vectors, count)) return kInvalid;
  batch.string_bytes = at<const u8>(id_bytes);
  MetadataBatch metadata;
  if (!good_metadata(metadata_ends, metadata_bytes, count, metadata)) return kInvalid;
  return vector_space.insert(batch, at<const u8>(vectors), count, metadata);
}

/// Whether the blocks that vec_insert of these i64[count] ids would write to are in memory: Status.
SHIBUMI_EXPORT(vec_ready) i32 export_vec_ready(Addr ids, u32 count) {
  if (!takes_ints() || !in_memory(ids, static_cast<u64>(count) * 8)) return kInvalid;
  IdBatch batch;
  batch.ints = at<const i64>(ids);
  return vector_space.ready_for(batch, count);
}

/// The same for vec_insert_strings.
SHIBUMI_EXPORT(vec_ready_strings) i32 export_vec_ready_strings(Addr id_ends, Addr id_bytes, u32 count) {
  if (!good_string(id_ends, 0) || !in_memory(id_ends, static_cast<u64>(count) * 4)) return kInvalid;
  IdBatch batch;
  batch.string_ends = at<const u32>(id_ends);
  if (!in_memory(id_bytes, count == 0 ? 0 : batch.string_ends[count - 1])) return kInvalid;
  batch.string_bytes = at<const u8>(id_bytes);
  return vector_space.ready_for(batch, count);
}

SHIBUMI_EXPORT(vec_delete) i32 export_vec_delete(i64 id) {
  if (!takes_ints()) return kInvalid;
  u8 key[8];
  int_key(id, key);
  return vector_space.remove({key, sizeof key});
}

SHIBUMI_EXPORT(vec_delete_string) i32 export_vec_delete_string(Addr bytes, u32 length) {
  if (!good_string(bytes, length)) return kInvalid;
  return vector_space.remove({at<const u8>(bytes), length});
}

/// Copies the vector to `out`, bit for bit as it was put.
SHIBUMI_EXPORT(vec_get) i32 export_vec_get(i64 id, Addr out) {
  if (!takes_ints() || !good_vectors(out, 1)) return kInvalid;
  u8 key[8];
  int_key(id, key);
  return vector_space.get({key, sizeof key}, at<u8>(out));
}

SHIBUMI_EXPORT(vec_get_string) i32 export_vec_get_string(Addr bytes, u32 length, Addr out) {
  if (!good_string(bytes, length) || !good_vectors(out, 1)) return kInvalid;
  return vector_space.get({at<const u8>(bytes), length}, at<u8>(out));
}

/// Applies a patch of metadata to a vector's, or puts it in its place. kOk, kNotFound, or kFull when it would be too long.
SHIBUMI_EXPORT(vec_update) i32 export_vec_update(i64 id, Addr patch, u32 length, u32 replace) {
  if (!takes_ints() || !in_memory(patch, length)) return kInvalid;
  u8 key[8];
  int_key(id, key);
  return vector_space.update_metadata({key, sizeof key}, {at<const u8>(patch), length}, replace != 0);
}

SHIBUMI_EXPORT(vec_update_string)
i32 export_vec_update_string(Addr id, u32 id_length, Addr patch, u32 length, u32 replace) {
  if (!good_string(id, id_length) || !in_memory(patch, length)) return kInvalid;
  return vector_space.update_metadata({at<const u8>(id), id_length}, {at<const u8>(patch), length}, replace != 0);
}

/// The slot of an id, or kNoSuchId.
SHIBUMI_EXPORT(vec_slot) i32 export_vec_slot(i64 id) {
  if (!takes_ints()) return kInvalid;
  u8 key[8];
  int_key(id, key);
  u32 slot = 0;
  const Status status = vector_space.find({key, sizeof key}, slot);
  return status == kOk ? static_cast<i32>(slot) : kNoSuchId;
}

SHIBUMI_EXPORT(vec_slot_string) i32 export_vec_slot_string(Addr bytes, u32 length) {
  if (!good_string(bytes, length)) return kInvalid;
  u32 slot = 0;
  const Status status = vector_space.find({at<const u8>(bytes), length}, slot);
  return status == kOk ? static_cast<i32>(slot) : kNoSuchId;
}

/// Where a live slot's metadata record is: u32 address and u32 length to `out`, 0 and 0 when it has none. Good until the
/// next call.
SHIBUMI_EXPORT(vec_metadata) i32 export_vec_metadata(u32 slot, Addr out) {
  if (!vector_space.ready() || !vector_space.live(slot) || !in_memory(out, 8)) return kInvalid;
  const Bytes record = vector_space.metadata(slot);
  const u32 place[2] = {record.length == 0 ? 0 : addr_of(record.data), record.length};
  __builtin_memcpy(at<u8>(out), place, sizeof place);
  return kOk;
}

/// How many vectors the filter program allows.
SHIBUMI_EXPORT(vec_count_where) i32 export_vec_count_where(Addr filter, u32 filter_length) {
  if (!vector_space.ready()) return kInvalid;
  Allowed allowed;
  const Status status = filter_at(filter, filter_length, allowed);
  if (status != kOk) return static_cast<i32>(status);
  return static_cast<i32>(allowed.all() ? vector_space.live_count() : allowed.count);
}

/// Changes whenever vectors or metadata do.
SHIBUMI_EXPORT(vec_version) u32 export_vec_version() { return vector_space.version(); }
SHIBUMI_EXPORT(vec_count) u32 export_vec_count() { return vector_space.ready() ? vector_space.live_count() : 0; }
SHIBUMI_EXPORT(vec_slots) u32 export_vec_slots() { return vector_space.ready() ? vector_space.slot_count() : 0; }
SHIBUMI_EXPORT(vec_pending) u32 export_vec_pending() { return vector_space.ready() ? vector_space.pending() : 0; }
/// Vectors the index was trained on, 0 before it was; how many it takes, 0 where it needs no training; what is left of it, 0..1.
SHIBUMI_EXPORT(vec_trained_on) u32 export_vec_trained_on() { return vector_space.ready() ? vector_space.trained_on() : 0; }
SHIBUMI_EXPORT(vec_training_needs) u32 export_vec_training_needs() {
  return vector_space.ready() ? vector_space.points_needed() : 0;
}
SHIBUMI_EXPORT(vec_training_left) f64 export_vec_training_left() {
  return vector_space.ready() ? vector_space.training_left() : 0;
}

/// The k nearest that the filter program allows, best first, ties by id: u32[k] slots and f32[k] distances. Returns how
/// many. `ef`, `nprobe` and `rerank`: see SearchEffort. kAbsent: what it has found so far is there, and at `progress_at`
/// (u32[4], zeros at first) how far it came; repeated with these, when the blocks are there, it goes on.
SHIBUMI_EXPORT(vec_search)
i32 export_vec_search(Addr query, u32 k, u32 ef, u32 nprobe, u32 rerank, Addr filter, u32 filter_length, Addr out_slots,
                      Addr out_distances, Addr progress_at) {
  if (!vector_space.ready()) return kInvalid;
  // k may pass the count; the host gives room for what there is.
  const u32 wanted = min_of(k, vector_space.live_count());
  SearchProgress progress;
  if (!good_query(query, wanted, out_slots, out_distances) ||
      !read_progress(progress_at, wanted, out_slots, out_distances, progress)) {
    return kInvalid;
  }
  Allowed allowed;
  Status status = filter_at(filter, filter_length, allowed);
  const Hit* hits = nullptr;
  u32 found = 0;
  if (status == kOk) {
    status = vector_space.search(at<const u8>(query), wanted, {ef, rerank, nprobe}, hits, found, allowed, progress);
  }
  if (status != kOk && status != kAbsent) return status;
  give_hits(hits, found, out_slots, out_distances);
  write_progress(progress, found, progress_at);
  return status == kOk ? static_cast<i32>(found) : status;
}

/// The same for `count` queries, kBatchMost at most: as many hits for each, one query's after another's; room as for k hits
/// each. Returns how many a query has, or kSearchEach where searching for each alone is quicker.
SHIBUMI_EXPORT(vec_search_batch)
i32 export_vec_search_batch(Addr queries, u32 count, u32 k, u32 ef, u32 nprobe, u32 rerank, Addr filter, u32 filter_length,
                            Addr out_slots, Addr out_distances) {
  if (!vector_space.ready() || count > kBatchMost || !good_vectors(queries, count)) return kInvalid;
  const u32 wanted = min_of(k, vector_space.live_count());
  const u64 room = static_cast<u64>(wanted) * count * 4;
  if (!in_memory(out_slots, room) || !in_memory(out_distances, room)) return kInvalid;
  Allowed allowed;
  Status status = filter_at(filter, filter_length, allowed);
  const Hit* hits = nullptr;
  u32 found = 0;
  if (status == kOk) status = vector_space.search_batch(at<const u8>(queries), count, wanted, {ef, rerank, nprobe}, hits, found, allowed);
  if (status == kNotFound) return kSearchEach;
  if (status != kOk) return status;
  give_hits(hits, found * count, out_slots, out_distances);
  return static_cast<i32>(found);
}

/// Everything nearer than `radius` (kernel scale) that the filter program allows, best first, `limit` at most; exact
/// whatever the index. kAbsent as for vec_search. `after`: 0, or where a page begins: f32 distance, u32 length and bytes of an id as a tree key.
SHIBUMI_EXPORT(vec_range)
i32 export_vec_range(Addr query, f32 radius, u32 limit, Addr after, Addr filter, u32 filter_length, Addr out_slots,
                     Addr out_distances, Addr progress_at) {
  if (!vector_space.ready()) return kInvalid;
  const u32 most = min_of(limit, vector_space.live_count());
  SearchProgress progress;
  if (!good_query(query, most, out_slots, out_distances) ||
      !read_progress(progress_at, most, out_slots, out_distances, progress)) {
    return kInvalid;
  }
  RangeStart start{};
  if (after != 0) {
    if (!in_memory(after, 8)) return kInvalid;
    __builtin_memcpy(&start.distance, at<u8>(after), 4);
    __builtin_memcpy(&start.id.length, at<u8>(after) + 4, 4);
    if (!in_memory(after + 8, start.id.length)) return kInvalid;
    start.id.data = at<const u8>(after + 8);
  }
  Allowed allowed;
  Status status = filter_at(filter, filter_length, allowed);
  const Hit* hits = nullptr;
  u32 found = 0;
  if (status == kOk) {
    const RangeStart* from = after == 0 ? nullptr : &start;
    status = vector_space.range(at<const u8>(query), radius, most, hits, found, allowed, from, progress);
  }
  if (status != kOk && status != kAbsent) return status;
  give_hits(hits, found, out_slots, out_distances);
  write_progress(progress, found, progress_at);
  return status == kOk ? static_cast<i32>(found) : status;
}

/// i64[count] ids of live slots. kInvalid when a slot is not live.
SHIBUMI_EXPORT(vec_ids) i32 export_vec_ids(Addr slots, u32 count, Addr out) {
  const u64 bytes = static_cast<u64>(count) * 4;
  if (!takes_ints() || !in_memory(slots, bytes) || !in_memory(out, bytes * 2)) return kInvalid;
  for (u32 i = 0; i < count; i++) {
    const u32 slot = at<const u32>(slots)[i];
    if (!vector_space.live(slot)) return kInvalid;
    const u64 id = vector_space.slot(slot).id;
    __builtin_memcpy(at<u8>(out) + i * 8ull, &id, sizeof id);
  }
  return kOk;
}

/// Address of u32 length and the bytes; 0 when the slot is not live. Good until the next mutation.
SHIBUMI_EXPORT(vec_id_string) Addr export_vec_id_string(u32 slot) {
  if (!vector_space.ready() || vector_space.id_kind() != kStringIdKind || !vector_space.live(slot)) return 0;
  return addr_of(Slots::string_at(vector_space.slot(slot).id).data - 4);
}

/// Up to `limit` live slots in id order that the filter program allows, from the first or after the id `after`. Returns how
/// many.
SHIBUMI_EXPORT(vec_scan)
i32 export_vec_scan(u32 has_cursor, i64 after, Addr filter, u32 filter_length, u32 limit, Addr out_slots) {
  if (!takes_ints() || !in_memory(out_slots, static_cast<u64>(limit) * 4)) return kInvalid;
  Allowed allowed;
  const Status status = filter_at(filter, filter_length, allowed);
  if (status != kOk) return static_cast<i32>(status);
  u8 key[8];
  int_key(after, key);
  const Bytes cursor{key, sizeof key};
  return static_cast<i32>(vector_space.scan(has_cursor ? &cursor : nullptr, limit, at<u32>(out_slots), allowed));
}

SHIBUMI_EXPORT(vec_scan_string)
i32 export_vec_scan_string(u32 has_cursor, Addr after, u32 after_length, Addr filter, u32 filter_length, u32 limit,
                           Addr out_slots) {
  if (!vector_space.ready() || vector_space.id_kind() != kStringIdKind) return kInvalid;
  if (has_cursor && !in_memory(after, after_length)) return kInvalid;
  if (!in_memory(out_slots, static_cast<u64>(limit) * 4)) return kInvalid;
  Allowed allowed;
  const Status status = filter_at(filter, filter_length, allowed);
  if (status != kOk) return static_cast<i32>(status);
  const Bytes cursor{has_cursor ? at<const u8>(after) : nullptr, has_cursor ? after_length : 0};
  return static_cast<i32>(vector_space.scan(has_cursor ? &cursor : nullptr, limit, at<u32>(out_slots), allowed));
}

/// Whether the originals of u32[count] live slots are in memory: Status.
SHIBUMI_EXPORT(vec_originals) i32 export_vec_originals(Addr slots, u32 count) {
  if (!vector_space.ready() || !in_memory(slots, static_cast<u64>(count) * 4)) return kInvalid;
  for (u32 i = 0; i < count; i++) {
    if (!vector_space.live(at<const u32>(slots)[i])) return kInvalid;
  }
  return vector_space.originals_present(at<const u32>(slots), count);
}

/// Where a live slot's vector is, to copy them out at once; 0 when it is not live or its block is absent (the
/// fault tells).
SHIBUMI_EXPORT(vec_vector) Addr export_vec_vector(u32 slot) {
  if (!vector_space.ready() || !vector_space.live(slot)) return 0;
  const f32* row = vector_space.row_or_fault(slot);
  return row == nullptr ? 0 : addr_of(row);
}

/// Links up to `most` pending vectors into the graph. Returns how many remain; when memory is out (negative) the rest
/// stay pending and are found by exact search.
SHIBUMI_EXPORT(vec_link) i32 export_vec_link(u32 most) {
  if (!vector_space.ready()) return kInvalid;
  const Status status = vector_space.link(most);
  return status == kOk ? static_cast<i32>(vector_space.pending()) : static_cast<i32>(status);
}

/// How many vectors wait to be linked that could as well be linked elsewhere (index/parallel_links.h).
SHIBUMI_EXPORT(vec_links_wanted) u32 export_vec_links_wanted() {
  return vector_space.ready() ? vector_space.links_wanted() : 0;
}

/// Makes room for a graph of so many blocks a segment in the place of the one that is there; the host fills the blocks, and calls
/// vec_links_adopt before anything else. Refused, and nothing changed, while a checkpoint is under way.
SHIBUMI_EXPORT(vec_links_room) i32 export_vec_links_room(u32 nodes, u32 base, u32 upper) {
  return vector_space.ready() ? vector_space.make_graph_room(nodes, base, upper) : static_cast<i32>(kInvalid);
}

/// Takes the graph in those blocks for the space's own: what it does not know is pending.
SHIBUMI_EXPORT(vec_links_adopt) i32 export_vec_links_adopt() { return vector_space.adopt_graph(); }

/// 1 when no value is NaN or infinite, 0 when one is.
SHIBUMI_EXPORT(vec_all_finite) i32 export_vec_all_finite(Addr values, u32 count) {
  if (!in_memory(values, static_cast<u64>(count) * 4)) return kInvalid;
  return all_finite(at<const f32>(values), count);
}
