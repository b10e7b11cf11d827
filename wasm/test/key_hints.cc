// Hints (kv/key_hints.h) must never be wrong, whatever became of the page they lead to: the tree with hints against a sorted model, and
// what would bring an old hint back.
#include "../kv/key_hints.h"

#include "kv_fixture.h"

namespace shibumi::test {
namespace {

struct Hinted {
  KeyHints hints{kTestSegment};
  Btree tree{kTestSegment, &hints};
  Model model;

  Hinted() {
    fresh_arena();
    EXPECT(tree.create() == kOk);
  }

  void get(const std::string& key) {
    ValueView value;
    const auto expected = model.find(key);
    EXPECT(tree.get(bytes_of(key), value) == (expected == model.end() ? kNotFound : kOk));
    if (expected != model.end()) expect_value(tree, value, expected->second);
  }

  /// As a space puts: in place where a hint leads to as much room.
  bool put(const std::string& key, const ModelValue& value) {
    const std::string bytes = value.bytes();
    if (!tree.put_by_hint(bytes_of(key), bytes_of(bytes), value.flags)) {
      test::put(tree, model, key, value);
      return false;
    }
    EXPECT(model.count(key) == 1 && model[key].length == value.length);
    model[key] = value;
    return true;
  }

  void remove(const std::string& key) {
    EXPECT(tree.remove(bytes_of(key)) == (model.erase(key) == 1 ? kOk : kNotFound));
  }

  bool knows(const std::string& key) { return hints.find(bytes_of(key), key_hash(bytes_of(key))) != 0; }
};

TEST(hints_model, "a tree with hints agrees with a sorted model, one by one and in groups") {
  Hinted space;
  Random random(20261127);
  constexpr u32 kUniverse = 8000;
  u32 in_place = 0, known = 0;
  const u32 puts_by_phase[] = {85, 40, 60, 10, 90, 30};
  for (const u32 puts : puts_by_phase) {
    for (u32 i = 0; i < 12000; i++) {
      const std::string key = key_of(random.below(kUniverse));
      const u32 kind = random.below(150);
      const auto former = space.model.find(key);
      if (kind < puts) {
        ModelValue value = random_value(random);
        // Often as long as what is there, which is what is replaced in place.
        if (former != space.model.end() && random.below(2) == 0) value.length = former->second.length;
        in_place += space.put(key, value);
      } else if (kind < 100) {
        space.remove(key);
      } else if (kind < 140) {
        known += space.knows(key);
        space.get(key);
      } else {
        std::string keys[Btree::kGroupMax];
        Bytes views[Btree::kGroupMax];
        ValueView values[Btree::kGroupMax];
        Status statuses[Btree::kGroupMax];
        for (u32 k = 0; k < Btree::kGroupMax; k++) {
          keys[k] = key_of(random.below(kUniverse));
          views[k] = bytes_of(keys[k]);
        }
        space.tree.get_group(views, Btree::kGroupMax, values, statuses);
        for (u32 k = 0; k < Btree::kGroupMax; k++) {
          const auto expected = space.model.find(keys[k]);
          EXPECT(statuses[k] == (expected == space.model.end() ? kNotFound : kOk));
          if (statuses[k] == kOk) expect_value(space.tree, values[k], expected->second);
        }
      }
    }
    expect_same(space.tree, space.model);
  }
  // Else nothing was tested.
  EXPECT(in_place > 500 && known > 1500);
}

TEST(hints_lengths, "a key that another one and its value begin like is not taken for it") {
  Hinted space;
  for (u32 i = 0; i < 3000; i++) {
    const std::string key = "key" + std::to_string(i);
    space.put(key, {i, 40, 0});
  }
  ValueView value;
  u32 known = 0;
  for (u32 i = 0; i < 3000; i++) {
    const std::string key = "key" + std::to_string(i);
    space.get(key);
    known += space.knows(key);
    // The cell's bytes behind the key are its value: a longer key that equals both is not there.
    const std::string longer = key + space.model[key].bytes().substr(0, 5);
    EXPECT(space.tree.get(bytes_of(longer), value) == kNotFound);
    EXPECT(!space.knows(longer));
  }
  EXPECT(known > 3000 / 10 * 9);
}

TEST(hints_pages, "what a value of another page's making looks like is not taken for an entry") {
  Hinted space;
  // Leaves are filled, read, emptied and given back; then their pages hold large values that are images of those leaves.
  std::vector<std::string> keys;
  for (u32 i = 0; i < 4000; i++) keys.push_back("user" + std::to_string(100000 + i));
  for (u32 i = 0; i < 4000; i++) space.put(keys[i], {i, 100, 0});
  for (const std::string& key : keys) space.get(key);
  std::string image;
  const u32 pages = read_header(kTestSegment)->blocks * kPagesPerBlock;
  for (u32 page = kHeaderPages; page < pages; page++) {
    const u8* bytes = read_page(kTestSegment, page);
    if (page_header(bytes).kind == kLeafPage) image.append(reinterpret_cast<const char*>(bytes), kPageBytes);
  }
  for (u32 i = 0; i < 4000; i += 1) {
    if (i % 400 != 0) space.remove(keys[i]);
  }
  bool existed = false;
  EXPECT(space.tree.put(bytes_of(std::string("large")), bytes_of(image), 0, existed) == kOk);
  for (u32 i = 0; i < 4000; i++) space.get(keys[i]);
}

TEST(hints_generations, "a hint does not come back after as many moves as there are generations") {
  Hinted space;
  for (u32 i = 0; i < 3000; i++) space.put("key" + std::to_string(i), {i, 40, 0});
  const std::string key = "key1234";
  space.get(key);
  const u32 place = space.hints.find(bytes_of(key), key_hash(bytes_of(key)));
  EXPECT(place != 0);
  for (u32 i = 0; i < 1u << 16; i++) {
    space.hints.moved(place >> kPageShift);
    EXPECT(!space.knows(key));
  }
  space.get(key);
  EXPECT(space.knows(key));
}

TEST(hints_grow, "hints outgrow their table and go on, and leave it out where there is no memory") {
  Hinted space;
  for (u32 i = 0; i < 60000; i++) {
    space.put("key" + std::to_string(i), {i, 10, 0});
    if (i % 3 == 0) space.get("key" + std::to_string(i / 2));
  }
  u32 known = 0;
  for (const auto& [key, value] : space.model) space.get(key);
  for (const auto& [key, value] : space.model) known += space.knows(key);
  EXPECT(known > 60000 / 10 * 9);

  space.model.clear();
  arena_init(24);
  segment_define(kTestSegment, kPrimary, true);
  space.hints.reset();
  EXPECT(space.tree.create() == kOk);
  bool existed = false;
  Status status = kOk;
  u32 count = 0;
  for (; status == kOk; count++) {
    const std::string name = "key" + std::to_string(count);
    status = space.tree.put(bytes_of(name), bytes_of(std::string(100, 'v')), 0, existed);
    ValueView value;
    if (status == kOk) EXPECT(space.tree.get(bytes_of(name), value) == kOk);
  }
  EXPECT(status == kOutOfMemory && count > 10000);
}

}  // namespace
}  // namespace shibumi::test
