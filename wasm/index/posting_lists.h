// The posting lists of an inverted file: which slots belong to each list. Transient: made again from the stored assignments
// when a space is opened, a fraction of a second for a million slots, so nothing of it can be damaged or has to be checked.
//
// A list is a chain of chunks of 15 slots (with the link 64 bytes, a line of cache), the newest first; all but the newest
// are full. Every slot knows where it stands, so that one is removed at once: the list's last slot takes its place.
#pragma once

#include "../core/arena.h"

namespace shibumi {

class PostingLists {
 public:
  static constexpr u32 kChunkSlots = 15;

  /// Empty lists. False when memory is out.
  bool start(u32 list_count);
  /// Gives the memory back; `start` comes next.
  void release() {
    heads_.release();
    chunks_.release();
    places_.release();
  }
  /// Makes room for `more` additions and slots below `slot_count`. False when memory is out.
  bool reserve(u32 more, u32 slot_count);

  /// Requires: reserve; the slot is in no list.
  void add(u32 list, u32 slot);
  /// Requires: the slot is in this list.
  void remove(u32 list, u32 slot);

  u32 size(u32 list) const { return heads_.as<Head>()[list].size; }
  /// Calls visit(slots, count) with the slots of a list, up to 15 at a time.
  template <class Visit>
  void each_chunk(u32 list, Visit visit) const {
    const Head& head = heads_.as<Head>()[list];
    const Chunk* chunks = chunks_.as<Chunk>();
    u32 left = head.size;
    for (u32 next = head.newest; left > 0; next = chunks[next].older) {
      const u32 count = (left - 1) % kChunkSlots + 1;
      visit(chunks[next].slots, count);
      left -= count;
    }
  }

 private:
  struct Chunk {
    u32 slots[kChunkSlots];
    u32 older;  // meaningless in the oldest
  };
  static_assert(sizeof(Chunk) == 64);
  struct Head {
    u32 newest;
    u32 size;
  };

  TransientBuffer heads_;   // Head a list
  TransientBuffer chunks_;  // Chunk
  TransientBuffer places_;  // u32 a slot: chunk << 4 | where in it
  u32 chunk_count_ = 0;     // chunks ever used
  u32 free_chunk_ = 0;      // chunk + 1 of the last one freed, 0: none
  u32 free_count_ = 0;
};

}  // namespace shibumi
