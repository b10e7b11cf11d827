// What a vector space stores: its segments and the layout of every record in them. Part of the file format.
//
//   segment      group    blocks hold
//   kMeta        primary  one block: VectorSuperblock
//   kVectors     primary  a record a slot: f32[dimension], for cosine then f32 inverse norm; for bits u8[dimension / 8
//                         rounded up], bit i in byte i / 8; zeros up to 16 B; droppable
//   kSlots       primary  SlotRecord a slot
//   kStringIds   primary  string ids: u32 length, bytes, zeros up to 4 B; appended, none crosses a block
//   kIdTree      primary  B+tree (kv/btree.h) from id to slot (u32), in id order
//   kMetadata    primary  B+tree from slot and part to a record of metadata (metadata/record.h, metadata_store.h)
//   kPostings    primary  B+tree from field and value to slots (metadata/postings.h)
//   kGraphMeta   derived  one block: GraphSuperblock
//   kGraphNodes  derived  GraphNode a slot
//   kGraphBase   derived  a list of 2M neighbours a slot: level 0
//   kGraphUpper  derived  a list of M neighbours a level above 0, a node's lists one after another
//   kCodeMeta    derived  one block: CodeSuperblock, for BQ then the centre, f32[dimension]
//   kCodes       derived  a record a slot, as its kind has it (codes/sq8.h, codes/bits.h, codes/pq.h)
//   kCodeStamps  derived  u32 a slot: the stamp of the vector that was coded
//   kQuantizerMeta  derived  one block: QuantizerSuperblock; there is none before training has ended
//   kCentroids   derived  the lists' centroids in groups of 16 (kernels/centroids.h): f32[dimension][16] a group
//   kCodebooks   derived  for each subspace 16 groups of codewords, each as long as one of the widest subspace
//   kListEntries derived  ListEntry a slot
//
// A neighbour is a u32: slot + 1, and 0 ends the list, so that a zeroed block is a block of empty lists.
// An id is its tree key: int64 as 8 bytes, most significant first, the sign bit flipped (byte order is then numeric
// order); a string as its bytes.
//
// Little-endian; reserved bytes are zero.
#pragma once

#include "../core/arena.h"
#include "../core/parts.h"

