#include "postings.h"

#include "../kv/btree_page.h"

namespace shibumi {

namespace {

constexpr u32 kChunkShift = 8;
constexpr u32 kChunkBytes = 3;
constexpr u32 kBitmapBytes = 32;
constexpr u32 kPostingKeyMax = 1 + kValueKeyMax + kChunkBytes;
static_assert(kPostingKeyMax <= kKeyBytesMax);
/// What an entry has beside the value's own bytes, at most: field, a number's 8 bytes where the record has one, a text's
/// end, chunk, container.
constexpr u32 kPostingBytes = 1 + 8 + 2 + kChunkBytes + kBitmapBytes;

struct PostingKey {
  u8 bytes[kPostingKeyMax];
  u32 length;

  PostingKey(u8 field, const FieldValue& value, u32 slot) {
    bytes[0] = field;
    length = 1 + value_key(value, bytes + 1);
    for (u32 i = 0; i < kChunkBytes; i++) {
      bytes[length++] = static_cast<u8>(slot >> kChunkShift >> (8 * (kChunkBytes - 1 - i)));
    }
  }
  operator Bytes() const { return {bytes, length}; }
};

u32 chunk_of(Bytes key) {
  const u8* chunk = key.data + key.length - kChunkBytes;
  return static_cast<u32>(chunk[0]) << 16 | static_cast<u32>(chunk[1]) << 8 | chunk[2];
}

/// Which slots of a chunk: as they are stored, and as bits to work on.
struct Container {
  u64 bits[4] = {};

  Container() = default;
  explicit Container(const ValueView& stored) {
    if (stored.length == kBitmapBytes) {
      __builtin_memcpy(bits, stored.data, kBitmapBytes);
    } else {
      for (u32 i = 0; i < stored.length; i++) set(stored.data[i]);
    }
  }
  void set(u8 low) { bits[low / 64] |= 1ull << (low % 64); }
  void clear(u8 low) { bits[low / 64] &= ~(1ull << (low % 64)); }
  bool has(u8 low) const { return (bits[low / 64] >> (low % 64) & 1) != 0; }

  /// Writes the shorter form and returns its length, 0 when nothing is left.
  u32 store(u8* out) const {
    u32 count = 0;
    for (const u64 word : bits) count += static_cast<u32>(__builtin_popcountll(word));
    if (count >= kBitmapBytes) {
      __builtin_memcpy(out, bits, kBitmapBytes);
      return kBitmapBytes;
    }
    count = 0;
    for (u32 i = 0; i < 4; i++) {
      for (u64 word = bits[i]; word != 0; word &= word - 1) {
        out[count++] = static_cast<u8>(64 * i + static_cast<u32>(__builtin_ctzll(word)));
      }
    }
    return count;
  }
};

}  // namespace

void Postings::add(u8 field, const FieldValue& value, u32 slot) {
  const PostingKey key(field, value, slot);
  ValueView stored;
  const Status there = tree_.get(key, stored);
  shibumi::check(there == kOk || there == kNotFound);
  Container container = there == kOk ? Container(stored) : Container();
  container.set(static_cast<u8>(slot));
  u8 bytes[kBitmapBytes];
  const u32 length = container.store(bytes);
  bool existed;
  shibumi::check(tree_.put(key, {bytes, length}, 0, existed) == kOk);
}

void Postings::remove(u8 field, const FieldValue& value, u32 slot) {
  const PostingKey key(field, value, slot);
  ValueView stored;
  if (tree_.get(key, stored) != kOk) return;
  Container container(stored);
  container.clear(static_cast<u8>(slot));
  u8 bytes[kBitmapBytes];
  const u32 length = container.store(bytes);
  bool existed;
  shibumi::check((length == 0 ? tree_.remove(key) : tree_.put(key, {bytes, length}, 0, existed)) == kOk);
}

bool Postings::has(u8 field, const FieldValue& value, u32 slot) const {
  ValueView stored;
  return tree_.get(PostingKey(field, value, slot), stored) == kOk && Container(stored).has(static_cast<u8>(slot));
}

TreeNeed Postings::bound(u32 count, u64 record_bytes) const {
  return tree_.bound_total(count, 2 * record_bytes + u64{count} * kPostingBytes);
}

void Postings::mark(u8 field, const Limit& low, const Limit& high, u32 slot_count, u64* words) const {
  // A limit without its chunk is a prefix of the keys of its value.
  u8 first[kPostingKeyMax], last[kPostingKeyMax];
  first[0] = last[0] = field;
  u32 first_length = 1, last_length = 1;
  if (low.present) first_length += value_key(low.value, first + 1);
  if (high.present) last_length += value_key(high.value, last + 1);
  if (low.present && low.exclusive) {
    for (u32 i = 0; i < kChunkBytes; i++) first[first_length++] = 255;
  }
  TreeCursor cursor(tree_);
  for (Status status = cursor.seek({first, first_length}); status == kOk; status = cursor.next()) {
    const Bytes key = cursor.key();
    const Bytes front{key.data, min_of(last_length, key.length)};
    const i32 order = compare_keys(front, {last, last_length});
    if (order > 0 || (order == 0 && high.present && high.exclusive)) return;
    const u32 chunk = chunk_of(key);
    if (chunk > (slot_count - 1) >> kChunkShift) continue;
    const ValueView stored = cursor.value();
    u64* target = words + 4 * static_cast<size_t>(chunk);
    if (stored.length == kBitmapBytes) {
      const Container container(stored);
      for (u32 i = 0; i < 4; i++) target[i] |= container.bits[i];
    } else {
      for (u32 i = 0; i < stored.length; i++) target[stored.data[i] / 64] |= 1ull << (stored.data[i] % 64);
    }
  }
}

bool Postings::check(u32 slot_count, u64& total) const {
  total = 0;
  TreeCursor cursor(tree_);
  Status status = cursor.first();
  for (; status == kOk; status = cursor.next()) {
    const Bytes key = cursor.key();
    const ValueView stored = cursor.value();
    if (key.length < 2 + kChunkBytes || stored.data == nullptr || stored.length == 0 || stored.length > kBitmapBytes) {
      return false;
    }
    // Only what `store` writes: ascending bytes, no bitmap that would be shorter as bytes.
    const Container container(stored);
    u8 again[kBitmapBytes];
    if (container.store(again) != stored.length || compare_keys({again, stored.length}, {stored.data, stored.length}) != 0) {
      return false;
    }
    for (u32 low = 0; low < 256; low++) {
      if (!container.has(static_cast<u8>(low))) continue;
      if ((static_cast<u64>(chunk_of(key)) << kChunkShift) + low >= slot_count) return false;
      total++;
    }
  }
  return status == kNotFound;
}

}  // namespace shibumi
