#include "posting_lists.h"

namespace shibumi {

bool PostingLists::start(u32 list_count) {
  if (!heads_.ensure(list_count * sizeof(Head), false)) return false;
  __builtin_memset(heads_.as<u8>(), 0, list_count * sizeof(Head));
  chunk_count_ = free_chunk_ = free_count_ = 0;
  return true;
}

bool PostingLists::reserve(u32 more, u32 slot_count) {
  const u64 fresh = more > free_count_ ? more - free_count_ : 0;
  const u64 bytes = (chunk_count_ + fresh) * sizeof(Chunk);
  return bytes < (1ull << 31) && chunks_.ensure(static_cast<u32>(bytes), true) &&
         places_.ensure(slot_count * sizeof(u32), true);
}

void PostingLists::add(u32 list, u32 slot) {
  Head& head = heads_.as<Head>()[list];
  Chunk* chunks = chunks_.as<Chunk>();
  const u32 within = head.size % kChunkSlots;
  if (within == 0) {
    u32 made = chunk_count_;
    if (free_chunk_ != 0) {
      made = free_chunk_ - 1;
      free_chunk_ = chunks[made].older;
      free_count_--;
    } else {
      chunk_count_++;
    }
    chunks[made].older = head.newest;
    head.newest = made;
  }
  chunks[head.newest].slots[within] = slot;
  places_.as<u32>()[slot] = head.newest << 4 | within;
  head.size++;
}

void PostingLists::remove(u32 list, u32 slot) {
  Head& head = heads_.as<Head>()[list];
  Chunk* chunks = chunks_.as<Chunk>();
  u32* places = places_.as<u32>();
  check(head.size > 0);
  const u32 last = (head.size - 1) % kChunkSlots, place = places[slot];
  const u32 moved = chunks[head.newest].slots[last];
  chunks[place >> 4].slots[place & 15] = moved;
  places[moved] = place;
  head.size--;
  if (last > 0) return;
  const u32 emptied = head.newest;
  head.newest = chunks[emptied].older;
  chunks[emptied].older = free_chunk_;
  free_chunk_ = emptied + 1;
  free_count_++;
}

}  // namespace shibumi
