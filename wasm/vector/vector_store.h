// One vector space: ids, originals and an index, kept in the arena of this instance.
//
// Invariants
//  * The id tree maps every live slot's id to that slot and nothing else; live_count is its size.
//  * A slot's vector changes only while the slot is not live. Replacing a vector takes a new slot and frees the old one.
//  * A mutation makes sure of all it needs, memory included, before it writes: it happens whole or not at all.
//  * Searches allocate only when k or ef is larger than ever before.
//
// Distances are in kernel scale: smaller is nearer, the inner product negated. Hits come by (distance, id).
//
// Concurrency: none; one instance is used by one thread.
#pragma once

#include "../index/batch_scan.h"
#include "../index/hnsw.h"
#include "../index/ivf.h"
#include "../kv/btree.h"
#include "../metadata/filter.h"
#include "../metadata/metadata_store.h"
#include "progress.h"
#include "rows.h"
#include "slots.h"

namespace shibumi {

/// What a space is made as; the host writes it field by field (src/kernel/vector-config.ts).
struct VectorConfig {
  u32 dimension;  // 1..kDimensionMax, for bits 1..kBitsMax
  u32 metric;     // Metric
  f32 power;      // Lp: p, above 0 and at most kPowerMax; other metrics: 0
  u32 id_kind;    // IdKind
  u32 index;      // IndexKind
  u32 M;                // HNSW: kMMin..kMMax; Flat: ignored
  u32 ef_construction;  // HNSW: 1..kEfConstructionMax; Flat: ignored
  u32 codes;            // CodeKind; of metrics beside L2, inner product and cosine there are none, nor IVF
  u32 list_count;       // IVF: 1..kListCountMax; other kinds with PQ: 1; else 0
  u32 subspaces;        // PQ: m, 1..kSubspacesMax and at most the dimension; else 0
  u64 seed;
};
static_assert(sizeof(VectorConfig) == 48 && offsetof(VectorConfig, index) == 16 && offsetof(VectorConfig, seed) == 40);

/// How hard a search tries.
struct SearchEffort {
  u32 ef;          // HNSW: candidates looked at, at least k
  u32 rerank;      // codes: so many of the nearest, at least k, are measured again with the originals; 0: none is
  u32 nprobe = 1;  // IVF: lists looked through, at least 1
};

/// Where a page of a range search begins.
struct RangeStart {
  f32 distance;
  Bytes id;  // a tree key
};

/// The ids of a batch, of the space's kind.
struct IdBatch {
  const i64* ints = nullptr;
  const u32* string_ends = nullptr;  // cumulative: string i is string_bytes[ends[i - 1] .. ends[i])
  const u8* string_bytes = nullptr;

  /// Id i as its tree key; `storage` holds an int's 8 bytes.
  Bytes key(u32 i, u8* storage) const;
};

/// What mutations write of metadata.
struct MetadataPlan {
  u32 updates = 0;  // of vectors that are there
  u32 values = 0;   // indexed values of all records and patches
  u32 bytes = 0;    // of those
};

class VectorStore {
 public:
  /// Makes an empty space in an empty arena. kOk, kInvalid, kOtherCore or kOutOfMemory.
  Status create(const VectorConfig& config);
  /// Takes over an arena whose blocks were adopted; those of the originals may be absent. `deep` checks every reference, so
  /// that an image from anywhere may be used after kOk. kOk, kCorrupt, kOtherCore, kOutOfMemory, or kAbsent: to be called again.
  Status open(bool deep);
  /// Gives the space the index of `config`, which is otherwise as the space was made. Everything is pending then, and the
  /// blocks of the former index are gone (SQ8 codes stay where the new one has them too: they depend on nothing but the
  /// vector): the next checkpoint has to store derived blocks too. `changed`: whether it was
  /// another one, or made `anew`. kOk, kInvalid (another space, or a checkpoint is under way), kOtherCore, kAbsent or kOutOfMemory, after which the
  /// space is to be given an index that fits before it is used.
  Status reindex(const VectorConfig& config, bool anew, bool& changed);
  bool ready() const { return ready_; }

