// What every export may return. One list: src/kernel/status.ts mirrors it and a unit test compares the two.
#pragma once

#include "types.h"

namespace shibumi {

enum Status : i32 {
  kOk = 0,
  /// The key or id is not there. Not an error for the caller.
  kNotFound = 1,
  /// An argument is out of its range. The host checks first, so this names a bug or a hostile caller.
  kInvalid = -1,
  /// Memory for the whole operation could not be had; nothing was changed.
  kOutOfMemory = -2,
  /// The image breaks a structural invariant.
  kCorrupt = -3,
  /// A fixed capacity (slots, pages) is used up; nothing was changed.
  kFull = -4,
  /// Droppable blocks the call needs are not in memory: `blocks_missed` names them. The call changed nothing; the host
  /// fetches them, adopts them and repeats the call.
  kAbsent = -5,
  /// This module leaves out what the space needs (core/parts.h); nothing was changed.
  kOtherCore = -6,
};

}  // namespace shibumi