namespace shibumi {

enum VectorSegment : SegmentId {
  kMeta = 0,
  kVectors = 1,
  kSlots = 2,
  kStringIds = 3,
  kIdTree = 4,
  kMetadata = 5,
  kPostings = 6,
  kGraphMeta = 8,
  kGraphNodes = 9,
  kGraphBase = 10,
  kGraphUpper = 11,
  kCodeMeta = 12,
  kCodes = 13,
  kCodeStamps = 14,
  kQuantizerMeta = 16,
  kCentroids = 17,
  kCodebooks = 18,
  kListEntries = 19,
};

enum Metric : u32 {
  kL2sq = 0,
  kIp = 1,
  kCosine = 2,
  kL1 = 3,
  kLinf = 4,
  kLp = 5,
  kCanberra = 6,
  kBrayCurtis = 7,
  kJensenShannon = 8,
  kHamming = 9,
  kJaccard = 10,
  kMetricMost = kJaccard,
};
/// Whether vectors are packed bits; else f32s.
inline bool is_of_bits(u32 metric) { return kWhole && (metric == kHamming || metric == kJaccard); }
enum IndexKind : u32 { kFlat = 0, kHnsw = 1, kIvf = 2 };
enum CodeKind : u32 { kNoCodes = 0, kSq8 = 1, kBits = 2, kPq = 3 };
/// What a module has of them (core/parts.h).
constexpr bool has_metric(u32 metric) { return kWhole || metric <= kCosine; }
constexpr bool has_index(u32 index) { return kWhole || index != kIvf; }
constexpr bool has_codes(u32 codes) { return kWhole || codes == kNoCodes || codes == kSq8; }
enum IdKind : u32 { kIntIds = 0, kStringIdKind = 1 };

constexpr u32 kDimensionMax = 4096;
constexpr u32 kBitsMax = 65536;  // the dimension of bit vectors
constexpr f32 kPowerMax = 64;    // p of Lp
constexpr u32 kSlotsMax = 1u << 30;
constexpr u32 kMMin = 2, kMMax = 256;
constexpr u32 kEfConstructionMax = 4096;
constexpr u64 kVectorMagic = 0x4345565542494853;  // "SHIBUVEC"
constexpr u64 kGraphMagic = 0x4652475542494853;   // "SHIBUGRF"
constexpr u64 kCodeMagic = 0x444f435542494853;    // "SHIBUCOD"
constexpr u32 kVectorVersion = 1;
constexpr u32 kGraphVersion = 1;
constexpr u32 kCodeVersion = 1;
constexpr u64 kQuantizerMagic = 0x4e41555142494853;  // "SHIBQUAN"
constexpr u32 kQuantizerVersion = 1;
constexpr u32 kListCountMax = 16384;
constexpr u32 kSubspacesMax = 512;

struct VectorSuperblock {
  u64 magic;
  u32 version;
  u32 dimension;
  u32 metric;   // Metric
  u32 index;    // IndexKind
  u32 id_kind;  // IdKind
  u32 M;                // of HNSW; 0 for Flat
  u32 ef_construction;  // of HNSW; 0 for Flat
  u32 slot_count;       // slots ever used: live and free ones
  u32 live_count;
  u32 free_head;   // slot + 1 of the last freed slot, 0 = none
  u32 next_stamp;  // the stamp the next insert gives; stamps start at 1 and are never given twice
  f32 power;       // p of Lp; 0 for other metrics
  u64 seed;        // of the levels
  u64 string_end;  // where the next string id goes: block << kBlockShift | byte
  u32 codes;       // CodeKind
  u32 list_count;  // of IVF; 1 for other kinds with PQ, else 0
  u32 subspaces;   // of PQ, else 0
  u32 reserved;
};
static_assert(sizeof(VectorSuperblock) == 88 && offsetof(VectorSuperblock, slot_count) == 36 &&
              offsetof(VectorSuperblock, seed) == 56 && offsetof(VectorSuperblock, string_end) == 64);

/// A slot is live when its stamp is not 0. A free one keeps its vector and its place in the graph until it is used again.
struct SlotRecord {
  u64 id;     // live: the int64's bits, or where the string id is (block << kBlockShift | byte); free: next free slot + 1
  u32 stamp;  // 0 = free
  u32 reserved;
};
static_assert(sizeof(SlotRecord) == 16 && offsetof(SlotRecord, stamp) == 8);

struct CodeSuperblock {
  u64 magic;
  u32 version;
  u32 kind;        // CodeKind
  u32 slot_count;  // kCodes and kCodeStamps have records for slots below this
  u32 trained_on;  // vectors the centre of BQ was made from; 0 = none yet, the centre is zero
  u64 reserved;
};
static_assert(sizeof(CodeSuperblock) == 32);

struct GraphSuperblock {
  u64 magic;
  u32 version;
  u32 M;
  u64 seed;
  u32 node_count;   // kGraphNodes and kGraphBase have records for slots below this
  u32 linked;       // of those, nodes in the graph (live or not, copies too)
  u32 upper_count;  // lists in use in kGraphUpper
  u32 entry;        // slot + 1 of the entry point, 0 = the graph is empty
  u32 entry_level;
  u32 reserved;
};
static_assert(sizeof(GraphSuperblock) == 48 && offsetof(GraphSuperblock, node_count) == 24);

/// The level of a node is a function of the seed and the slot (index/hnsw.h).
struct GraphNode {
  u32 stamp;          // the slot's stamp when it was linked; 0 = not in the graph
  u32 upper;          // first of the slot's lists in kGraphUpper, + 1; 0 = it has none (yet)
  u32 next_copy;      // slot + 1 of the next copy of the same vector, 0 = none
  u32 previous_copy;  // slot + 1 of the one before, 0 = this node is no copy: it has neighbours of its own
};
static_assert(sizeof(GraphNode) == 16 && offsetof(GraphNode, previous_copy) == 12);

struct QuantizerSuperblock {
  u64 magic;
  u32 version;
  u32 list_count;
  u32 subspaces;   // of the product quantizer, 0 = none
  u32 trained_on;  // vectors
  u64 seed;
  u32 reserved;
  u32 reserved2;
};
static_assert(sizeof(QuantizerSuperblock) == 40);

/// Which posting list a slot is in. With PQ its code was made together with it.
struct ListEntry {
  u32 stamp;  // the slot's stamp when it was assigned; 0 = never
  u32 list;
};
static_assert(sizeof(ListEntry) == 8);

}  // namespace shibumi
