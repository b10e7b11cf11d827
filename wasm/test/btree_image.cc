// Images from anywhere: the deep check answers, whatever the bytes; what it lets pass can be used without a trap.
#include "kv_fixture.h"

namespace shibumi::test {
namespace {

/// A tree of three levels with overflow and free pages, small enough to be checked often.
StoredBlocks make_image(Model& model) {
  fresh_arena();
  Btree tree(kTestSegment);
  EXPECT(tree.create() == kOk);
  Random random(21);
  for (u32 i = 0; i < 60; i++) {
    std::string key(3500 + random.below(500), static_cast<char>('a' + i % 3));
    put(tree, model, std::to_string(i % 7) + key + std::to_string(i), {random.next(), random.below(300), 0});
  }
  put(tree, model, "large", {1, 150000, 1});
  put(tree, model, "larger", {1, 20000, 1});
  for (u32 i = 0; i < 15; i++) {
    const std::string key = std::next(model.begin(), random.below(static_cast<u32>(model.size())))->first;
    EXPECT(tree.remove(bytes_of(key)) == kOk && model.erase(key) == 1);
  }
  EXPECT(read_header(kTestSegment)->levels >= 3);
  StoredBlocks stored;
  stored.save();
  return stored;
}

/// Where a byte matters: in headers and slots rather than in values.
u32 telling_byte(Random& random, u32 blocks) {
  const u32 page = random.below(blocks * kPagesPerBlock);
  const u32 kind = random.below(4);
  if (kind == 0) return random.below(80 + blocks * 2);  // the tree's header
  if (kind == 1) return page * kPageBytes + random.below(sizeof(PageHeader));
  if (kind == 2) return page * kPageBytes + sizeof(PageHeader) + random.below(8 * sizeof(Slot));
  return page * kPageBytes + random.below(kPageBytes);
}

void use(Btree& tree, Random& random) {
  TreeCursor cursor(tree);
  u32 entries = 0;
  for (Status status = cursor.first(); status == kOk; status = cursor.next()) {
    entries++;
    const ValueView value = cursor.value();
    std::string bytes(value.length, '\0');
    EXPECT(tree.read_value(value, 0, reinterpret_cast<u8*>(bytes.data()), value.length) == kOk);
  }
  EXPECT(entries == tree.count());
  for (u32 i = 0; i < 60; i++) {
    const std::string key = key_of(random.below(50)), bytes(random_value_bytes(random), 'v');
    bool existed = false;
    EXPECT(tree.put(bytes_of(key), bytes_of(bytes), 0, existed) == kOk);
  }
  while (cursor.first() == kOk) {
    const std::string key = string_of(cursor.key());
    EXPECT(tree.remove(bytes_of(key)) == kOk);
  }
  EXPECT(tree.open(true) == kOk);
}

TEST(btree_mangled, "a mangled image is refused or harmless") {
  Model model;
  const StoredBlocks image = make_image(model);
  Random random(22);
  u32 refused = 0, harmless = 0;
  for (u32 round = 0; round < 2500; round++) {
    fresh_arena();
    image.adopt_all();
    const u32 blocks = static_cast<u32>(image.blocks.size());
    for (u32 flips = 1 + random.below(3); flips > 0; flips--) {
      const u32 byte = telling_byte(random, blocks);
      u8& target = at<u8>(at<const Addr>(segments[kTestSegment].frames)[byte >> kBlockShift])[byte & (kBlockBytes - 1)];
      target = random.below(2) ? static_cast<u8>(random.next()) : static_cast<u8>(target ^ (1u << random.below(8)));
    }
    Btree tree(kTestSegment);
    const Status status = tree.open(true);
    EXPECT(status == kOk || status == kCorrupt);
    if (status == kOk) {
      harmless++;
      use(tree, random);
    } else {
      refused++;
    }
  }
  EXPECT(refused > 500);
  EXPECT(harmless > 100);
}

TEST(btree_truncated, "an image with a block missing, or one too many, is refused") {
  Model model;
  StoredBlocks image = make_image(model);
  fresh_arena();
  for (u32 i = 0; i + 1 < image.blocks.size(); i++) image.adopt(i);
  EXPECT(Btree(kTestSegment).open(true) == kCorrupt);
  fresh_arena();
  image.blocks.emplace_back();
  image.adopt_all();
  EXPECT(Btree(kTestSegment).open(true) == kCorrupt);
}

TEST(btree_cycle, "a page that is its own child is refused") {
  Model model;
  const StoredBlocks image = make_image(model);
  fresh_arena();
  image.adopt_all();
  const u32 root = read_header(kTestSegment)->root;
  page_header(write_page(kTestSegment, root)).first_child = root;
  EXPECT(Btree(kTestSegment).open(true) == kCorrupt);
}

}  // namespace
}  // namespace shibumi::test