  /// Inserts `count` vectors of vector_bytes each or replaces those whose ids are there; of an id twice in one batch the
  /// last stays. What was known of a replaced vector's metadata is gone. kOk, kInvalid (a vector that Rows does not accept,
  /// an id too long, a record against the grammar or over kRecordBytesMax), kAbsent, kOutOfMemory or kFull.
  Status insert(const IdBatch& ids, const u8* vectors, u32 count, const MetadataBatch& metadata = {});
  /// Whether the blocks that inserting these ids now would write originals to are present: kOk or kAbsent. What is inserted
  /// or deleted before may ask for others.
  Status ready_for(const IdBatch& ids, u32 count) const;
  /// Whether the originals of some slots are present: kOk or kAbsent.
  Status originals_present(const u32* slots, u32 count) const { return rows_.all_present(slots, count); }
  /// kOk, kNotFound or kOutOfMemory.
  Status remove(Bytes key);
  /// Copies a vector out, bit for bit as it was put. kOk, kNotFound or kAbsent.
  Status get(Bytes key, u8* out) const;

  /// Applies a patch to a vector's metadata, or puts it in its place. kOk, kNotFound, kInvalid (against the grammar),
  /// kFull (the record would pass kRecordBytesMax; nothing changed) or kOutOfMemory.
  Status update_metadata(Bytes key, Bytes patch, bool replace);
  /// The slot an id has. kOk, kNotFound or kAbsent.
  Status find(Bytes key, u32& slot) const;
  /// A live slot's metadata record; empty when it has none. Good until the next call.
  Bytes metadata(u32 slot) { return metadata_.read(slot); }
  /// Evaluates a filter (metadata/filter.h). kOk, kInvalid or kOutOfMemory.
  Status filter(Bytes program, Allowed& out) {
    return filters_.evaluate(program, metadata_.postings(), slots_, slot_count(), version_, out);
  }

  /// Frames an insert of `count` vectors and what is said of metadata may need at most in the space as it is, a checkpoint
  /// that begins before it is applied included.
  u32 plan(u32 count, u32 id_bytes, const MetadataPlan& metadata = {}) const;
  /// The same of `count` removals.
  u32 plan_removals(u32 count) const;

  /// The k nearest of those allowed; HNSW looks at max(ef, k) candidates. `found` hits, fewer than k only when fewer are
  /// live and allowed, however few those are among all.
  /// The hits lie in memory of the store and are good until its next call. kOk, kOutOfMemory, or kAbsent: `found` hits so far;
  /// the call goes on when it is repeated with the `progress` it has left and those hits.
  Status search(const u8* query, u32 k, SearchEffort effort, const Hit*& hits, u32& found, const Allowed& allowed,
                SearchProgress& progress);
  Status search(const u8* query, u32 k, SearchEffort effort, const Hit*& hits, u32& found, const Allowed& allowed = {}) {
    SearchProgress progress;
    return search(query, k, effort, hits, found, allowed, progress);
  }
  /// The same for `count` queries, kBatchMost at most, one after another: `found` hits for each, in one pass over the
  /// originals that they share. kNotFound where searching for each alone is quicker, or originals are absent.
  Status search_batch(const u8* queries, u32 count, u32 k, SearchEffort effort, const Hit*& hits, u32& found,
                      const Allowed& allowed = {});
  /// The nearest of all allowed that are nearer than `radius`, `limit` at most; always exact. With `after` only those behind
  /// that distance and id. Of absent originals as `search`.
  Status range(const u8* query, f32 radius, u32 limit, const Hit*& hits, u32& found, const Allowed& allowed,
               const RangeStart* after, SearchProgress& progress);
  Status range(const u8* query, f32 radius, u32 limit, const Hit*& hits, u32& found, const Allowed& allowed = {},
               const RangeStart* after = nullptr) {
    SearchProgress progress;
    return range(query, radius, limit, hits, found, allowed, after, progress);
  }
  /// Up to `limit` live slots in id order, of those allowed, after the id `after` if there is one. Returns how many.
  u32 scan(const Bytes* after, u32 limit, u32* out, const Allowed& allowed = {}) const;

  /// Works on the index in up to `most` steps of at most about a millisecond: a slice of training, a slot into its list, a slot
  /// linked. kOk, kAbsent or kOutOfMemory.
  Status link(u32 most);

  /// Vectors without a node that wait for one, when nothing else has to be done for the index first.
  u32 links_wanted() const;
  /// Clears the graph and appends so many blocks for another one. kOk, kInvalid (no graph, a checkpoint is under way) or
  /// kOutOfMemory; nothing changed then.
  Status make_graph_room(u32 nodes, u32 base, u32 upper);
  /// Opens the graph that was copied there. kOk or kOutOfMemory; kCorrupt when its sizes are wrong: then it starts anew.
  Status adopt_graph();

