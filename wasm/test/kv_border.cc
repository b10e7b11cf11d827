// The exports of key-value spaces, called as a host calls them: numbers and addresses only.
#include <utility>

#include "../core/border.h"
#include "../kv/kv_space.h"
#include "kv_fixture.h"

extern "C" {
using namespace shibumi;
void export_arena_init(u32);
Addr export_scratch(u32);
i32 export_kv_create();
i32 export_kv_open(u32);
u32 export_kv_count();
f64 export_kv_bytes();
u32 export_kv_plan(u32, u32);
u32 export_kv_plan_many(u32, f64, u32);
i32 export_kv_put(Addr, u32, Addr, u32, u32);
i32 export_kv_get(Addr, u32, Addr);
i32 export_kv_read(Addr, u32, u32, Addr, u32);
i32 export_kv_delete(Addr, u32);
i32 export_kv_scan(Addr, u32, u32, Addr, u32, u32, u32, u32, f64, Addr, u32, u32);
i32 export_kv_get_columns(Addr, u32, u32, f64, Addr, Addr, u32, Addr);
i32 export_kv_apply_batch(Addr, u32, u32, Addr);
}

namespace shibumi::test {
namespace {

constexpr u32 kOutBytes = 64 * 1024;
/// Of it: for the heads of entries, their keys, and their values.
constexpr u32 kScanMost = 1000;
constexpr u32 kKeysRoom = 16 * 1024;
constexpr u32 kValuesRoom = 32 * 1024;
static_assert(sizeof(ScanResult) + 8 * kScanMost + kKeysRoom + kValuesRoom <= kOutBytes);

/// Arguments in scratch memory, one call's at a time: [key 8 KiB][second key 8 KiB][out 64 KiB][value]
struct Host {
  Addr base;
  explicit Host(u32 value_bytes = 1 << 20) {
    export_arena_init(1u << 13);
    base = export_scratch(16384 + kOutBytes + value_bytes);
    EXPECT(base != 0);
    EXPECT(export_kv_create() == kOk);
  }
  Addr out() const { return base + 16384; }
  Addr value() const { return out() + kOutBytes; }
  static void write(Addr to, const std::string& bytes) { __builtin_memcpy(at<u8>(to), bytes.data(), bytes.size()); }
  static std::string read(Addr from, u32 bytes) { return std::string(at<const char>(from), bytes); }

