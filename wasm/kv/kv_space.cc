// A key-value space over one tree: superblock, and the packed calls that carry many entries at once.
#include "kv_space.h"

#include "btree_page.h"

namespace shibumi {

namespace {

constexpr u32 padded(u32 bytes) { return (bytes + 3) & ~3u; }

/// Reads one packed entry; false when it does not lie within the bytes.
bool unpack(const u8* bytes, u32 room, PackedEntry& entry, Bytes& key, Bytes& value, u32& size) {
  if (room < sizeof(PackedEntry)) return false;
  entry = load<PackedEntry>(bytes);
  if (entry.key_bytes > kKeyBytesMax || entry.value_bytes > kValueBytesMax) return false;
  size = static_cast<u32>(sizeof(PackedEntry)) + padded(entry.key_bytes + entry.value_bytes);
  if (size > room) return false;
  key = {bytes + sizeof(PackedEntry), entry.key_bytes};
  value = {key.data + key.length, entry.value_bytes};
  return true;
}

/// Writes one value's head and bytes. False when it does not fit any more, or cannot be read (`status`).
bool add_column(const Btree& tree, const ValueView& value, u64 now, u32& head, u8* out, u32 out_bytes, u32& used,
                Status& status) {
  u32 front = 0;
  if ((value.flags & kValueHasDeadline) != 0) {
    u64 deadline = 0;
    front = sizeof deadline;
    status = value.length < front ? kCorrupt : tree.read_value(value, 0, reinterpret_cast<u8*>(&deadline), front);
    if (status != kOk) return false;
    if (deadline <= now) {
      head = kColumnMissing;
      return true;
    }
  }
  const u32 length = value.length - front;
  if (length > out_bytes || (value.flags & kValueIsLarge) != 0) {
    head = kColumnApart | value.length;
    return true;
  }
  if (length > out_bytes - used) return false;
  if (value.data != nullptr) {
    copy_run(out + used, value.data + front, length);
  } else if (length > 0) {
    status = tree.read_value(value, front, out + used, length);
    if (status != kOk) return false;
  }
  head = ((value.flags & kValueIsBytes) != 0 ? kColumnBytes : kColumnText) | length;
  used += length;
  return true;
}

/// Names the blocks that packed keys come to and that are absent, as many as one call may.
void name_missed(const Btree& tree, const u8* keys, u32 keys_bytes) {
  if (!block_missed(fault_segment(), fault_index())) return;
  for (u32 at = 0; keys_bytes - at >= 4;) {
    const u32 length = load<u32>(keys + at);
    if (length > kKeyBytesMax || 4 + padded(length) > keys_bytes - at) return;
    ValueView value;
    if (tree.get({keys + at + 4, length}, value) == kAbsent && !block_missed(fault_segment(), fault_index())) return;
    at += 4 + padded(length);
  }
}

Status start_scan(TreeCursor& cursor, const KvRange& range) {
  if (!range.reverse) return cursor.seek(range.start, range.after);
  return range.has_end ? cursor.seek_before(range.end) : cursor.last();
}

bool in_range(const KvRange& range, Bytes key) {
  if (!range.reverse) return !range.has_end || compare_keys(key, range.end) < 0;
  const i32 order = compare_keys(key, range.start);
  return range.after ? order > 0 : order >= 0;
}

}  // namespace

Status KvSpace::create() {
  ready_ = false;
  hints_.reset();
  segment_define(kKvMeta, kPrimary, false);
  segment_define(kKvTree, kPrimary, true);
  segment_define(kKvDeadlines, kPrimary, true);
  if (segments[kKvMeta].block_count + segments[kKvTree].block_count + segments[kKvDeadlines].block_count != 0) return kInvalid;
  // All blocks at once, so that a failure leaves the arena empty.
  Status status = reserve(3, 0);
  if (status == kOk) status = tree_.create();
  if (status == kOk) status = deadlines_.create();
  if (status != kOk) return status;
  block_append(kKvMeta);
  KvSuperblock superblock{};
  superblock.magic = kKvMagic;
  superblock.version = kKvVersion;
  __builtin_memcpy(block_write(kKvMeta, 0), &superblock, sizeof superblock);
  ready_ = true;
  return kOk;
}

Status KvSpace::open(bool deep) {
  ready_ = false;
  hints_.reset();
  segment_define(kKvMeta, kPrimary, false);
  segment_define(kKvTree, kPrimary, true);
  segment_define(kKvDeadlines, kPrimary, true);
  if (segments[kKvMeta].block_count != 1) return kCorrupt;
  const u8* block = block_read(kKvMeta, 0);
  if (block == nullptr) return kAbsent;
  const KvSuperblock superblock = load<KvSuperblock>(block);
  if (superblock.magic != kKvMagic || superblock.version != kKvVersion) return kCorrupt;
  for (const u32 reserved : superblock.reserved) {
    if (reserved != 0) return kCorrupt;
  }
  Status status = tree_.open(deep);
  if (status == kOk) status = deadlines_.open(deep);
  ready_ = status == kOk;
  return status;
}

namespace {

constexpr u32 kDeadlineBytes = 8;

struct DeadlineKey {
  u8 bytes[16];
  Bytes view() const { return {bytes, sizeof bytes}; }
};

DeadlineKey deadline_key(u64 deadline, Bytes key) {
  DeadlineKey result;
  const u64 parts[2] = {__builtin_bswap64(deadline), __builtin_bswap64(checksum64(key.data, key.length))};
  __builtin_memcpy(result.bytes, parts, sizeof result.bytes);
  return result;
}

}  // namespace

/// 0 when there is no such key or it has no deadline.
Status KvSpace::deadline_of(Bytes key, u64& deadline) const {
  deadline = 0;
  ValueView value;
  const Status found = tree_.get(key, value);
  if (found == kNotFound) return kOk;
  if (found != kOk || (value.flags & kValueHasDeadline) == 0) return found;
  if (value.length < kDeadlineBytes) return kCorrupt;
  return tree_.read_value(value, 0, reinterpret_cast<u8*>(&deadline), kDeadlineBytes);
}

/// The lines are planned only to see that their pages are there: what is found absent after the first change would be
/// half a change.
Status KvSpace::plan_put(Bytes key, Bytes value, u8 flags, u64& former, TreePlan& plan) const {
  const bool has_deadline = (flags & kValueHasDeadline) != 0;
  if (has_deadline && value.length < kDeadlineBytes) return kInvalid;
  former = 0;
  // Without a deadline anywhere, which is usual, there is nothing to look up.
  Status status = deadlines_.count() > 0 ? deadline_of(key, former) : kOk;
  if (status == kOk) status = tree_.plan_put(key, value.length, plan);
  if (status != kOk) return status;
  TreePlan line;
  if (former != 0) status = deadlines_.plan_remove(deadline_key(former, key).view(), line);
  if (status != kOk && status != kNotFound) return status;
  return has_deadline ? deadlines_.plan_put(deadline_key(load<u64>(value.data), key).view(), key.length, line) : kOk;
}

Status KvSpace::plan_remove(Bytes key, u64& former, TreePlan& plan) const {
  former = 0;
  Status status = deadlines_.count() > 0 ? deadline_of(key, former) : kOk;
  if (status == kOk) status = tree_.plan_remove(key, plan);
  if (status != kOk || former == 0) return status;
  TreePlan line;
  status = deadlines_.plan_remove(deadline_key(former, key).view(), line);
  return status == kNotFound ? kOk : status;
}

Status KvSpace::ready_for(Bytes key, Bytes value, u8 flags) const {
  u64 former;
  TreePlan plan;
  return plan_put(key, value, flags, former, plan);
}

Status KvSpace::ready_for_removal(Bytes key) const {
  u64 former;
  TreePlan plan;
  const Status status = plan_remove(key, former, plan);
  return status == kNotFound ? kOk : status;
}

Status KvSpace::put(Bytes key, Bytes value, u8 flags, bool& existed) {
  const bool has_deadline = (flags & kValueHasDeadline) != 0;
  // Most puts replace a value by one like it, with no deadline anywhere.
  if (!has_deadline && deadlines_.count() == 0 && tree_.put_by_hint(key, value, flags)) {
    existed = true;
    return kOk;
  }
  u64 former;
  TreePlan plan;
  Status status = plan_put(key, value, flags, former, plan);
  if (status != kOk) return status;
  const bool lined = former != 0 || has_deadline;
  const TreeNeed lines = lined ? deadlines_.bound(2, sizeof(DeadlineKey), key.length) : TreeNeed{};
  status = reserve(plan.need.new_blocks + lines.new_blocks, plan.need.touched_blocks + lines.touched_blocks);
  if (status != kOk) return status;
  existed = plan.found;
  tree_.apply_put(plan, key, value, flags);
  bool unused = false;
  if (former != 0) remove_line(former, key);
  if (has_deadline) check(deadlines_.put(deadline_key(load<u64>(value.data), key).view(), key, 0, unused) == kOk);
  return kOk;
}

Status KvSpace::remove(Bytes key) {
  u64 former;
  TreePlan plan;
  Status status = plan_remove(key, former, plan);
  if (status != kOk) return status;
  const TreeNeed lines = former == 0 ? TreeNeed{} : deadlines_.bound(1, sizeof(DeadlineKey), key.length);
  status = reserve(plan.need.new_blocks + lines.new_blocks, plan.need.touched_blocks + lines.touched_blocks);
  if (status != kOk) return status;
  tree_.apply_remove(plan);
  if (former != 0) remove_line(former, key);
  return kOk;
}

void KvSpace::remove_line(u64 deadline, Bytes key) {
  const Status status = deadlines_.remove(deadline_key(deadline, key).view());
  check(status == kOk || status == kNotFound);
}

u32 KvSpace::sweep(u64 now, u32 most, Status& status) {
  static u8 key_buffer[kKeyBytesMax];
  u32 removed = 0;
  status = kOk;
  while (removed < most) {
    TreeCursor cursor(deadlines_);
    status = cursor.first();
    if (status != kOk) break;
    DeadlineKey due;
    __builtin_memcpy(due.bytes, cursor.key().data, sizeof due.bytes);
    const u64 deadline = __builtin_bswap64(load<u64>(due.bytes));
    if (deadline > now) break;
    const ValueView line = cursor.value();
    const Bytes key{key_buffer, line.length};
    if (line.length > kKeyBytesMax) status = kCorrupt;
    if (status == kOk) status = deadlines_.read_value(line, 0, key_buffer, line.length);
    u64 current = 0;
    if (status == kOk) status = deadline_of(key, current);
    if (status != kOk) break;
    // Two keys with one deadline and one hash share a line; the one it no longer names stays until it is read.
    const bool named = current == deadline;
    status = named ? remove(key) : deadlines_.remove(due.view());
    if (status != kOk) break;
    removed += named;
  }
  if (status == kNotFound || removed > 0) status = kOk;
  return removed;
}

Status KvSpace::due(u64 now, u8* key, u32& key_bytes) const {
  TreeCursor cursor(deadlines_);
  if (deadlines_.count() == 0) return kNotFound;
  const Status status = cursor.first();
  if (status != kOk) return status;
  if (__builtin_bswap64(load<u64>(cursor.key().data)) > now) return kNotFound;
  const ValueView line = cursor.value();
  if (line.length > kKeyBytesMax) return kCorrupt;
  key_bytes = line.length;
  return deadlines_.read_value(line, 0, key, line.length);
}

Status KvSpace::next_deadline(u64& deadline) const {
  TreeCursor cursor(deadlines_);
  deadline = 0;
  if (deadlines_.count() == 0) return kOk;
  const Status status = cursor.first();
  if (status == kOk) deadline = __builtin_bswap64(load<u64>(cursor.key().data));
  return status == kNotFound ? kOk : status;
}

u32 KvSpace::scan(const KvRange& range, u64 now, const ScanColumns& out, ScanResult& result, Status& status) {
  TreeCursor cursor(tree_);
  Bytes last;
  u32 count = 0;
  bool full = out.limit == 0;
  result = {};
  status = full ? kOk : start_scan(cursor, range);
  while (status == kOk && !full) {
    const Bytes key = cursor.key();
    if (!in_range(range, key)) {
      status = kNotFound;
      break;
    }
    // Besides the keys there has to be room for the last one once more.
    if (key.length + kKeyBytesMax > out.keys_room - result.key_bytes) break;
    const ValueView value = cursor.value();
    u32 head = 0;
    if (!add_column(tree_, value, now, head, out.values, out.values_room, result.value_bytes, status)) break;
    if (head != kColumnMissing) {
      const bool apart = head >= kColumnApart;
      const bool too_long = apart && (value.flags & kValueIsLarge) == 0;
      if (too_long && count > 0) break;
      if (apart) result.flags |= kScanApart;
      out.heads[count] = kColumnText | key.length;
      out.heads[out.limit + count] = head;
      copy_run(out.keys + result.key_bytes, key.data, key.length);
      result.key_bytes += key.length;
      full = ++count == out.limit || too_long;
    }
    last = key;
    status = range.reverse ? cursor.previous() : cursor.next();
  }
  copy_run(out.keys + result.key_bytes, last.data, last.length);
  result.last_key_bytes = last.length;
  if (status == kNotFound) result.flags |= kScanEnded;
  // What stopped it after the first entry will be met again, and told, by the next call.
  if (status == kNotFound || last.data != nullptr) status = kOk;
  return count;
}

u32 KvSpace::get_columns(const u8* keys, u32 keys_bytes, u32 count, u64 now, u32* heads, u8* out, u32 out_bytes,
                         u32& used, Status& status) {
  Bytes group[Btree::kGroupMax];
  ValueView values[Btree::kGroupMax];
  Status statuses[Btree::kGroupMax];
  u32 done = 0, at = 0;
  used = 0;
  status = kOk;
  while (done < count) {
    u32 size = 0;
    for (; size < min_of(count - done, Btree::kGroupMax); size++) {
      const u32 room = keys_bytes - at;
      const u32 length = room < 4 ? 0 : load<u32>(keys + at);
      if (room < 4 || length > kKeyBytesMax || 4 + padded(length) > room) break;
      group[size] = {keys + at + 4, length};
      at += 4 + padded(length);
    }
    if (size == 0) {
      // What was answered before it counts; the next call begins with it.
      if (done == 0) status = kInvalid;
      break;
    }
    tree_.get_group(group, size, values, statuses);
    for (u32 i = 0; i < size; i++) {
      status = statuses[i] == kNotFound ? kOk : statuses[i];
      const bool whole = statuses[i] == kNotFound ||
                         (status == kOk && add_column(tree_, values[i], now, heads[done], out, out_bytes, used, status));
      if (!whole || status != kOk) {
        if (done > 0) status = kOk;
        // What this one needs is named with what the others need, so that all of it is fetched at once.
        if (status == kAbsent) name_missed(tree_, keys, keys_bytes);
        return done;
      }
      if (statuses[i] == kNotFound) heads[done] = kColumnMissing;
      done++;
    }
  }
  return done;
}

u32 KvSpace::apply_packed(const u8* entries, u32 bytes, u32 count, u32& consumed, Status& status) {
  status = kOk;
  consumed = 0;
  for (u32 done = 0; done < count; done++) {
    PackedEntry entry;
    Bytes key, value;
    u32 size = 0;
    if (!unpack(entries + consumed, bytes - consumed, entry, key, value, size)) {
      status = kInvalid;
      return done;
    }
    if (entry.flags == kPackedRemove) {
      status = remove(key);
      if (status == kNotFound) status = kOk;
    } else if ((entry.flags & ~kValueFlagsKnown) == 0) {
      bool existed = false;
      status = put(key, value, static_cast<u8>(entry.flags), existed);
    } else {
      status = kInvalid;
    }
    if (status != kOk) return done;
    consumed += size;
  }
  return count;
}

}  // namespace shibumi
