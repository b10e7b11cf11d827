// The tree against a sorted model over seeded random operations.
#include "kv_fixture.h"

namespace shibumi::test {
namespace {

void expect_seek(const Btree& tree, const Model& model, const std::string& key) {
  TreeCursor cursor(tree);
  const auto at_or_after = model.lower_bound(key), after = model.upper_bound(key);
  const auto expect_at = [&](Status status, Model::const_iterator entry) {
    EXPECT(status == (entry == model.end() ? kNotFound : kOk));
    if (status == kOk) EXPECT(string_of(cursor.key()) == entry->first);
  };
  expect_at(cursor.seek(bytes_of(key)), at_or_after);
  expect_at(cursor.seek(bytes_of(key), true), after);
  expect_at(cursor.seek_before(bytes_of(key)), at_or_after == model.begin() ? model.end() : std::prev(at_or_after));
  expect_at(cursor.seek_before(bytes_of(key), true), after == model.begin() ? model.end() : std::prev(after));
}

/// One random operation; `puts` of 100 are puts.
void step(Btree& tree, Model& model, Random& random, u32 universe, u32 puts) {
  const std::string key = key_of(random.below(universe));
  const u32 kind = random.below(150);
  if (kind < puts) return put(tree, model, key, random_value(random));
  if (kind < 100) {
    EXPECT(tree.remove(bytes_of(key)) == (model.erase(key) == 1 ? kOk : kNotFound));
    return;
  }
  if (kind < 105) return expect_seek(tree, model, key + (random.below(2) ? "" : "\x01"));
  ValueView value;
  const auto expected = model.find(key);
  EXPECT(tree.get(bytes_of(key), value) == (expected == model.end() ? kNotFound : kOk));
  if (expected != model.end()) expect_value(tree, value, expected->second);
}

TEST(btree_model, "the tree agrees with a sorted model over 200,000 random operations") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(20260101);
  constexpr u32 kUniverse = 8000;
  const u32 puts_by_phase[] = {85, 50, 90, 40, 10};
  for (const u32 puts : puts_by_phase) {
    for (u32 i = 0; i < 40000; i++) step(tree, model, random, kUniverse, puts);
    expect_same(tree, model);
  }
  // Down to nothing, in an order of its own.
  for (u32 i = 0; i < kUniverse; i++) {
    const std::string key = key_of((i * 4999) % kUniverse);
    EXPECT(tree.remove(bytes_of(key)) == (model.erase(key) == 1 ? kOk : kNotFound));
  }
  EXPECT(model.empty());
  expect_same(tree, model);
  const TreeHeader& header = *read_header(kTestSegment);
  EXPECT(header.levels == 1);
  EXPECT(header.free_pages == header.blocks * kPagesPerBlock - kHeaderPages - 1);
  EXPECT(tree.payload_bytes() == 0);
}

TEST(btree_long_keys, "keys of 4 KiB that differ only at their ends are kept apart") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(3);
  for (u32 i = 0; i < 3000; i++) {
    std::string key(kKeyBytesMax, 'x');
    const u32 number = random.below(2000);
    key[kKeyBytesMax - 1] = static_cast<char>(number);
    key[kKeyBytesMax - 2] = static_cast<char>(number >> 8);
    if (random.below(3) > 0) {
      put(tree, model, key, {random.next(), random.below(60), 0});
    } else {
      EXPECT(tree.remove(bytes_of(key)) == (model.erase(key) == 1 ? kOk : kNotFound));
    }
  }
  expect_same(tree, model);
}

TEST(btree_prefixes, "every key is found again whatever part of it the page's prefix and heads cover") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  // All strings of length 0 to 6 over three bytes: each starts many others, ends are zero-padded in the heads.
  const char bytes[] = {'\0', 'a', '\xFF'};
  std::vector<std::string> keys{""};
  for (u32 from = 0; keys[from].size() < 6; from++) {
    for (const char byte : bytes) keys.push_back(keys[from] + byte);
  }
  for (u32 i = 0; i < keys.size(); i++) put(tree, model, keys[i * 577 % keys.size()], {i, i % 30, 0});
  EXPECT(model.size() == keys.size());
  expect_same(tree, model);
  for (const std::string& key : keys) {
    ValueView value;
    EXPECT(tree.get(bytes_of(key), value) == kOk);
    expect_seek(tree, model, key);
  }
  for (u32 i = 0; i < keys.size(); i += 2) EXPECT(tree.remove(bytes_of(keys[i])) == kOk);
  for (u32 i = 0; i < keys.size(); i++) {
    ValueView value;
    EXPECT(tree.get(bytes_of(keys[i]), value) == (i % 2 == 0 ? kNotFound : kOk));
  }
}

TEST(btree_limits, "a key or value over its limit is refused and changes nothing") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  bool existed = false;
  const std::string long_key(kKeyBytesMax + 1, 'k');
  EXPECT(tree.put(bytes_of(long_key), {}, 0, existed) == kInvalid);
  TreePlan plan;
  EXPECT(tree.plan_put(bytes_of("k"), kValueBytesMax + 1, plan) == kInvalid);
  EXPECT(tree.count() == 0);
  expect_same(tree, {});
}

}  // namespace
}  // namespace shibumi::test