  /// Instead of `open`, where blocks of all segments may be missing that linking does not ask for: the space can then be linked
  /// by link_graph() and nothing else. `shared`: another thread has opened it before. kOk, kCorrupt or kOutOfMemory.
  Status open_for_links(SharedLinks* shared = nullptr);
  Hnsw& link_graph() { return graph_; }
  Status check_links() const { return graph_.check_nodes(meta_read().next_stamp); }

  /// Bytes of one vector or query outside.
  u32 vector_bytes() const { return rows_.vector_bytes; }
  IdKind id_kind() const { return slots_.id_kind; }
  u32 version() const { return static_cast<u32>(version_); }
  u32 live_count() const { return meta_read().live_count; }
  u32 slot_count() const { return meta_read().slot_count; }
  /// Work the index still has to do, at most one item a live vector.
  u32 pending() const;
  /// Whether the index has been trained, where it has to be, on how many vectors, and how many that takes.
  bool trained() const { return !ivf_.any() || ivf_.trained(); }
  u32 trained_on() const { return ivf_.any() ? ivf_.trained_on() : 0; }
  u32 points_needed() const { return ivf_.any() ? ivf_.points_needed() : 0; }
  /// What is left of training, 0..1.
  f64 training_left() const { return ivf_.any() ? ivf_.training_left(live_count()) : 0; }
  bool live(u32 slot) const { return slot < slot_count() && slots_.live(slot); }
  const SlotRecord& slot(u32 slot) const { return slots_.record(slot); }
  const f32* row_or_fault(u32 slot) const { return rows_.row_or_fault(slot); }

 private:
  static const VectorSuperblock& meta_read();
  static VectorSuperblock& meta();

  void define(const VectorSuperblock& super);
  void define_index(const VectorSuperblock& super);
  static void set_index(VectorSuperblock& super, const VectorConfig& config);
  Status open_rest(bool deep);
  Status open_index(bool deep);
  bool needs_originals() const { return ivf_.any() || !codes_.written_at_insert(); }
  Status reserve_insert(const IdBatch& ids, u32 count, const MetadataBatch& metadata);
  void insert_one(Bytes key, const u8* vector, Bytes record);
  u32 take_slot(VectorSuperblock& super);
  void free_slot(VectorSuperblock& super, u32 slot);
  u64 append_string(VectorSuperblock& super, Bytes id);
  bool ensure_hits(u64 hits);
  bool prepare_query(const u8* query, u32 hits, Probe& probe);
  void prepare_values(const u8* query, f32* prepared) const;
  bool exact_is_faster(SearchEffort effort, u32 wanted, u32 allowed) const;
  bool scan_is_faster(SearchEffort effort, u32 allowed) const;
  Status search_by_codes(const Probe& probe, SearchEffort effort, u32 matches, const Allowed& allowed, TopK& best,
                         SearchProgress& progress);
  Status search_index(const Probe& probe, SearchEffort effort, const Allowed& allowed, TopK& best);
  void scan_pending(const Probe& probe, const Allowed& allowed, TopK& best, bool by_codes);
  Status scan_unlinked(const Probe& probe, const Allowed& allowed, TopK& best, SearchProgress& progress);
  Status rerank(const Probe& probe, const Hit* candidates, u32 count, TopK& best, SearchProgress& progress);
  Status scan_exactly(const Probe& probe, const Allowed& allowed, TopK& best, SearchProgress& progress);

  // vector_check.cc
  static bool good_config(const VectorConfig& config);
  /// Whether this module serves such a space.
  static bool has(const VectorConfig& config) {
    return has_metric(config.metric) && has_index(config.index) && has_codes(config.codes);
  }
  static Status check_superblock();
  Status check_sizes() const;
  Status mark_live();
  Status check_ids() const;
  Status check_free_list() const;
  bool good_string(u64 reference) const;

  bool by_lists() const { return has_index(kIvf) && index_ == kIvf; }

  bool ready_ = false;
  bool opening_index_ = false;  // the rest of `open` waits for originals
  IndexKind index_ = kFlat;
  Rows rows_;
  Slots slots_;
  Codes codes_;
  Btree tree_{kIdTree};
  MetadataStore metadata_{kMetadata, kPostings};
  Filters filters_;
  u64 version_ = 1;  // changes with every mutation
  Hnsw graph_;
  InvertedFile ivf_;
  TransientBuffer query_buffer_;  // the queries at unit length, for cosine; in whole words, for bits
  TransientBuffer hit_buffer_;
  TransientBuffer candidate_buffer_;
  TransientBuffer order_buffer_;  // slots whose originals are to be measured, in their order
};

}  // namespace shibumi