  i32 put(const std::string& key, const std::string& bytes, u32 flags = 0) const {
    write(base, key);
    write(value(), bytes);
    return export_kv_put(base, static_cast<u32>(key.size()), value(), static_cast<u32>(bytes.size()), flags);
  }
  /// The value, or "missing".
  std::string get(const std::string& key) const {
    write(base, key);
    const u32 length = static_cast<u32>(key.size());
    const i32 status = export_kv_get(base, length, out());
    if (status == kNotFound) return "missing";
    EXPECT(status == kOk);
    const u32* meta = at<const u32>(out());
    if (meta[0] != 0) return read(meta[0], meta[1]);
    const u32 bytes = meta[1];
    EXPECT(export_kv_read(base, length, 0, value(), bytes) == kOk);
    return read(value(), bytes);
  }
  using Entries = std::vector<std::pair<std::string, std::string>>;
  /// What the last scan gave, which had this limit.
  Entries entries(u32 count, u32 limit) const {
    Entries result;
    const u32* heads = at<const u32>(out() + sizeof(ScanResult));
    Addr key = out() + static_cast<u32>(sizeof(ScanResult)) + 8 * limit;
    Addr value = key + kKeysRoom;
    for (u32 i = 0; i < count; i++) {
      EXPECT((heads[i] & ~0x3FFFFFFFu) == kColumnText);
      const u32 key_bytes = heads[i] & 0x3FFFFFFF, value_bytes = heads[limit + i] & 0x3FFFFFFF;
      const bool apart = heads[limit + i] >= kColumnApart;
      result.emplace_back(read(key, key_bytes), apart ? "apart" : read(value, value_bytes));
      key += key_bytes;
      if (!apart) value += value_bytes;
    }
    const ScanResult& told = scanned();
    EXPECT(told.key_bytes == key - (out() + sizeof(ScanResult) + 8 * limit));
    EXPECT(told.value_bytes == value - (out() + sizeof(ScanResult) + 8 * limit + kKeysRoom));
    return result;
  }
  const ScanResult& scanned() const { return *at<const ScanResult>(out()); }
  /// The key that the last scan came to last.
  std::string last_key(u32 limit) const {
    return read(out() + static_cast<u32>(sizeof(ScanResult)) + 8 * limit + scanned().key_bytes, scanned().last_key_bytes);
  }
  Entries scan(const std::string& start, bool after, const char* end, bool reverse, u32 limit, f64 now = 0) const {
    write(base, start);
    if (end != nullptr) write(base + 8192, end);
    const i32 count = export_kv_scan(base, static_cast<u32>(start.size()), after, base + 8192,
                                     end == nullptr ? 0 : static_cast<u32>(std::string(end).size()), end != nullptr,
                                     reverse, limit, now, out(), kKeysRoom, kValuesRoom);
    EXPECT(count >= 0);
    return entries(static_cast<u32>(count), limit);
  }
};

TEST(kv_calls, "put, get, delete and counts through the border") {
  const Host host;
  EXPECT(host.put("a", "one") == 1);
  EXPECT(host.put("a", "two", kValueIsBytes) == 0);
  EXPECT(host.put("b", "") == 1);
  EXPECT(host.put(std::string("\0\xFF", 2), std::string(9000, 'x')) == 1);
  EXPECT(host.get("a") == "two");
  EXPECT(at<const u32>(host.out())[2] == kValueIsBytes);
  EXPECT(host.get("b").empty());
  EXPECT(host.get(std::string("\0\xFF", 2)) == std::string(9000, 'x'));
  EXPECT(host.get("c") == "missing");
  EXPECT(export_kv_count() == 3);
  EXPECT(export_kv_bytes() == 1 + 3 + 1 + 0 + 2 + 9000);
  Host::write(host.base, "a");
  EXPECT(export_kv_delete(host.base, 1) == kOk);
  EXPECT(export_kv_delete(host.base, 1) == kNotFound);
  EXPECT(export_kv_open(1) == kOk);
  EXPECT(export_kv_count() == 2);
  EXPECT(export_kv_plan(20, 100) >= 2 && export_kv_plan(20, 100) < 20);
  EXPECT(export_kv_plan_many(10000, 1.2e6, 0) >= 2 && export_kv_plan_many(10000, 1.2e6, 0) < 200);
  EXPECT(export_kv_create() == kInvalid);  // not empty; the space is then closed
  EXPECT(export_kv_open(0) == kOk);
}

TEST(kv_scans, "scans give ranges in both directions, in chunks, and say when they are at the end") {
  const Host host;
  for (u32 i = 0; i < 500; i++) host.put("k" + std::to_string(1000 + i), std::string(i, 'v'));
  host.put("l", "other");
  EXPECT(host.scan("k", false, "l", false, 3) ==
         (Host::Entries{{"k1000", ""}, {"k1001", "v"}, {"k1002", "vv"}}));
  EXPECT(host.scan("k1000", true, "k1002", false, 9) == (Host::Entries{{"k1001", "v"}}));
  EXPECT(host.scan("k1000", false, "k1002", true, 9) == (Host::Entries{{"k1001", "v"}, {"k1000", ""}}));
  EXPECT(host.scan("k1000", true, "k1002", true, 9) == (Host::Entries{{"k1001", "v"}}));
  EXPECT(host.scan("k1001", false, "k1001", false, 9).empty());
  EXPECT(host.scan("z", false, nullptr, false, 9).empty());
  EXPECT(host.scan("", false, nullptr, true, 1) == (Host::Entries{{"l", "other"}}));
  EXPECT(host.scan("", false, nullptr, false, 0).empty());
  // 125 kB of values do not fit in one buffer: on from the last key, until there is nothing more.
  EXPECT(host.scan("k1000", false, "k1003", false, 3).size() == 3 && host.scanned().flags == 0);
  EXPECT(host.scan("k1000", false, "k1003", false, 4).size() == 3 && host.scanned().flags == kScanEnded);
  std::string from;
  u32 seen = 0, chunks = 0;
  for (Host::Entries chunk; chunk = host.scan(from, !from.empty(), nullptr, false, kScanMost), !chunk.empty(); chunks++) {
    for (const auto& [key, value] : chunk) {
      if (key != "l") EXPECT(key == "k" + std::to_string(1000 + seen) && value.size() == seen);
      seen++;
      from = key;
    }
  }
  EXPECT(seen == 501 && chunks == 4);
}

TEST(kv_scan_large, "a value larger than the column ends a scan that began before it, and is left out of its own") {
  const Host host;
  host.put("a", "small");
  host.put("b", std::string(kValuesRoom + 1, 'x'));
  host.put("c", std::string(kValuesRoom, 'y'));
  host.put("d", "");
  EXPECT(host.scan("", false, nullptr, false, 9) == (Host::Entries{{"a", "small"}}) && host.scanned().flags == 0);
  EXPECT(host.scan("b", false, nullptr, false, 9) == (Host::Entries{{"b", "apart"}}) && host.scanned().flags == kScanApart);
  EXPECT(host.scan("c", false, nullptr, false, 9) ==
         (Host::Entries{{"c", std::string(kValuesRoom, 'y')}, {"d", ""}}));
  EXPECT(host.scanned().flags == kScanEnded && host.last_key(9) == "d");
  // What the host keeps is told and passed over: there may be thousands of them.
  host.put("b", "where it is", kValueIsLarge | kValueIsBytes);
  EXPECT(host.scan("", false, "c", false, 9) == (Host::Entries{{"a", "small"}, {"b", "apart"}}));
  EXPECT(host.scanned().flags == (kScanApart | kScanEnded));
}

TEST(kv_scan_long_keys, "keys of the greatest length fit as long as there is room for one more") {
  const Host host;
  for (char c = 'a'; c < 'h'; c++) host.put(std::string(kKeyBytesMax, c), std::string(1, c));
  const Host::Entries chunk = host.scan("", false, nullptr, false, 9);
  EXPECT(chunk.size() == kKeysRoom / kKeyBytesMax - 1 && host.last_key(9) == std::string(kKeyBytesMax, 'c'));
  EXPECT(chunk[2] == std::make_pair(std::string(kKeyBytesMax, 'c'), std::string("c")));
}

TEST(kv_scan_expired, "what has expired is passed over, and the last key says how far") {
  const Host host;
  const auto until = [](u8 deadline, const char* rest) { return std::string(1, static_cast<char>(deadline)) + std::string(7, '\0') + rest; };
  host.put("a", until(10, "x"), kValueHasDeadline);
  host.put("b", until(20, "yy"), kValueHasDeadline | kValueIsBytes);
  host.put("c", until(10, ""), kValueHasDeadline);
  EXPECT(host.scan("", false, nullptr, false, 9, 9).size() == 3);
  EXPECT(host.scan("", false, nullptr, false, 9, 10) == (Host::Entries{{"b", "yy"}}) && host.last_key(9) == "c");
  EXPECT(host.scan("", false, nullptr, false, 1, 10) == (Host::Entries{{"b", "yy"}}) && host.last_key(1) == "b");
  EXPECT(host.scan("", false, nullptr, true, 9, 20).empty() && host.last_key(9) == "a" && host.scanned().flags == kScanEnded);
  EXPECT(host.scan("d", false, nullptr, false, 9, 20).empty() && host.scanned().last_key_bytes == 0);
}

std::string packed(const std::string& key, const std::string& value, u32 flags) {
  const PackedEntry entry{static_cast<u32>(key.size()), static_cast<u32>(value.size()), flags};
  std::string bytes(reinterpret_cast<const char*>(&entry), sizeof entry);
  bytes += key + value;
  bytes.resize((bytes.size() + 3) & ~size_t{3});
  return bytes;
}
std::string packed_key(const std::string& key) {
  const u32 length = static_cast<u32>(key.size());
  std::string bytes(reinterpret_cast<const char*>(&length), 4);
  bytes += key;
  bytes.resize((bytes.size() + 3) & ~size_t{3});
  return bytes;
}

TEST(kv_batches, "batches apply in order and answer in order; a malformed entry stops them where it stands") {
  const Host host;
  const std::string good =
      packed("a", "1", 0) + packed("b", "22", kValueIsBytes) + packed("a", "333", 0) + packed("b", "", kPackedRemove);
  Host::write(host.value(), good + packed("c", "4", 64));
  const u32 all = static_cast<u32>((good + packed("c", "4", 64)).size());
  EXPECT(export_kv_apply_batch(host.value(), all, 5, host.out()) == 4);
  EXPECT(static_cast<i32>(at<const u32>(host.out())[0]) == kInvalid && at<const u32>(host.out())[1] == good.size());
  EXPECT(host.get("a") == "333" && host.get("b") == "missing" && host.get("c") == "missing");

  // "a" is there, twice asked for; "late" expires at 1000.
  const std::string late("\xE8\x03\0\0\0\0\0\0soon", 12);
  const std::string timed = packed("late", late, kValueHasDeadline | kValueIsBytes);
  Host::write(host.value(), timed);
  EXPECT(export_kv_apply_batch(host.value(), static_cast<u32>(timed.size()), 1, host.out()) == 1);
  const std::string keys = packed_key("b") + packed_key("a") + packed_key("late") + packed_key("a");
  Host::write(host.value(), keys);
  const u32 bytes = static_cast<u32>(keys.size());
  const Addr heads = host.out(), used = heads + 32, out = heads + 64;
  const u32* head = at<const u32>(heads);
  EXPECT(export_kv_get_columns(host.value(), bytes, 4, 999, heads, out, 100, used) == 4);
  EXPECT(head[0] == kColumnMissing && head[1] == (kColumnText | 3) && head[2] == (kColumnBytes | 4));
  EXPECT(at<const u32>(used)[0] == 10 && std::string(at<const char>(out), 10) == "333soon333");
  EXPECT(export_kv_get_columns(host.value(), bytes, 4, 1000, heads, out, 100, used) == 4);
  EXPECT(head[2] == kColumnMissing && at<const u32>(used)[0] == 6);
  // What does not fit any more ends the call; what never fits is told apart.
  EXPECT(export_kv_get_columns(host.value(), bytes, 4, 999, heads, out, 8, used) == 3);
  EXPECT(export_kv_get_columns(host.value(), bytes, 2, 999, heads, out, 2, used) == 2);
  EXPECT(head[1] == (kColumnApart | 3) && at<const u32>(used)[0] == 0);
  // A malformed key counts once those before it are answered.
  EXPECT(export_kv_get_columns(host.value(), bytes - 1, 4, 999, heads, out, 100, used) == 3);
  EXPECT(export_kv_get_columns(host.value(), 7, 1, 999, heads, out, 100, used) == kInvalid);
  EXPECT(export_kv_get_columns(host.value(), bytes, 4, -1, heads, out, 100, used) == kInvalid);
  EXPECT(export_kv_get_columns(host.value(), bytes, 4, 999, heads, 0xFFFFFFF8, 100, used) == kInvalid);
}

TEST(kv_bad_arguments, "arguments out of range are refused and change nothing") {
  const Host host;
  host.put("a", "1");
  Host::write(host.base, "b");
  constexpr Addr kOutside = 0xFFFFFFF8;
  EXPECT(export_kv_put(host.base, 1, kOutside, 100, 0) == kInvalid);
  EXPECT(export_kv_put(kOutside, 100, host.value(), 1, 0) == kInvalid);
  EXPECT(export_kv_put(0, 1, host.value(), 1, 0) == kInvalid);
  EXPECT(export_kv_put(host.base, kKeyBytesMax + 1, host.value(), 1, 0) == kInvalid);
  EXPECT(export_kv_put(host.base, 1, host.value(), kValueBytesMax + 1, 0) == kInvalid);
  EXPECT(export_kv_put(host.base, 1, host.value(), 1, 2) == kInvalid);  // a flag no version knows yet
  EXPECT(export_kv_get(host.base, 1, kOutside) == kInvalid);
  EXPECT(export_kv_read(host.base, 1, 0, kOutside, 100) == kInvalid);
  Host::write(host.base, "a");
  EXPECT(export_kv_read(host.base, 1, 1, host.out(), 1) == kInvalid);
  const auto scan = [&](Addr start, u32 start_len, Addr end, u32 end_len, u32 limit, f64 now, Addr out, u32 keys, u32 values) {
    return export_kv_scan(start, start_len, 0, end, end_len, end != 0, 0, limit, now, out, keys, values);
  };
  EXPECT(scan(host.base, 1, 0, 0, 10, 0, host.out(), kKeysRoom, kValuesRoom) == 1);
  EXPECT(scan(host.base, 1, 0, 0, 10, 0, host.out(), 2 * kKeyBytesMax - 1, kValuesRoom) == kInvalid);
  EXPECT(scan(kOutside, 100, 0, 0, 10, 0, host.out(), kKeysRoom, kValuesRoom) == kInvalid);
  EXPECT(scan(host.base, 1, kOutside, 100, 10, 0, host.out(), kKeysRoom, kValuesRoom) == kInvalid);
  EXPECT(scan(host.base, 1, 0, 0, 10, 0, kOutside, kKeysRoom, kValuesRoom) == kInvalid);
  EXPECT(scan(host.base, 1, 0, 0, 10, 0, host.out() + 1, kKeysRoom, kValuesRoom) == kInvalid);
  EXPECT(scan(host.base, 1, 0, 0, 0xFFFFFFFF, 0, host.out(), kKeysRoom, kValuesRoom) == kInvalid);
  EXPECT(scan(host.base, 1, 0, 0, 10, 0, host.out(), kKeysRoom, 0xFFFFFFFF) == kInvalid);
  EXPECT(scan(host.base, 1, 0, 0, 10, -1, host.out(), kKeysRoom, kValuesRoom) == kInvalid);
  EXPECT(export_kv_apply_batch(kOutside, 100, 1, host.out()) == kInvalid);
  EXPECT(export_kv_plan(kKeyBytesMax + 1, 0) == 0);
  EXPECT(export_kv_count() == 1 && host.get("a") == "1");
  EXPECT(export_kv_open(1) == kOk);
}

TEST(kv_superblock, "a superblock of another kind or version is refused") {
  const Host host;
  KvSuperblock* superblock = at<KvSuperblock>(at<const Addr>(segments[kKvMeta].frames)[0]);
  EXPECT(export_kv_open(1) == kOk);
  superblock->version++;
  EXPECT(export_kv_open(0) == kCorrupt);
  EXPECT(host.put("a", "1") == kInvalid);
  superblock->version--;
  superblock->reserved[12] = 1;
  EXPECT(export_kv_open(0) == kCorrupt);
}

}  // namespace
}  // namespace shibumi::test
