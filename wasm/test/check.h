// The native tests' frame: TEST registers itself, EXPECT stops the run with the place and what was expected. A failed
// expectation aborts, so that the sanitizers' and the debugger's view is of the very moment.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "../core/types.h"

namespace shibumi::test {

struct Case {
  const char* name;
  void (*run)();
  Case* next;
  static Case*& first();
  Case(const char* case_name, void (*body)());
};

/// SplitMix64 (Steele et al. 2014): a seeded stream of numbers, the same on every machine.
struct Random {
  u64 state;
  explicit Random(u64 seed) : state(seed) {}
  u64 next() {
    u64 z = (state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  /// 0 .. limit - 1
  u32 below(u32 limit) { return static_cast<u32>(next() % limit); }
};

}  // namespace shibumi::test

#define TEST(id, title)                                             \
  static void test_##id();                                          \
  static shibumi::test::Case case_##id(title, test_##id);           \
  static void test_##id()

#define EXPECT(condition)                                                                        \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);              \
      std::abort();                                                                              \
    }                                                                                            \
  } while (false)
