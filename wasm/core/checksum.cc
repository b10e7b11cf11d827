// XXH64, after the published specification (Y. Collet, "xxHash fast digest algorithm", XXH64 section).
#include "arena.h"

namespace shibumi {

namespace {

constexpr u64 kPrime3 = 0x165667B19E3779F9ull;
constexpr u64 kPrime4 = 0x85EBCA77C2B2AE63ull;
constexpr u64 kPrime5 = 0x27D4EB2F165667C5ull;

u64 rotate_left(u64 value, u32 bits) { return (value << bits) | (value >> (64 - bits)); }

template <class T>
T word_at(const u8* bytes) {
  T value;
  __builtin_memcpy(&value, bytes, sizeof value);
  return value;
}

constexpr u64 kPrime1 = Checksum64::kPrime1, kPrime2 = Checksum64::kPrime2;

u64 round(u64 lane, u64 input) { return rotate_left(lane + input * kPrime2, 31) * kPrime1; }
u64 merge(u64 hash, u64 lane) { return (hash ^ round(0, lane)) * kPrime1 + kPrime4; }

}  // namespace

void Checksum64::more(const u8* bytes, u32 count) {
  check(count % kStripe == 0);
  total += count;
  for (u32 left = count; left > 0; left -= kStripe, bytes += kStripe) {
    // Four independent lanes: the multiplications overlap.
    a = round(a, word_at<u64>(bytes));
    b = round(b, word_at<u64>(bytes + 8));
    c = round(c, word_at<u64>(bytes + 16));
    d = round(d, word_at<u64>(bytes + 24));
  }
}

u64 Checksum64::end(const u8* bytes, u32 count) {
  u32 left = count % kStripe;
  more(bytes, count - left);
  const u8* next = bytes + (count - left);
  u64 hash = kPrime5;
  if (total > 0) {
    hash = rotate_left(a, 1) + rotate_left(b, 7) + rotate_left(c, 12) + rotate_left(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  }
  hash += total + left;
  for (; left >= 8; left -= 8, next += 8) {
    hash = rotate_left(hash ^ round(0, word_at<u64>(next)), 27) * kPrime1 + kPrime4;
  }
  if (left >= 4) {
    hash = rotate_left(hash ^ (word_at<u32>(next) * kPrime1), 23) * kPrime2 + kPrime3;
    left -= 4;
    next += 4;
  }
  for (; left > 0; left--, next++) hash = rotate_left(hash ^ (*next * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  *this = Checksum64{};
  return hash ^ (hash >> 32);
}

u64 checksum64(const u8* bytes, u32 count) { return Checksum64{}.end(bytes, count); }

}  // namespace shibumi
