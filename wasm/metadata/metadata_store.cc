#include "metadata_store.h"

#include "../kv/btree_page.h"

namespace shibumi {

namespace {

constexpr u32 kPartBytes = 4096;
constexpr u32 kPartKeyBytes = 6;

struct PartKey {
  u8 bytes[kPartKeyBytes];
  PartKey(u32 slot, u32 part) {
    const u32 swapped = __builtin_bswap32(slot);
    __builtin_memcpy(bytes, &swapped, 4);
    bytes[4] = static_cast<u8>(part >> 8);
    bytes[5] = static_cast<u8>(part);
  }
  operator Bytes() const { return {bytes, kPartKeyBytes}; }
};

constexpr u32 kPartsMax = kRecordBytesMax / kPartBytes;

}  // namespace

Status MetadataStore::open(bool deep) {
  if (!present()) return segments[postings_.segment()].block_count == 0 ? kOk : kCorrupt;
  if (segments[postings_.segment()].block_count == 0) return kCorrupt;
  const Status status = records_.open(deep);
  if (status != kOk) return status;
  return prepare() ? postings_.open(deep) : kOutOfMemory;
}

TreeNeed MetadataStore::bound(u32 count, u32 values, u64 bytes) const {
  if (bytes == 0 && !present()) return {};
  // A record has one part that is not full; a patch makes that one grow and adds others, the full ones stay as long.
  const u32 parts = 2 * count + static_cast<u32>(bytes / kPartBytes);
  const TreeNeed records = records_.bound_total(parts, bytes + u64{kPartKeyBytes} * parts);
  const TreeNeed postings = postings_.bound(values, bytes);
  const u32 fresh = records.new_blocks + postings.new_blocks + (present() ? 0 : 2);
  // What is taken away may be anywhere.
  return {fresh, segments[records_.segment()].block_count + segments[postings_.segment()].block_count + fresh};
}

u32 MetadataStore::unsaved() const {
  return unsaved_blocks(records_.segment()) + unsaved_blocks(postings_.segment());
}

bool MetadataStore::prepare() {
  if (!joined_.ensure(kRecordBytesMax, true) || !patched_.ensure(2 * kRecordBytesMax, false)) return false;
  return present() || (records_.create() == kOk && postings_.create() == kOk);
}

bool MetadataStore::update(u32 slot, Bytes patch, bool replace) {
  const Bytes old = read(slot);
  u8* patched = patched_.as<u8>();
  const u32 length = apply_patch(replace ? Bytes{} : old, patch, patched);
  if (length > kRecordBytesMax) return false;
  change(slot, old, {patched, length});
  return true;
}

void MetadataStore::change(u32 slot, Bytes old, Bytes record) {
  if (old.length + record.length == 0) return;
  const u32 old_parts = (old.length + kPartBytes - 1) / kPartBytes;
  RecordReader before(old), after(record);
  bool more_before = before.next(), more_after = after.next();
  while (more_before || more_after) {
    const i32 order = !more_before ? 1 : !more_after ? -1 : before.compare(after);
    const bool same = order == 0 && compare_keys(before.entry(), after.entry()) == 0;
    if (order <= 0) {
      if (!same) before.values([&](const FieldValue& value) { postings_.remove(before.field(), value, slot); });
      more_before = before.next();
    }
    if (order >= 0) {
      if (!same) after.values([&](const FieldValue& value) { postings_.add(after.field(), value, slot); });
      more_after = after.next();
    }
  }
  u32 part = 0;
  for (u32 from = 0; from < record.length; part++, from += kPartBytes) {
    bool existed;
    const Bytes bytes{record.data + from, min_of(kPartBytes, record.length - from)};
    shibumi::check(records_.put(PartKey(slot, part), bytes, 0, existed) == kOk);
  }
  for (; part < old_parts; part++) shibumi::check(records_.remove(PartKey(slot, part)) == kOk);
}

Bytes MetadataStore::read(u32 slot) {
  ValueView part;
  if (!present() || records_.get(PartKey(slot, 0), part) != kOk) return {};
  if (part.length < kPartBytes) return {part.data, part.length};
  u32 length = 0;
  for (u32 i = 0; i < kPartsMax && records_.get(PartKey(slot, i), part) == kOk; i++, length += part.length) {
    __builtin_memcpy(joined_.as<u8>() + length, part.data, min_of(part.length, kPartBytes));
  }
  return {joined_.as<u8>(), length};
}

bool MetadataStore::check_record(u32 slot, u64& values) {
  const Bytes record = read(slot);
  const RecordShape shape = shape_of(record);
  if (!shape.good || shape.cleared || record.length == 0) return false;
  bool good = true;
  for (RecordReader reader(record); reader.next();) {
    // A text that is twice in a list is in the postings once.
    u32 index = 0;
    reader.values([&](const FieldValue& value) {
      good = good && postings_.has(reader.field(), value, slot);
      bool seen = false;
      u32 other_index = 0;
      reader.values([&](const FieldValue& other) {
        if (other_index++ < index && value.kind == kString && compare_keys(value.text, other.text) == 0) seen = true;
      });
      index++;
      values += seen ? 0 : 1;
    });
  }
  return good;
}

}  // namespace shibumi
