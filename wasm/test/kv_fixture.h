// What the tests of tree and key-value space share: seeded keys and values, a sorted model to compare with, and a host
// that keeps the blocks of a segment outside the arena.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "../core/arena.h"
#include "../kv/btree.h"
#include "../kv/btree_pages.h"
#include "check.h"

namespace shibumi::test {

inline Bytes bytes_of(const std::string& s) {
  return {reinterpret_cast<const u8*>(s.data()), static_cast<u32>(s.size())};
}
inline std::string string_of(Bytes b) { return std::string(reinterpret_cast<const char*>(b.data), b.length); }

/// Key number `i` of a universe in which keys share long prefixes, hold 0x00 and 0xFF, start with one another, and now
/// and then are as long as a key may be.
inline std::string key_of(u32 i) {
  Random random(i * 7919u + 1);
  const std::string number = std::to_string(i);
  switch (i % 8) {
    case 0: return "user:" + std::string(10 - number.size(), '0') + number;
    case 1: return std::string(1 + random.below(40), '\xFF') + number;
    case 2: return number + std::string(1 + random.below(9), '\0');
    case 3: return std::string(random.below(300), 'p') + number;
    case 4: {
      std::string key;
      for (int n = 0; n < 12; n++) key += static_cast<char>(random.next());
      return key + number;
    }
    case 5: return "a/very/long/path/that/many/keys/have/in/common/" + number.substr(0, 2) + "/" + number;
    case 6: return number + std::string(i % 50 == 6 ? kKeyBytesMax - number.size() : 20, 'k');
    default: return number;
  }
}

inline u32 random_value_bytes(Random& random) {
  const u32 kind = random.below(1000);
  if (kind < 50) return 0;
  if (kind < 900) return random.below(200);
  if (kind < 985) return random.below(7000);
  if (kind < 998) return random.below(40000);
  return random.below(300 * 1024);
}

struct ModelValue {
  u64 seed = 0;
  u32 length = 0;
  u8 flags = 0;
  std::string bytes() const {
    std::string value(length, '\0');
    Random random(seed);
    for (u32 i = 0; i < length; i += 8) {
      const u64 word = random.next();
      __builtin_memcpy(value.data() + i, &word, min_of(8u, length - i));
    }
    return value;
  }
};

/// std::string compares as unsigned bytes, a shorter string first: the tree's order.
using Model = std::map<std::string, ModelValue>;

inline ModelValue random_value(Random& random) {
  return {random.next(), random_value_bytes(random), static_cast<u8>(random.below(256))};
}

/// Calls until the answer is not kAbsent, after each kAbsent letting `fetch` bring the block.
template <class Call, class Fetch>
Status with_blocks(Call call, Fetch fetch) {
  for (;;) {
    const Status status = call();
    if (status != kAbsent) return status;
    fetch(fault_segment(), fault_index());
  }
}

inline void expect_value(const Btree& tree, const ValueView& value, const ModelValue& expected) {
  EXPECT(value.length == expected.length);
  EXPECT(value.flags == expected.flags);
  std::string bytes(value.length, '\0');
  EXPECT(tree.read_value(value, 0, reinterpret_cast<u8*>(bytes.data()), value.length) == kOk);
  EXPECT(bytes == expected.bytes());
}

inline void put(Btree& tree, Model& model, const std::string& key, const ModelValue& value) {
  const std::string bytes = value.bytes();
  bool existed = false;
  EXPECT(tree.put(bytes_of(key), bytes_of(bytes), value.flags, existed) == kOk);
  EXPECT(existed == (model.count(key) == 1));
  model[key] = value;
}

/// Both directions, every value, and the deep check. Requires: all blocks present.
inline void expect_same(const Btree& tree, const Model& model) {
  EXPECT(tree.open(true) == kOk);
  EXPECT(tree.count() == model.size());
  TreeCursor cursor(tree);
  Status status = cursor.first();
  for (const auto& [key, value] : model) {
    EXPECT(status == kOk);
    EXPECT(string_of(cursor.key()) == key);
    expect_value(tree, cursor.value(), value);
    status = cursor.next();
  }
  EXPECT(status == kNotFound);
  status = cursor.last();
  for (auto entry = model.rbegin(); entry != model.rend(); ++entry) {
    EXPECT(status == kOk);
    EXPECT(string_of(cursor.key()) == entry->first);
    status = cursor.previous();
  }
  EXPECT(status == kNotFound);
}

/// A fresh arena with one droppable segment for a tree.
constexpr SegmentId kTestSegment = 1;
inline void fresh_arena(u32 frames_max = 1u << 13) {
  arena_init(frames_max);
  segment_define(kTestSegment, kPrimary, true);
}

/// The blocks of a segment as a host stores them.
struct StoredBlocks {
  std::vector<std::string> blocks;

  /// Takes a checkpoint: all dirty blocks are stored and clean afterwards.
  void save() {
    const i32 count = checkpoint_begin(1 << kPrimary);
    EXPECT(count >= 0);
    take_entries(static_cast<u32>(count));
  }
  void take_entries(u32 count) {
    for (u32 i = 0; i < count; i++) {
      const CheckpointEntry entry = checkpoint_entry(i);
      if (entry.segment == kTestSegment) {
        if (entry.index >= blocks.size()) blocks.resize(entry.index + 1);
        blocks[entry.index].assign(at<const char>(entry.address), entry.used_bytes);
      }
      checkpoint_copied(i);
    }
    checkpoint_end(true);
  }
  void adopt(u32 index) const {
    const Addr frame = block_adopt(kTestSegment, index);
    EXPECT(frame != 0);
    __builtin_memcpy(at<u8>(frame), blocks[index].data(), blocks[index].size());
  }
  void adopt_all() const {
    for (u32 i = 0; i < blocks.size(); i++) adopt(i);
  }
};

}  // namespace shibumi::test
