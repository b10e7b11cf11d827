#include "slots.h"

namespace shibumi {

void Slots::define(IdKind kind) {
  id_kind = kind;
  records.define(kSlots, sizeof(SlotRecord));
  mark_bytes = TransientBuffer{};
}

Bytes Slots::string_at(u64 reference) {
  const u8* block = block_read(kStringIds, static_cast<u32>(reference >> kBlockShift));
  const u8* entry = block + (reference & (kBlockBytes - 1));
  u32 length;
  __builtin_memcpy(&length, entry, sizeof length);
  return {entry + 4, length};
}

Bytes Slots::key(u32 slot, u8* storage) const {
  const u64 id = record(slot).id;
  if (id_kind == kStringIdKind) return string_at(id);
  int_key(static_cast<i64>(id), storage);
  return {storage, 8};
}

bool Slots::id_before(u32 a, u32 b) const {
  const u64 id_a = record(a).id, id_b = record(b).id;
  if (id_kind == kIntIds) return static_cast<i64>(id_a) < static_cast<i64>(id_b);
  return compare_bytes(string_at(id_a), string_at(id_b)) < 0;
}

void int_key(i64 id, u8* out8) {
  const u64 biased = static_cast<u64>(id) ^ (1ull << 63);
  const u64 swapped = __builtin_bswap64(biased);
  __builtin_memcpy(out8, &swapped, 8);
}

i64 int_of_key(const u8* key8) {
  u64 swapped;
  __builtin_memcpy(&swapped, key8, 8);
  return static_cast<i64>(__builtin_bswap64(swapped) ^ (1ull << 63));
}

i32 compare_bytes(Bytes a, Bytes b) {
  const u32 shared = min_of(a.length, b.length);
  for (u32 i = 0; i < shared; i++) {
    if (a.data[i] != b.data[i]) return a.data[i] < b.data[i] ? -1 : 1;
  }
  return a.length == b.length ? 0 : a.length < b.length ? -1 : 1;
}

}  // namespace shibumi
