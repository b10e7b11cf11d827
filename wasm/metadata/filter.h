// Filters: a condition on metadata, evaluated to a bit a slot.
//
//   program := op*                     reverse Polish; at the end one set is left
//   op      := 1, field u8, count varint, count x range     slots whose field has a value in one of the ranges
//            | 2 | 3                                        both of the last two sets; either of them
//            | 4                                            what the last set has not, of the live slots
//            | 5                                            every live slot
//   range   := limit (low), limit (high)
//   limit   := 0 | (1 inclusive or 2 exclusive), kind u8, the value as in a record
//
// The host makes programs from `where` and checks fields and types; here only the grammar is checked.
//
// The last few results are kept until the space changes: the same filter again costs a comparison of its bytes. A filter
// that was evaluated is good until the space changes or kFiltersKept others were.
#pragma once

#include "../index/allowed.h"
#include "../vector/slots.h"
#include "postings.h"

namespace shibumi {

constexpr u32 kFiltersKept = 8;
/// Sets that a program may have waiting at a time.
constexpr u32 kFilterDepthMax = 64;
constexpr u32 kFilterBytesMax = 1u << 20;

class Filters {
 public:
  /// `version` is a number that changes whenever the space does; `postings` is null where there is no metadata. The empty
  /// program allows everything. kOk, kInvalid (a program against the grammar) or kOutOfMemory.
  Status evaluate(Bytes program, const Postings* postings, const Slots& slots, u32 slot_count, u64 version,
                  Allowed& out);

 private:
  struct Kept {
    TransientBuffer program;
    u32 program_bytes = 0;
    TransientBuffer words;
    u32 count = 0;
    u64 version = 0;  // 0 = nothing is kept here
    u64 used = 0;
  };
  bool ready_live(const Slots& slots, u32 slot_count, u64 version);
  bool run(Bytes program, const Postings* postings, u32 slot_count, u64* stack, u32 words) const;

  Kept kept_[kFiltersKept];
  u64 uses_ = 0;
  TransientBuffer stack_;
  TransientBuffer live_;
  u64 live_version_ = 0;
};

}  // namespace shibumi
