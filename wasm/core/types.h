// Fixed-width names used all through the core, and the one place where an address becomes a pointer.
//
// Persistent data never holds an Addr: an Addr is a position in this instance's linear memory and means nothing
// in the next one. What lasts is named by (segment, block, byte) or by a slot number.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// For small functions of the innermost loops. Most of the core is compiled for its size, which leaves a call wherever an
/// inlined body would be longer; a call for each candidate of a graph search costs 5 to 10 %.
#define SHIBUMI_HOT inline __attribute__((always_inline))

namespace shibumi {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using i8 = int8_t;
using i32 = int32_t;
using i64 = int64_t;
using f32 = float;
using f64 = double;

/// A byte position in linear memory. 0 is never a valid one.
using Addr = u32;

#if defined(__wasm__)
template <class T>
inline T* at(Addr address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}
inline Addr addr_of(const void* pointer) {
  return static_cast<Addr>(reinterpret_cast<uintptr_t>(pointer));
}
#else
// Natively (sanitizer builds) linear memory is one large reservation and an Addr is an offset into it.
extern u8* native_memory;
template <class T>
inline T* at(Addr address) {
  return reinterpret_cast<T*>(native_memory + address);
}
inline Addr addr_of(const void* pointer) {
  return static_cast<Addr>(static_cast<const u8*>(pointer) - native_memory);
}
#endif

/// Broken invariants stop the instance: a trap in one space cannot hurt another, going on could.
[[noreturn]] inline void trap() { __builtin_trap(); }
inline void check(bool condition) {
  if (__builtin_expect(!condition, 0)) trap();
}

template <class T>
inline T min_of(T a, T b) {
  return a < b ? a : b;
}
template <class T>
inline T max_of(T a, T b) {
  return a > b ? a : b;
}

}  // namespace shibumi
