// A key-value space over one tree: superblock, and the packed calls that carry many entries at once.
#include "kv_space.h"

#include "btree_page.h"

namespace shibumi {

namespace {

constexpr u32 padded(u32 bytes) { return (bytes + 3) & ~3u; }

/// Writes entries one after another.
struct Packer {
  const Btree& tree;
  u8* out;
  u32 room;
  u32 used = 0;
  bool empty = true;

  enum Outcome { kPacked, kNoRoom, kNotRead };

  /// Packs one entry whole or not at all. What fits in no buffer of this size goes without its value, as the first only:
  /// then the caller can tell that asking again with an empty buffer would not help.
  Outcome add(Bytes key, const ValueView& value, u32 flags, Status& status) {
    const u32 bare = sizeof(PackedEntry) + padded(key.length);
    const u64 whole = sizeof(PackedEntry) + static_cast<u64>(padded(key.length + value.length));
    const bool left_out = empty && whole > room - used;
    if (left_out ? bare > room - used : whole > room - used) {
      if (empty) status = kInvalid;  // not even the key fits: the buffer is smaller than the border asks for
      return empty ? kNotRead : kNoRoom;
    }
    u8* to = out + used;
    store<PackedEntry>(to, {key.length, value.length, left_out ? flags | kPackedLeftOut : flags});
    to += sizeof(PackedEntry);
    copy_run(to, key.data, key.length);
    to += key.length;
    if (!left_out) {
      if (value.data != nullptr) {
        copy_run(to, value.data, value.length);
      } else if (value.length > 0) {
        status = tree.read_value(value, 0, to, value.length);
        if (status != kOk) return kNotRead;
      }
    }
    const u32 end = used + static_cast<u32>(left_out ? bare : whole);
    for (u8* pad = to + (left_out ? 0 : value.length); pad < out + end; pad++) *pad = 0;
    used = end;
    empty = false;
    return kPacked;
  }
};

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
  segment_define(kKvMeta, kPrimary, false);
  segment_define(kKvTree, kPrimary, true);
  if (segments[kKvMeta].block_count + segments[kKvTree].block_count != 0) return kInvalid;
  // Both blocks at once, so that a failure leaves the arena empty.
  Status status = reserve(2, 0);
  if (status == kOk) status = tree_.create();
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
  segment_define(kKvMeta, kPrimary, false);
  segment_define(kKvTree, kPrimary, true);
  if (segments[kKvMeta].block_count != 1) return kCorrupt;
  const u8* block = block_read(kKvMeta, 0);
  if (block == nullptr) return kAbsent;
  const KvSuperblock superblock = load<KvSuperblock>(block);
  if (superblock.magic != kKvMagic || superblock.version != kKvVersion) return kCorrupt;
  for (const u32 reserved : superblock.reserved) {
    if (reserved != 0) return kCorrupt;
  }
  const Status status = tree_.open(deep);
  ready_ = status == kOk;
  return status;
}

u32 KvSpace::scan(const KvRange& range, u32 limit, u8* out, u32 out_bytes, Status& status) {
  Packer packer{tree_, out, out_bytes};
  TreeCursor cursor(tree_);
  u32 count = 0;
  status = limit == 0 ? kOk : start_scan(cursor, range);
  while (status == kOk && count < limit) {
    const Bytes key = cursor.key();
    if (!in_range(range, key)) {
      status = kNotFound;
      break;
    }
    const ValueView value = cursor.value();
    if (packer.add(key, value, value.flags, status) != Packer::kPacked) break;
    count++;
    status = range.reverse ? cursor.previous() : cursor.next();
  }
  // What stopped it after the first entry will be met again, and told, by the next call.
  if (status == kNotFound || count > 0) status = kOk;
  return count;
}

u32 KvSpace::get_packed(const u8* keys, u32 keys_bytes, u32 count, u8* out, u32 out_bytes, Status& status) {
  Packer packer{tree_, out, out_bytes};
  u32 done = 0, at = 0;
  status = kOk;
  for (; done < count; done++) {
    const u32 room = keys_bytes - at;
    const u32 length = room < 4 ? 0 : load<u32>(keys + at);
    if (room < 4 || length > kKeyBytesMax || 4 + padded(length) > room) {
      status = kInvalid;
      break;
    }
    ValueView value;
    const Status found = tree_.get({keys + at + 4, length}, value);
    if (found != kOk && found != kNotFound) {
      status = found;
      break;
    }
    const u32 flags = found == kOk ? value.flags : static_cast<u32>(kPackedMissing);
    if (packer.add({keys, 0}, value, flags, status) != Packer::kPacked) break;
    at += 4 + padded(length);
  }
  if (done > 0) status = kOk;
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
      status = tree_.remove(key);
      if (status == kNotFound) status = kOk;
    } else if ((entry.flags & ~kValueFlagsKnown) == 0) {
      bool existed = false;
      status = tree_.put(key, value, static_cast<u8>(entry.flags), existed);
    } else {
      status = kInvalid;
    }
    if (status != kOk) return done;
    consumed += size;
  }
  return count;
}

}  // namespace shibumi
