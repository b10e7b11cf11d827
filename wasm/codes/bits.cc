#include "bits.h"

namespace shibumi {

void bits_encode(const f32* values, u32 dimension, f32 factor, const f32* centre, u8* record) {
  for (u32 first = 0; first < dimension; first += 64) {
    u64 word = 0;
    const u32 count = min_of(64u, dimension - first);
    for (u32 i = 0; i < count; i++) {
      f32 value;
      __builtin_memcpy(&value, values + first + i, sizeof value);
      word |= static_cast<u64>(value * factor > centre[first + i]) << i;
    }
    __builtin_memcpy(record + first / 8, &word, sizeof word);
  }
}

}  // namespace shibumi
