#include "filter.h"

#include "../kv/btree_page.h"

namespace shibumi {

namespace {

enum FilterOp : u8 { kAnyOf = 1, kBoth = 2, kEither = 3, kNot = 4, kEvery = 5 };

/// Whole chunks of 256 slots, as postings have them.
u32 words_for(u32 slot_count) { return (slot_count + 255) / 256 * 4; }

bool read_limit(ByteCursor& cursor, Postings::Limit& limit) {
  const u8 flags = cursor.byte();
  limit.present = flags != 0;
  limit.exclusive = flags == 2;
  if (flags > 2) cursor.good = false;
  if (limit.present) limit.value = read_value(static_cast<ValueKind>(cursor.byte()), cursor);
  return cursor.good;
}

/// The most sets a program has waiting at a time; 0 when it breaks the grammar.
u32 depth_of(Bytes program) {
  ByteCursor cursor(program);
  u32 depth = 0, most = 0;
  while (cursor.good && cursor.left() > 0) {
    const u8 op = cursor.byte();
    if (op == kAnyOf) {
      if (cursor.byte() >= kFieldsMax) return 0;
      Postings::Limit limit;
      for (u64 count = cursor.varint(); count > 0 && cursor.good; count--) {
        read_limit(cursor, limit) && read_limit(cursor, limit);
      }
    }
    if (op == kAnyOf || op == kEvery) {
      depth++;
    } else if (op == kBoth || op == kEither) {
      if (depth < 2) return 0;
      depth--;
    } else if (op != kNot || depth == 0) {
      return 0;
    }
    most = max_of(most, depth);
  }
  return cursor.good && depth == 1 && most <= kFilterDepthMax ? most : 0;
}

}  // namespace

bool Filters::ready_live(const Slots& slots, u32 slot_count, u64 version) {
  if (live_version_ == version) return true;
  const u32 words = words_for(slot_count);
  if (!live_.ensure(words * sizeof(u64), false)) return false;
  u64* live = live_.as<u64>();
  __builtin_memset(live, 0, words * sizeof(u64));
  const u8* marks = slots.marks();
  for (u32 slot = 0; slot < slot_count; slot++) live[slot / 64] |= static_cast<u64>(marks[slot] & kLiveMark) << (slot % 64);
  live_version_ = version;
  return true;
}

/// Leaves the result in the stack's first set. Requires: a program depth_of accepts, room for its depth.
bool Filters::run(Bytes program, const Postings* postings, u32 slot_count, u64* stack, u32 words) const {
  ByteCursor cursor(program);
  u64* top = stack - words;
  while (cursor.left() > 0) {
    switch (cursor.byte()) {
      case kAnyOf: {
        top += words;
        __builtin_memset(top, 0, words * sizeof(u64));
        const u8 field = cursor.byte();
        for (u64 count = cursor.varint(); count > 0; count--) {
          Postings::Limit low, high;
          if (!read_limit(cursor, low) || !read_limit(cursor, high)) return false;
          if (postings != nullptr) postings->mark(field, low, high, slot_count, top);
        }
        break;
      }
      case kEvery:
        top += words;
        __builtin_memcpy(top, live_.as<u64>(), words * sizeof(u64));
        break;
      case kNot:
        for (u32 i = 0; i < words; i++) top[i] = ~top[i];
        break;
      case kBoth:
        top -= words;
        for (u32 i = 0; i < words; i++) top[i] &= top[words + i];
        break;
      default:
        top -= words;
        for (u32 i = 0; i < words; i++) top[i] |= top[words + i];
    }
  }
  return true;
}

Status Filters::evaluate(Bytes program, const Postings* postings, const Slots& slots, u32 slot_count, u64 version,
                         Allowed& out) {
  out = {};
  if (program.length == 0) return kOk;
  if (program.length > kFilterBytesMax) return kInvalid;
  Kept* oldest = kept_;
  for (Kept& kept : kept_) {
    if (kept.version == version && kept.program_bytes == program.length &&
        compare_keys({kept.program.as<u8>(), kept.program_bytes}, program) == 0) {
      kept.used = ++uses_;
      out = {kept.words.as<u64>(), kept.count};
      return kOk;
    }
    if (kept.used < oldest->used) oldest = &kept;
  }
  const u32 depth = depth_of(program);
  if (depth == 0) return kInvalid;
  const u32 words = words_for(slot_count);
  const u64 stack_bytes = static_cast<u64>(depth) * words * sizeof(u64);
  oldest->version = 0;
  if (stack_bytes >= (1u << 31) || !stack_.ensure(static_cast<u32>(stack_bytes), false) ||
      !oldest->words.ensure(max_of(words, 1u) * static_cast<u32>(sizeof(u64)), false) ||
      !oldest->program.ensure(program.length, false) || !ready_live(slots, slot_count, version)) {
    return kOutOfMemory;
  }
  u64* stack = stack_.as<u64>();
  if (slot_count > 0 && !run(program, postings, slot_count, stack, words)) return kInvalid;
  const u64* live = live_.as<u64>();
  u64* kept_words = oldest->words.as<u64>();
  u32 count = 0;
  for (u32 i = 0; i < words; i++) {
    kept_words[i] = stack[i] & live[i];
    count += static_cast<u32>(__builtin_popcountll(kept_words[i]));
  }
  __builtin_memcpy(oldest->program.as<u8>(), program.data, program.length);
  oldest->program_bytes = program.length;
  oldest->count = count;
  oldest->version = version;
  oldest->used = ++uses_;
  out = {kept_words, count};
  return kOk;
}

}  // namespace shibumi
