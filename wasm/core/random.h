// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a few instructions a number,
// and a generator is its seed and how often it was asked.
#pragma once

#include "types.h"

namespace shibumi {

struct SplitMix {
  u64 state;

  u64 next() {
    u64 x = state += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
  /// 0 .. bound - 1. Requires: bound > 0.
  u32 below(u32 bound) { return static_cast<u32>(((next() >> 32) * bound) >> 32); }
  /// 0 <= x < 1.
  f64 unit() { return static_cast<f64>(next() >> 11) * 0x1p-53; }
};

}  // namespace shibumi
