// The border of the core for key-value spaces. Ranges are checked here, before anything is read through an address.
//
// Answers are a Status, or a count, which is negative where a Status failed. Neither keys nor values may be given from
// inside the arena.
#include "core/border.h"
#include "kv/btree_pages.h"
#include "kv/kv_space.h"

using namespace shibumi;

namespace {

/// A scan must have room for the longest key twice, else a call could never make progress.
constexpr u32 kScanKeysMin = 2 * kKeyBytesMax;

KvSpace kv_space;

bool good_key(Addr key, u32 key_len) { return kv_space.ready() && key_len <= kKeyBytesMax && in_memory(key, key_len); }
Bytes bytes_at(Addr address, u32 length) { return {at<const u8>(address), length}; }

i32 kv_count_or(u32 count, Status status) {
  return status == kOk ? static_cast<i32>(count) : static_cast<i32>(status);
}

}  // namespace

/// Requires: arena_init.
SHIBUMI_EXPORT(kv_create) i32 export_kv_create() { return kv_space.create(); }

/// After the host adopted the blocks. `deep` = 1 checks every page; all blocks must be present for it.
SHIBUMI_EXPORT(kv_open) i32 export_kv_open(u32 deep) { return kv_space.open(deep != 0); }

SHIBUMI_EXPORT(kv_count) u32 export_kv_count() { return kv_space.ready() ? kv_space.tree().count() : 0; }

/// Pages of the trees, and how many of them are free, as u32[2] at `out`.
SHIBUMI_EXPORT(kv_pages) void export_kv_pages(Addr out) {
  if (!kv_space.ready() || !in_memory(out, 8)) return;
  u32* facts = at<u32>(out);
  facts[0] = facts[1] = 0;
  const SegmentId trees[] = {kv_space.tree().segment(), kv_space.deadlines().segment()};
  for (const SegmentId tree : trees) {
    const TreeHeader* header = read_header(tree);
    if (header == nullptr) continue;
    facts[0] += header->blocks * kPagesPerBlock;
    facts[1] += header->free_pages;
  }
}

/// Bytes of all keys and values.
SHIBUMI_EXPORT(kv_bytes) f64 export_kv_bytes() {
  return kv_space.ready() ? static_cast<f64>(kv_space.tree().payload_bytes()) : 0;
}

/// Frames (new and shadow) that a put or delete of these lengths may need: for arena_hold.
SHIBUMI_EXPORT(kv_plan) u32 export_kv_plan(u32 key_len, u32 value_len) {
  if (!kv_space.ready() || key_len > kKeyBytesMax || value_len > kValueBytesMax) return 0;
  const TreeNeed need = kv_space.tree().bound(1, key_len, value_len);
  return need.new_blocks + need.touched_blocks;
}

/// The same for `count` puts and deletes together, whose keys and values have `bytes` bytes together: far less than the
/// sum of theirs, because they share pages.
/// `deadlines`: some of the puts have one.
SHIBUMI_EXPORT(kv_plan_many) u32 export_kv_plan_many(u32 count, f64 bytes, u32 deadlines) {
  if (!kv_space.ready() || !(bytes >= 0 && bytes < 4294967296.0)) return 0;
  // Of blocks that are touched only those need a frame that a checkpoint is copying, or would.
  const auto frames_of = [](const Btree& tree, const TreeNeed& need) {
    return need.new_blocks + min_of(need.touched_blocks, unsaved_blocks(tree.segment()));
  };
  const u32 frames = frames_of(kv_space.tree(), kv_space.tree().bound_total(count, static_cast<u64>(bytes)));
  if (!deadlines && kv_space.deadlines().count() == 0) return frames;
  // A line goes and a line comes for each put, as large as its key.
  const TreeNeed lines = kv_space.deadlines().bound_total(2 * count, static_cast<u64>(bytes) + 16ull * count);
  return frames + frames_of(kv_space.deadlines(), lines);
}

