// Trees whose blocks come and go: storing and adopting, a host with little memory, checkpoints under writes.
#include "kv_fixture.h"

namespace shibumi::test {
namespace {

u64 present_checksum() {
  u64 sum = 0;
  const Segment& segment = segments[kTestSegment];
  for (u32 i = 0; i < segment.block_count; i++) {
    const Addr frame = at<const Addr>(segment.frames)[i];
    if (frame != 0) sum = sum * 31 + checksum64(at<const u8>(frame), kBlockBytes);
  }
  return sum + segment.block_count;
}

/// A host that stores blocks elsewhere and drops what is clean.
struct SmallHost {
  StoredBlocks stored;
  u32 fetched = 0;
  void drop_random(Random& random, u32 percent) {
    stored.save();
    for (u32 i = 0; i < segments[kTestSegment].block_count; i++) {
      const bool present = at<const Addr>(segments[kTestSegment].frames)[i] != 0;
      if (present && random.below(100) < percent) EXPECT(block_drop(kTestSegment, i) == kOk);
    }
  }
  void fetch(u32 segment, u32 index) {
    EXPECT(segment == kTestSegment);
    stored.adopt(index);
    fetched++;
  }
  void fetch_all() {
    for (u32 i = 0; i < segments[kTestSegment].block_count; i++) {
      if (at<const Addr>(segments[kTestSegment].frames)[i] == 0) fetch(kTestSegment, i);
    }
  }
};

void fill(Btree& tree, Model& model, Random& random, u32 operations, u32 universe) {
  for (u32 i = 0; i < operations; i++) put(tree, model, key_of(random.below(universe)), random_value(random));
}

TEST(btree_reopen, "stored blocks adopted in a fresh arena are the same tree") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(11);
  fill(tree, model, random, 4000, 3000);
  StoredBlocks stored;
  stored.save();
  EXPECT(dirty_blocks(1 << kPrimary) == 0);

  fresh_arena();
  EXPECT(Btree(kTestSegment).open(false) == kCorrupt);  // nothing there
  stored.adopt_all();
  Btree again(kTestSegment);
  EXPECT(again.open(false) == kOk);
  expect_same(again, model);
  EXPECT(dirty_blocks(1 << kPrimary) == 0);
  fill(again, model, random, 1000, 3000);
  expect_same(again, model);
}

TEST(btree_absent_model, "a tree whose blocks are dropped all the time agrees with the model") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(12);
  fill(tree, model, random, 3000, 3000);
  SmallHost host;
  const auto fetch = [&](u32 segment, u32 index) { host.fetch(segment, index); };
  for (u32 i = 0; i < 20000; i++) {
    if (i % 100 == 0) host.drop_random(random, 70);
    const std::string key = key_of(random.below(3000));
    const u32 kind = random.below(10);
    if (kind < 3) {
      const ModelValue value = random_value(random);
      const std::string bytes = value.bytes();
      bool existed = false;
      EXPECT(with_blocks([&] { return tree.put(bytes_of(key), bytes_of(bytes), value.flags, existed); }, fetch) == kOk);
      EXPECT(existed == (model.count(key) == 1));
      model[key] = value;
    } else if (kind < 6) {
      const Status expected = model.erase(key) == 1 ? kOk : kNotFound;
      EXPECT(with_blocks([&] { return tree.remove(bytes_of(key)); }, fetch) == expected);
    } else if (kind < 9) {
      ValueView value;
      const auto expected = model.find(key);
      const Status status = with_blocks([&] { return tree.get(bytes_of(key), value); }, fetch);
      EXPECT(status == (expected == model.end() ? kNotFound : kOk));
      if (status != kOk) continue;
      std::string bytes(value.length, '\0');
      const auto read = [&] { return tree.read_value(value, 0, reinterpret_cast<u8*>(bytes.data()), value.length); };
      EXPECT(with_blocks(read, fetch) == kOk);
      EXPECT(bytes == expected->second.bytes());
    } else {
      TreeCursor cursor(tree);
      auto entry = model.lower_bound(key);
      Status status = with_blocks([&] { return cursor.seek(bytes_of(key)); }, fetch);
      for (u32 steps = 0; steps < 40 && entry != model.end(); steps++, ++entry) {
        EXPECT(status == kOk && string_of(cursor.key()) == entry->first);
        status = with_blocks([&] { return cursor.next(); }, fetch);
      }
    }
  }
  EXPECT(host.fetched > 1000);
  host.fetch_all();
  expect_same(tree, model);
}

TEST(btree_absent_unchanged, "a mutation that meets an absent block changes nothing") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(13);
  fill(tree, model, random, 6000, 5000);
  SmallHost host;
  u32 absences = 0;
  for (u32 i = 0; i < 300; i++) {
    host.drop_random(random, 60);
    const std::string key = key_of(random.below(5000)), value(random_value_bytes(random), 'n');
    const u64 before = present_checksum();
    bool existed = false;
    const bool removing = i % 2 == 0;
    const Status status = removing ? tree.remove(bytes_of(key)) : tree.put(bytes_of(key), bytes_of(value), 0, existed);
    if (status == kAbsent) {
      absences++;
      EXPECT(present_checksum() == before);
      EXPECT(dirty_blocks(1 << kPrimary) == 0);
      EXPECT(fault_segment() == kTestSegment);
      EXPECT(at<const Addr>(segments[kTestSegment].frames)[fault_index()] == 0);
    }
    host.fetch_all();
    EXPECT(tree.open(true) == kOk);
  }
  EXPECT(absences > 100);
}

TEST(btree_checkpoint, "a checkpoint keeps the state of its beginning while the tree is changed") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(14);
  fill(tree, model, random, 3000, 3000);
  const Model at_begin = model;
  const i32 count = checkpoint_begin(1 << kPrimary);
  EXPECT(count > 0);
  fill(tree, model, random, 3000, 4000);
  for (u32 i = 0; i < 1000; i++) {
    const std::string key = key_of(random.below(4000));
    EXPECT(tree.remove(bytes_of(key)) == (model.erase(key) == 1 ? kOk : kNotFound));
  }
  StoredBlocks first, second;
  first.take_entries(static_cast<u32>(count));
  EXPECT(dirty_blocks(1 << kPrimary) > 0);
  second = first;
  second.save();
  expect_same(tree, model);

  fresh_arena();
  first.adopt_all();
  expect_same(Btree(kTestSegment), at_begin);
  fresh_arena();
  second.adopt_all();
  expect_same(Btree(kTestSegment), model);
}

TEST(btree_bound, "no mutation needs more frames than bound() said") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(15);
  for (u32 i = 0; i < 5000; i++) {
    const std::string key = key_of(random.below(4000));
    const u32 value_bytes = random_value_bytes(random);
    const TreeNeed bound = tree.bound(1, static_cast<u32>(key.size()), value_bytes);
    TreePlan plan;
    EXPECT(tree.plan_put(bytes_of(key), value_bytes, plan) == kOk);
    EXPECT(plan.need.new_blocks <= bound.new_blocks);
    EXPECT(min_of(plan.need.touched_blocks, segments[kTestSegment].block_count) <= bound.touched_blocks);
    const u32 blocks = segments[kTestSegment].block_count;
    put(tree, model, key, {random.next(), value_bytes, 0});
    EXPECT(segments[kTestSegment].block_count - blocks <= plan.need.new_blocks);
  }
}

}  // namespace
}  // namespace shibumi::test
