#include "key_hints.h"

namespace shibumi {

/// A table for so many entries, empty. Six and a quarter a line, until they are seven and a half: 10.2 to 8.5 bytes an entry.
bool KeyHints::make_room(u32 entries) {
  transient_free(lines_, line_bytes_);
  transient_free(generations_, pages_ * 2);
  lines_ = generations_ = 0;
  line_count_ = pages_ = 0;
  // Without memory there are none, until the tree is a good deal larger.
  entries_most_ = entries + entries / 5;
  const u32 pages = (segments[segment_].block_count * kPagesPerBlock / 5 * 6 + 127) & ~127u;
  line_bytes_ = entries / 25 * 4 * sizeof(HintLine);
  // Of small pieces nothing is given back: larger ones at once, and fewer.
  if (line_bytes_ < kBlockBytes) line_bytes_ = 1u << (32 - __builtin_clz(line_bytes_ - 1));
  const Addr lines = transient_alloc(line_bytes_);
  const Addr generations = lines == 0 ? 0 : transient_alloc(pages * 2);
  if (generations == 0) {
    transient_free(lines, line_bytes_);
    return false;
  }
  __builtin_memset(at<u8>(lines), 0, line_bytes_);
  __builtin_memset(at<u8>(generations), 0, pages * 2);
  lines_ = lines;
  line_count_ = line_bytes_ / sizeof(HintLine);
  entries_most_ = max_of(entries_most_, line_count_ / 2 * 15);
  generations_ = generations;
  pages_ = pages;
  return true;
}

void KeyHints::learn(Bytes key, u64 hash, u32 page, u32 cell, u32 entries) {
  const u16 tag = tag_of(key, hash);
  if ((tag & 0xFF) == 0) return;
  const bool outgrown = entries > entries_most_ || (line_count_ > 0 && page >= pages_);
  // Where blocks are kept out of memory it is wanted for them.
  if (outgrown && (segments[segment_].absent_count > 0 || !make_room(entries))) return;
  if (line_count_ == 0) return;
  HintLine& line = at<HintLine>(lines_)[line_index(hash)];
  const u16* generations = at<const u16>(generations_);
  // In the place of one that counts no more, else of any.
  u32 way = static_cast<u32>(hash >> 21) % HintLine::kWays;
  for (u32 i = 0; i < HintLine::kWays; i++) {
    if (line.tag[i] == 0 || generations[line.place[i] >> kPageShift] != line.generation[i]) {
      way = i;
      break;
    }
  }
  line.tag[way] = tag;
  line.generation[way] = generations[page];
  line.place[way] = page << kPageShift | cell;
}

void KeyHints::forget(Bytes key) {
  if (line_count_ == 0) return;
  const u64 hash = key_hash(key);
  HintLine& line = at<HintLine>(lines_)[line_index(hash)];
  for (u32 bits = equal_ways(line, tag_of(key, hash)); bits != 0; bits &= bits - 1) line.tag[__builtin_ctz(bits)] = 0;
}

void KeyHints::moved(u32 page) {
  if (page >= pages_) return;
  // After as many generations as there are numbers an old hint would count again.
  if (++at<u16>(generations_)[page] == 0) __builtin_memset(at<u8>(lines_), 0, line_bytes_);
}

}  // namespace shibumi