/// 0 = replaced, 1 = new, kAbsent, or a negative Status. `flags`: ValueFlag.
SHIBUMI_EXPORT(kv_put) i32 export_kv_put(Addr key, u32 key_len, Addr value, u32 value_len, u32 flags) {
  const bool good = good_key(key, key_len) && value_len <= kValueBytesMax &&
                    (value_len == 0 || in_memory(value, value_len)) && (flags & ~kValueFlagsKnown) == 0;
  if (!good) return kInvalid;
  bool existed = false;
  const Status status =
      kv_space.put(bytes_at(key, key_len), bytes_at(value, value_len), static_cast<u8>(flags), existed);
  return status == kOk ? !existed : static_cast<i32>(status);
}

/// Status. `out_meta`: u32[4], value address, value length, flags, 0. The address is 0 when the value is in pages of its
/// own: then kv_read copies it. An address is good until the next call.
SHIBUMI_EXPORT(kv_get) i32 export_kv_get(Addr key, u32 key_len, Addr out_meta) {
  if (!good_key(key, key_len) || !in_memory(out_meta, 16)) return kInvalid;
  ValueView value;
  const Status status = kv_space.tree().get(bytes_at(key, key_len), value);
  if (status != kOk) return status;
  const u32 meta[4] = {value.data == nullptr ? 0 : addr_of(value.data), value.length, value.flags, 0};
  __builtin_memcpy(at<u8>(out_meta), meta, sizeof meta);
  return kOk;
}

/// Copies `bytes` bytes of a value from `offset` on. Status; kInvalid when they pass the value's end.
SHIBUMI_EXPORT(kv_read) i32 export_kv_read(Addr key, u32 key_len, u32 offset, Addr out, u32 bytes) {
  if (!good_key(key, key_len) || !in_memory(out, bytes)) return kInvalid;
  ValueView value;
  const Status status = kv_space.tree().get(bytes_at(key, key_len), value);
  return status == kOk ? kv_space.tree().read_value(value, offset, at<u8>(out), bytes) : status;
}

/// kOk, kNotFound, kAbsent, or a negative Status.
SHIBUMI_EXPORT(kv_delete) i32 export_kv_delete(Addr key, u32 key_len) {
  return good_key(key, key_len) ? kv_space.remove(bytes_at(key, key_len)) : kInvalid;
}

/// Removes at most `most` entries whose deadline (milliseconds since 1970) has come. Their number, or as kv_scan.
SHIBUMI_EXPORT(kv_sweep) i32 export_kv_sweep(f64 now, u32 most) {
  if (!kv_space.ready() || !(now >= 0 && now < 18446744073709551615.0)) return kInvalid;
  Status status = kOk;
  const u32 removed = kv_space.sweep(static_cast<u64>(now), most, status);
  return kv_count_or(removed, status);
}

/// The key that kv_sweep would look at first, if it is due, to `out`, which has room for the longest. Its length; 0 when
/// nothing is due; or as kv_scan.
SHIBUMI_EXPORT(kv_due) i32 export_kv_due(f64 now, Addr out) {
  const bool good = kv_space.ready() && in_memory(out, kKeyBytesMax) && now >= 0 && now < 18446744073709551615.0;
  if (!good) return kInvalid;
  u32 length = 0;
  const Status status = kv_space.due(static_cast<u64>(now), at<u8>(out), length);
  return status == kNotFound ? 0 : kv_count_or(length, status);
}

/// The earliest deadline, 0 when no entry has one, -1 when it is not in memory (then blocks_missed says where it is).
SHIBUMI_EXPORT(kv_next_deadline) f64 export_kv_next_deadline() {
  u64 deadline = 0;
  if (!kv_space.ready()) return 0;
  return kv_space.next_deadline(deadline) == kOk ? static_cast<f64>(deadline) : -1;
}

/// Whether all that a put would touch is in memory: Status.
SHIBUMI_EXPORT(kv_ready) i32 export_kv_ready(Addr key, u32 key_len, Addr value, u32 value_len, u32 flags) {
  if (!good_key(key, key_len) || value_len > kValueBytesMax || (value_len > 0 && !in_memory(value, value_len))) return kInvalid;
  return kv_space.ready_for(bytes_at(key, key_len), bytes_at(value, value_len), static_cast<u8>(flags));
}

/// The same of a delete.
SHIBUMI_EXPORT(kv_ready_delete) i32 export_kv_ready_delete(Addr key, u32 key_len) {
  return good_key(key, key_len) ? kv_space.ready_for_removal(bytes_at(key, key_len)) : kInvalid;
}

