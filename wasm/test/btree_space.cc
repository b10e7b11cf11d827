// How much room trees take, and that removed entries give it back.
#include "kv_fixture.h"

namespace shibumi::test {
namespace {

std::string ordered_key(u32 i) {
  const std::string number = std::to_string(i);
  return "key:" + std::string(16 - number.size(), '0') + number;
}

u32 blocks() { return segments[kTestSegment].block_count; }
u32 pages_used() {
  const TreeHeader& header = *read_header(kTestSegment);
  return header.blocks * kPagesPerBlock - header.free_pages;
}
/// Payload, slot and cell header of the entries over the bytes of their pages.
double fill(const Btree& tree) {
  const double entry_bytes = static_cast<double>(tree.payload_bytes()) + tree.count() * double{kEntryOverhead};
  return entry_bytes / (pages_used() * static_cast<double>(kPageBytes));
}

void put_ordered(Btree& tree, u32 i, u32 value_bytes) {
  const std::string key = ordered_key(i), value(value_bytes, 'v');
  bool existed = false;
  EXPECT(tree.put(bytes_of(key), bytes_of(value), 0, existed) == kOk);
}

TEST(btree_ascending, "keys that come in ascending order fill pages") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  for (u32 i = 0; i < 50000; i++) put_ordered(tree, i, 100);
  EXPECT(tree.open(true) == kOk);
  EXPECT(fill(tree) > 0.95);
}

TEST(btree_interleaved, "several ascending runs at once fill pages") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  for (u32 i = 0; i < 60000; i++) put_ordered(tree, (i % 6) * 1000000 + i, 100);
  EXPECT(tree.open(true) == kOk);
  EXPECT(fill(tree) > 0.9);
}

TEST(btree_random_fill, "keys in random order fill pages by two thirds or more") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  for (u32 i = 0; i < 50000; i++) put_ordered(tree, static_cast<u32>((i * 7368787ull) % 50021), 100);
  EXPECT(tree.open(true) == kOk);
  EXPECT(fill(tree) > 0.65);
}

TEST(btree_churn, "removed entries give their pages back: churn does not grow the segment") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  constexpr u32 kKeys = 20000;
  for (u32 round = 0; round < 8; round++) {
    for (u32 i = 0; i < kKeys; i++) put_ordered(tree, (i * 7919) % kKeys, 60);
    // Leaving every fortieth: pages must be merged, not only freed when they are empty.
    for (u32 i = 0; i < kKeys; i++) {
      if (i % 40 != 0) EXPECT(tree.remove(bytes_of(ordered_key((i * 13) % kKeys))) == kOk);
    }
    EXPECT(tree.open(true) == kOk);
    EXPECT(tree.count() == kKeys / 40);
    EXPECT(pages_used() < 30);
    // 20,000 entries of 93 bytes are 7.1 blocks; pages half full at the worst make it 14.
    EXPECT(blocks() <= 14);
  }
}

TEST(btree_queue, "a queue that moves through the key space stays small") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  for (u32 i = 0; i < 60000; i++) {
    put_ordered(tree, i, 100);
    if (i >= 1000) EXPECT(tree.remove(bytes_of(ordered_key(i - 1000))) == kOk);
  }
  EXPECT(tree.open(true) == kOk);
  EXPECT(tree.count() == 1000);
  EXPECT(blocks() <= 3);
}

TEST(btree_large, "values of up to 64 MiB come back whole, from any offset, and give their blocks back") {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(5);
  const u32 lengths[] = {5000, 16384, 16385, 131072, 131073, 262144, 300000, 5u << 20, kValueBytesMax};
  u32 number = 0;
  for (const u32 length : lengths) put(tree, model, "value " + std::to_string(number++), {random.next(), length, 1});
  expect_same(tree, model);

  const std::string whole = model["value 8"].bytes();
  ValueView value;
  EXPECT(tree.get(bytes_of("value 8"), value) == kOk);
  EXPECT(value.data == nullptr);
  for (u32 i = 0; i < 200; i++) {
    const u32 offset = random.below(kValueBytesMax), bytes = random.below(min_of(50000u, kValueBytesMax - offset + 1));
    std::string part(bytes, '\0');
    EXPECT(tree.read_value(value, offset, reinterpret_cast<u8*>(part.data()), bytes) == kOk);
    EXPECT(part == whole.substr(offset, bytes));
  }
  u8 byte = 0;
  EXPECT(tree.read_value(value, kValueBytesMax, &byte, 1) == kInvalid);
  EXPECT(tree.read_value(value, kValueBytesMax + 1, &byte, 0) == kInvalid);

  const u32 before = blocks();
  for (u32 round = 0; round < 3; round++) {
    // Replacing needs both at once; from then on the blocks suffice.
    put(tree, model, "value 8", {random.next(), kValueBytesMax, 0});
    put(tree, model, "value 7", {random.next(), 4u << 20, 0});
    EXPECT(tree.remove(bytes_of("value 6")) == kOk && model.erase("value 6") == 1);
    put(tree, model, "value 6", {random.next(), 300000, 0});
    EXPECT(blocks() <= before + kValueBytesMax / kBlockBytes + 20);
  }
  expect_same(tree, model);
  for (const auto& [key, unused] : model) EXPECT(tree.remove(bytes_of(key)) == kOk);
  expect_same(tree, {});
  EXPECT(pages_used() == kHeaderPages + 1);
}

TEST(btree_full_memory, "a put that memory has no room for changes nothing") {
  fresh_arena(40);
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Model model;
  Random random(6);
  u32 refused = 0;
  for (u32 i = 0; refused < 20; i++) {
    const std::string key = ordered_key(i), value(2000, 'v');
    bool existed = false;
    const Status status = tree.put(bytes_of(key), bytes_of(value), 0, existed);
    EXPECT(status == kOk || status == kOutOfMemory);
    if (status == kOutOfMemory) {
      refused++;
    } else {
      EXPECT(refused == 0);
      EXPECT(i < 10000);
    }
  }
  // Growing is refused; what is there can still be read, replaced and removed.
  const u32 count = tree.count();
  EXPECT(count > 3000);
  EXPECT(tree.remove(bytes_of(ordered_key(0))) == kOk);
  EXPECT(tree.count() == count - 1);
}

}  // namespace
}  // namespace shibumi::test
