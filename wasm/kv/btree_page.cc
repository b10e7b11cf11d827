// Inside one page of the tree: search, insert, remove, compact. See btree_page.h for the layout.
#include "btree_page.h"

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace shibumi {

namespace {

alignas(16) u8 page_stash_bytes[kPageBytes];

/// The first slot whose head is >= `head`. The conditional moves matter: a mispredicted branch a step costs more than
/// the loads, which are in one or two cache lines by then.
u32 head_lower_bound(const Slot* slots, u32 count, u32 head) {
  if (count == 0) return 0;
  const Slot* base = slots;
  while (count > 1) {
    const u32 half = count / 2;
    base = base[half - 1].head < head ? base + half : base;
    count -= half;
  }
  return static_cast<u32>(base - slots) + (base->head < head ? 1 : 0);
}

/// Among slots with equal heads, from `low` on, the first whose key is >= `key`. Requires: the prefix is equal.
u32 tie_lower_bound(const u8* page, u32 low, u32 head, Bytes key, bool& equal) {
  const Slot* slots = page_slots(page);
  const u32 count = page_header(page).count;
  u32 high = low;
  // Ties are few unless keys share long starts that the page's prefix does not cover; then steps double.
  for (u32 step = 1; high < count && slots[high].head == head; step *= 2) high = min_of(high + step, count);
  while (low < high) {
    const u32 middle = (low + high) / 2;
    const i32 order = slots[middle].head == head ? compare_keys(slot_key(page, slots[middle]), key) : 1;
    if (order == 0) {
      equal = true;
      return middle;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// Bit i: tag i of sixteen is `tag`.
u32 equal_tags(const u8* tags, u8 tag) {
#if defined(__wasm_simd128__)
  return wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(tags), wasm_u8x16_splat(tag)));
#else
  u32 bits = 0;
  for (u32 i = 0; i < 16; i++) bits |= (tags[i] == tag ? 1u : 0u) << i;
  return bits;
#endif
}

/// Changes the number of slots, moving them when the tags' room in front of them changes. Requires: the room.
void set_count(u8* page, u32 count) {
  PageHeader& header = page_header(page);
  const Slot* from = page_slots(page);
  const u32 kept = min_of<u32>(header.count, count);
  header.count = static_cast<u16>(count);
  Slot* to = page_slots(page);
  if (to != from) __builtin_memmove(to, from, kept * kSlotBytes);
}

void set_heads(u8* page) {
  const PageHeader& header = page_header(page);
  Slot* slots = page_slots(page);
  for (u32 i = 0; i < header.count; i++) slots[i].head = key_head(slot_key(page, slots[i]), header.prefix);
}

void compact(u8* page) {
  const u8* old = page_stash(page);
  const PageHeader& header = page_header(old);
  page_init(page, header.level, header.first_child);
  page_header(page).last_insert = header.last_insert;
  page_fill(page, [old](u32 i) { return page_cell(old, i); }, 0, header.count);
}

/// Writes a cell below the others. Requires: room without compaction, the slot at `position` is free to be set.
void write_cell(u8* page, u32 position, const Cell& cell) {
  PageHeader& header = page_header(page);
  header.cells = static_cast<u16>(header.cells - cell.bytes());
  u8* to = page + header.cells;
  store<u32>(to, cell.header);
  copy_run(to + kCellHeaderBytes, cell.key.data, cell.key.length);
  copy_run(to + kCellHeaderBytes + cell.key.length, cell.payload.data, cell.payload.length);
  if (header.level == 0) leaf_tags(page)[position] = key_tag(cell.key);
  page_slots(page)[position] = {key_head(cell.key, header.prefix), header.cells, static_cast<u16>(cell.key.length)};
}

}  // namespace

ValueView cell_value(const u8* cell, u32 key_bytes) {
  const u32 header = load<u32>(cell);
  const u8* payload = cell + kCellHeaderBytes + key_bytes;
  if (cell_kind(header) == kInlineCell) return {payload, cell_payload_bytes(header), cell_flags(header), nullptr};
  return {nullptr, load<u32>(payload), cell_flags(header), payload};
}

u32 page_lower_bound(const u8* page, Bytes key, bool& equal) {
  equal = false;
  const PageHeader& header = page_header(page);
  if (header.count == 0) return 0;
  const u32 prefix = header.prefix;
  if (prefix > 0) {
    const u8* shared = page_key(page, 0).data;
    const u32 compared = min_of(prefix, key.length);
    const u32 same = common_bytes(key.data, shared, compared);
    if (same < compared) return key.data[same] < shared[same] ? 0 : header.count;
    if (key.length < prefix) return 0;
  }
  const u32 head = key_head(key, prefix);
  const Slot* slots = page_slots(page);
  const u32 low = head_lower_bound(slots, header.count, head);
  if (low == header.count || slots[low].head != head) return low;
  return tie_lower_bound(page, low, head, key, equal);
}

u64 key_hash(Bytes key) {
  // Multiply and fold, eight bytes at a time. Nobody gains by making tags collide: reads of those keys then compare
  // their cells one after another, at worst those of one page.
  constexpr u64 kFactor = 0x9E3779B97F4A7C15;
  u64 hash = key.length;
  u32 i = 0;
  for (; i + 8 <= key.length; i += 8) {
    hash = (hash ^ load<u64>(key.data + i)) * kFactor;
    hash ^= hash >> 29;
  }
  u64 rest = 0;
  for (u32 shift = 0; i < key.length; i++, shift += 8) rest |= static_cast<u64>(key.data[i]) << shift;
  return (hash ^ rest) * kFactor;
}

i32 leaf_find(const u8* page, Bytes key) {
  const PageHeader& header = page_header(page);
  if (key.length < header.prefix) return -1;
  const u32 head = key_head(key, header.prefix);
  const u8 tag = key_tag(key);
  const u8* tags = leaf_tags(page);
  const Slot* slots = page_slots(page);
  for (u32 base = 0; base < header.count; base += 16) {
    for (u32 bits = equal_tags(tags + base, tag); bits != 0; bits &= bits - 1) {
      const u32 position = base + static_cast<u32>(__builtin_ctz(bits));
      if (position >= header.count) break;
      const Slot& slot = slots[position];
      if (slot.head == head && slot.key_bytes == key.length &&
          same_bytes(slot_key(page, slot).data, key)) {
        return static_cast<i32>(position);
      }
    }
  }
  return -1;
}

i32 leaf_guess(const u8* page, Bytes key) {
  const u32 count = page_header(page).count;
  const u8 tag = key_tag(key);
  for (u32 base = 0; base < count; base += 16) {
    const u32 bits = equal_tags(leaf_tags(page) + base, tag);
    if (bits == 0) continue;
    const u32 position = base + static_cast<u32>(__builtin_ctz(bits));
    return position < count ? static_cast<i32>(position) : -1;
  }
  return -1;
}

i32 branch_find(const u8* page, Bytes key) {
  bool equal = false;
  const u32 at = page_lower_bound(page, key, equal);
  return static_cast<i32>(at) - (equal ? 0 : 1);
}

void page_init(u8* page, u32 level, u32 first_child) {
  const PageKind kind = level == 0 ? kLeafPage : kBranchPage;
  page_header(page) = {kind, static_cast<u8>(level), 0, kPageBytes, 0, 0, 0, first_child};
}

void page_append(u8* page, const Cell& cell) {
  const u32 count = page_header(page).count;
  set_count(page, count + 1);
  write_cell(page, count, cell);
}

bool page_insert_compacts(const u8* page, u32 cell_bytes) {
  const PageHeader& header = page_header(page);
  const u32 count = header.count + 1u;
  return header.cells < slots_at(header.level, count) + count * kSlotBytes + cell_bytes;
}

void page_insert(u8* page, u32 position, const Cell& cell) {
  PageHeader& header = page_header(page);
  const u32 count = header.count;
  if (page_insert_compacts(page, cell.bytes())) compact(page);
  if (count == 0) {
    header.prefix = static_cast<u16>(cell.key.length);
  } else {
    const u8* shared = page_key(page, 0).data;
    const u32 same = common_bytes(cell.key.data, shared, min_of<u32>(header.prefix, cell.key.length));
    if (same < header.prefix) {
      header.prefix = static_cast<u16>(same);
      set_heads(page);
    }
  }
  set_count(page, count + 1);
  Slot* slots = page_slots(page);
  __builtin_memmove(slots + position + 1, slots + position, (count - position) * kSlotBytes);
  if (header.level == 0) {
    u8* tags = leaf_tags(page);
    __builtin_memmove(tags + position + 1, tags + position, count - position);
  }
  header.last_insert = static_cast<u16>(position + 1);
  write_cell(page, position, cell);
}

void page_remove(u8* page, u32 position) {
  PageHeader& header = page_header(page);
  Slot* slots = page_slots(page);
  header.garbage = static_cast<u16>(header.garbage + page_cell(page, position).bytes());
  const u32 behind = header.count - position - 1;
  __builtin_memmove(slots + position, slots + position + 1, behind * kSlotBytes);
  if (header.level == 0) {
    u8* tags = leaf_tags(page);
    __builtin_memmove(tags + position, tags + position + 1, behind);
  }
  set_count(page, header.count - 1u);
  header.last_insert = 0;
  if (header.count == 0) {
    header.cells = kPageBytes;
    header.garbage = 0;
    header.prefix = 0;
  }
}

const u8* page_stash(const u8* page) {
  __builtin_memcpy(page_stash_bytes, page, kPageBytes);
  return page_stash_bytes;
}

}  // namespace shibumi