/// Reads entries with start <= key < end (start < key if `after`) that have not expired by `now` (milliseconds since 1970),
/// at most `limit`: upwards or, if `reverse`, downwards from the end. An empty start is the first key; without `has_end`
/// there is no upper end. `out`: ScanResult, then u32[limit] heads of keys (kColumnText | length) and u32[limit] of values
/// (ColumnKind | length), then `keys_room` bytes of keys, one after another, and `values_room` bytes of values. Returns the
/// number of entries; fewer than `limit` only says that a column is full, a block absent, or the range at its end.
SHIBUMI_EXPORT(kv_scan) i32 export_kv_scan(Addr start, u32 start_len, u32 after, Addr end, u32 end_len, u32 has_end,
                                           u32 reverse, u32 limit, f64 now, Addr out, u32 keys_room, u32 values_room) {
  const u64 keys = sizeof(ScanResult) + 8ull * limit;
  const u64 bytes = keys + keys_room + values_room;
  const bool good = kv_space.ready() && (start_len == 0 || good_key(start, start_len)) &&
                    (!has_end || end_len == 0 || good_key(end, end_len)) && keys_room >= kScanKeysMin &&
                    bytes <= 0xFFFFFFFF && in_memory(out, static_cast<u32>(bytes)) && out % 4 == 0 && now >= 0 &&
                    now < 18446744073709551615.0;
  if (!good) return kInvalid;
  const KvRange range{bytes_at(start, start_len), after != 0, bytes_at(end, end_len), has_end != 0, reverse != 0};
  const Addr keys_at = out + static_cast<u32>(keys);
  const ScanColumns columns{at<u32>(out + sizeof(ScanResult)), limit, at<u8>(keys_at), keys_room, at<u8>(keys_at + keys_room), values_room};
  Status status = kOk;
  const u32 count = kv_space.scan(range, static_cast<u64>(now), columns, *at<ScanResult>(out), status);
  return kv_count_or(count, status);
}

/// Looks up `count` packed keys (u32 length, bytes, padding to 4) in their order, as of `now` (milliseconds since 1970).
/// `heads`: u32[count] (ColumnKind | length); `out`: the values one after another; `out_used`: u32, their bytes. Returns
/// how many were answered: fewer when the buffer is full or a block absent.
SHIBUMI_EXPORT(kv_get_columns) i32 export_kv_get_columns(Addr keys, u32 keys_bytes, u32 count, f64 now, Addr heads, Addr out,
                                                         u32 out_bytes, Addr out_used) {
  const bool good = kv_space.ready() && in_memory(keys, keys_bytes) && count <= keys_bytes / 4 && in_memory(heads, count * 4) &&
                    in_memory(out, out_bytes) && in_memory(out_used, 4) && now >= 0 && now < 18446744073709551615.0;
  if (!good) return kInvalid;
  Status status = kOk;
  u32 used = 0;
  const u32 done = kv_space.get_columns(at<const u8>(keys), keys_bytes, count, static_cast<u64>(now), at<u32>(heads),
                                        at<u8>(out), out_bytes, used, status);
  __builtin_memcpy(at<u8>(out_used), &used, sizeof used);
  return kv_count_or(done, status);
}

/// Applies `count` packed entries in their order: puts, or removals (flags = kPackedRemove). Returns how many were
/// applied; `out`: u32[2], the Status that stopped it (kOk if none) and the bytes consumed. After kAbsent adopt the block
/// and go on from there.
SHIBUMI_EXPORT(kv_apply_batch) i32 export_kv_apply_batch(Addr entries, u32 bytes, u32 count, Addr out) {
  if (!kv_space.ready() || !in_memory(entries, bytes) || !in_memory(out, 8)) return kInvalid;
  Status status = kOk;
  u32 consumed = 0;
  const u32 done = kv_space.apply_packed(at<const u8>(entries), bytes, count, consumed, status);
  const u32 result[2] = {static_cast<u32>(status), consumed};
  __builtin_memcpy(at<u8>(out), result, sizeof result);
  return static_cast<i32>(done);
}
