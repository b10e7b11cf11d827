// What every file of the border (exports*.cc) shares: how an export is named and how a (pointer, length) pair that comes
// from the host is checked before it is used.
#pragma once

#include "types.h"

#if defined(__wasm__)
#define SHIBUMI_EXPORT(name) extern "C" __attribute__((export_name(#name)))
#else
#define SHIBUMI_EXPORT(name) extern "C"
#endif

namespace shibumi {

/// Whether `bytes` bytes at `address` lie inside linear memory.
inline bool in_memory(Addr address, u64 bytes) {
#if defined(__wasm__)
  const u64 end = static_cast<u64>(__builtin_wasm_memory_size(0)) << 16;
#else
  const u64 end = 1ull << 32;
#endif
  return address != 0 && address + bytes <= end;
}

}  // namespace shibumi
