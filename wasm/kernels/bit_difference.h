// Bits in which two codes differ. `i64.popcnt` on words beats counting sixteen bytes at a time (`i8x16.popcnt`).
#pragma once

#include "../core/types.h"

namespace shibumi {

SHIBUMI_HOT u64 load_word(const u8* bytes) {
  u64 word;
  __builtin_memcpy(&word, bytes, sizeof word);
  return word;
}

/// One bit at a time: the reference.
inline u32 bit_difference_scalar(const u8* a, const u8* b, u32 bytes) {
  u32 count = 0;
  for (u32 bit = 0; bit < 8 * bytes; bit++) count += ((a[bit / 8] ^ b[bit / 8]) >> (bit % 8)) & 1;
  return count;
}

/// Requires: `bytes` is a multiple of 8.
SHIBUMI_HOT u32 bit_difference(const u8* a, const u8* b, u32 bytes) {
  u64 even = 0, odd = 0;
  u32 i = 0;
  for (; i + 16 <= bytes; i += 16) {
    even += static_cast<u64>(__builtin_popcountll(load_word(a + i) ^ load_word(b + i)));
    odd += static_cast<u64>(__builtin_popcountll(load_word(a + i + 8) ^ load_word(b + i + 8)));
  }
  if (i < bytes) even += static_cast<u64>(__builtin_popcountll(load_word(a + i) ^ load_word(b + i)));
  return static_cast<u32>(even + odd);
}

}  // namespace shibumi
